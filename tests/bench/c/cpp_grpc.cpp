/* C-core through C++: cpp_grpc --echo … , see ../README.md. Generic stubs, raw bytes, one completion queue drained by one thread. */
#include <grpc/grpc.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "command.h"

namespace {

const std::string METHOD = "/bench.Echo/Call";

/* One operation under way in the completion queue. */
struct Operation {
  virtual void done(bool is_good) = 0;

 protected:
  ~Operation() = default;
};

struct Client {
  arguments given;
  grpc::CompletionQueue queue;
  /* To the echo server, for as long as the program lives. */
  std::shared_ptr<grpc::Channel> echo;
};

std::shared_ptr<grpc::Channel> open_channel(const std::string &target,
                                            const std::shared_ptr<grpc::ChannelCredentials> &credentials) {
  grpc::ChannelArguments options;
  /* A connection per channel; without this, channels to one target share one. */
  options.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(target, credentials, options);
}

std::shared_ptr<grpc::Channel> open_channel(const std::string &target) {
  return open_channel(target, grpc::InsecureChannelCredentials());
}

/* Bytes that stay, not copied. */
grpc::ByteBuffer message_of(const void *bytes, size_t len) {
  grpc::Slice slice(bytes, len, grpc::Slice::STATIC_SLICE);
  return grpc::ByteBuffer(&slice, 1);
}

/* One command being worked on. */
struct Work {
  Client &client;
  const command &asked;
  ::window window;
  std::shared_ptr<grpc::Channel> channel;
  /* Operations whose end has not been seen. */
  long running = 0;
  /* Why the result is none. */
  std::string error;

  Work(Client &client, const command &asked) : client(client), asked(asked), channel(client.echo) {
    window_open(&window, &asked);
  }

  void fail(const std::string &text) {
    if (error.empty()) error = text;
  }

  void check(const grpc::Status &status) {
    if (!status.ok()) fail(std::to_string(status.error_code()) + ": " + status.error_message());
  }

  void check_length(const grpc::ByteBuffer &message, size_t size) {
    if (message.Length() != size) fail(std::to_string(message.Length()) + " bytes came back");
  }

  bool goes_on() { return window_goes_on(&window) && error.empty(); }

  /* Until everything that was started has ended. */
  void drive() {
    void *tag;
    bool is_good;
    while (running > 0 && client.queue.Next(&tag, &is_good)) {
      running--;
      static_cast<Operation *>(tag)->done(is_good);
    }
  }

  grpc::ByteBuffer payload(long size) {
    const uint8_t *bytes = payload_of(size);
    if (bytes == nullptr) fail("too large for this program");
    return bytes == nullptr ? grpc::ByteBuffer() : message_of(bytes, static_cast<size_t>(size));
  }
};

/* ---- unary ---- */

/* Makes one call after the other; its parts are used again as far as C++ gRPC lets them. */
class Caller : Operation {
 public:
  Caller(Work &work, const grpc::ByteBuffer &request) : work(work), request(request) {}

  void use(const std::shared_ptr<grpc::Channel> &channel) { stub.emplace(channel); }

  void start() {
    /* It points into the context's call. */
    reader.reset();
    context.emplace();
    reader = stub->PrepareUnaryCall(&*context, METHOD, request, &work.client.queue);
    reader->StartCall();
    reader->Finish(&response, &status, static_cast<Operation *>(this));
    work.running++;
  }

 protected:
  ~Caller() = default;
  virtual void next() = 0;

  Work &work;

 private:
  void done(bool) override {
    work.window.operations++;
    work.check(status);
    work.check_length(response, request.Length());
    next();
  }

  const grpc::ByteBuffer &request;
  std::optional<grpc::GenericStub> stub;
  std::optional<grpc::ClientContext> context;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
  grpc::ByteBuffer response;
  grpc::Status status;
};

/* Calls until the time is over. */
struct Repeater final : Caller {
  using Caller::Caller;

  void next() override {
    if (work.goes_on()) start();
  }
};

void unary(Work &work) {
  const grpc::ByteBuffer request = work.payload(work.asked.size);
  std::vector<std::unique_ptr<Repeater>> callers;
  for (long number = 0; work.error.empty() && number < work.asked.in_flight; number++) {
    callers.push_back(std::make_unique<Repeater>(work, request));
    callers.back()->use(work.channel);
  }
  if (work.goes_on())
    for (auto &caller : callers) caller->start();
  work.drive();
}

void unary_tls(Work &work) {
  char *roots = read_file(work.client.given.ca);
  if (roots == nullptr) return work.fail(std::string("nothing to read in ") + work.client.given.ca);
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = roots;
  free(roots);
  work.channel = open_channel(work.client.given.tls, grpc::SslCredentials(options));
  unary(work);
}

/* ---- streams, one after the other ---- */

/* Hands the end of an operation to a function. */
template <class Owner>
struct Part final : Operation {
  Part(Owner &owner, void (Owner::*then)(bool)) : owner(owner), then(then) {}
  void done(bool is_good) override { (owner.*then)(is_good); }

  Owner &owner;
  void (Owner::*then)(bool);
};

/* Sends `to_send` messages, receives `to_receive`, starts anew while the window goes on. One read and one write are under way at
   most, as C++ gRPC wants it. */
class Stream {
 public:
  Stream(Work &work, const grpc::ByteBuffer &request, long to_send, long to_receive, size_t size)
      : work(work), stub(work.channel), request(request), to_send(to_send), to_receive(to_receive), size(size) {}

  void start() {
    if (!work.goes_on()) return;
    sent = received = 0;
    is_finished = false;
    /* It points into the context's call. */
    stream.reset();
    context.emplace();
    /* The headers wait for the first message and go with it. */
    context->set_initial_metadata_corked(true);
    stream = stub.Call(&*context, METHOD, &work.client.queue, nullptr);
    write();
    read();
  }

 private:
  void write() {
    sent++;
    is_writing = true;
    grpc::WriteOptions options;
    if (sent == to_send)
      options.set_last_message();
    else
      /* More follows at once. */
      options.set_buffer_hint();
    stream->Write(request, options, static_cast<Operation *>(&on_written));
    work.running++;
  }

  void written(bool is_good) {
    is_writing = false;
    /* A write that failed is explained by the status. */
    if (is_good && sent < to_send) return write();
    if (is_finished) start();
  }

  void read() {
    stream->Read(&message, static_cast<Operation *>(&on_read));
    work.running++;
  }

  void was_read(bool is_good) {
    if (is_good) {
      received++;
      work.window.operations++;
      work.check_length(message, size);
      work.goes_on();
      return read();
    }
    stream->Finish(&status, static_cast<Operation *>(&on_finished));
    work.running++;
  }

  void finished(bool) {
    work.check(status);
    if (received != to_receive) work.fail(std::to_string(received) + " messages came instead of " + std::to_string(to_receive));
    is_finished = true;
    if (!is_writing) start();
  }

  Work &work;
  grpc::GenericStub stub;
  const grpc::ByteBuffer &request;
  const long to_send, to_receive;
  const size_t size;
  long sent = 0, received = 0;
  bool is_writing = false, is_finished = false;
  std::optional<grpc::ClientContext> context;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream;
  grpc::ByteBuffer message;
  grpc::Status status;
  Part<Stream> on_written{*this, &Stream::written}, on_read{*this, &Stream::was_read}, on_finished{*this, &Stream::finished};
};

void server_stream(Work &work) {
  const std::string number = std::to_string(work.asked.messages);
  const grpc::ByteBuffer request = message_of(number.data(), number.size());
  work.channel = open_channel(work.client.given.stream);
  Stream stream(work, request, 1, work.asked.messages, STREAM_MESSAGE_SIZE);
  stream.start();
  work.drive();
}

void blast(Work &work) {
  const grpc::ByteBuffer request = work.payload(work.asked.size);
  Stream stream(work, request, work.asked.messages, work.asked.messages, static_cast<size_t>(work.asked.size));
  stream.start();
  work.drive();
}

/* One stream: a message out, the same message back, and so on. */
class PingPong {
 public:
  PingPong(Work &work, const grpc::ByteBuffer &request) : work(work), stub(work.channel), request(request) {}

  void start() {
    context.set_initial_metadata_corked(true);
    stream = stub.Call(&context, METHOD, &work.client.queue, nullptr);
    exchange();
  }

 private:
  void exchange() {
    const bool is_last = !work.goes_on();
    grpc::WriteOptions options;
    if (is_last) options.set_last_message();
    stream->Write(request, options, static_cast<Operation *>(&on_one));
    stream->Read(&message, static_cast<Operation *>(&on_one));
    work.running += 2;
    waiting_for = 2;
    is_good_so_far = true;
    this->is_last = is_last;
  }

  /* The next round trip begins when this message is gone and back. */
  void one(bool is_good) {
    is_good_so_far &= is_good;
    if (--waiting_for > 0) return;
    if (is_good_so_far) {
      work.window.operations++;
      work.check_length(message, request.Length());
      if (!is_last) return exchange();
    } else {
      work.fail("the stream ended");
    }
    stream->Finish(&status, static_cast<Operation *>(&on_finished));
    work.running++;
  }

  void finished(bool) { work.check(status); }

  Work &work;
  grpc::GenericStub stub;
  const grpc::ByteBuffer &request;
  int waiting_for = 0;
  bool is_good_so_far = true, is_last = false;
  grpc::ClientContext context;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream;
  grpc::ByteBuffer message;
  grpc::Status status;
  Part<PingPong> on_one{*this, &PingPong::one}, on_finished{*this, &PingPong::finished};
};

void ping_pong(Work &work) {
  const grpc::ByteBuffer request = work.payload(work.asked.size);
  PingPong stream(work, request);
  stream.start();
  work.drive();
}

/* ---- many channels ---- */

/* Opens a channel, makes a call on it, then opens the next one. */
struct Opener final : Caller {
  Opener(Work &work, const grpc::ByteBuffer &request, std::vector<std::shared_ptr<grpc::Channel>> &opened)
      : Caller(work, request), opened(opened) {}

  void next() override {
    if (static_cast<long>(opened.size()) == work.asked.channels || !work.error.empty()) return;
    opened.push_back(open_channel(work.client.given.echo));
    use(opened.back());
    start();
  }

  std::vector<std::shared_ptr<grpc::Channel>> &opened;
};

/* Nothing to do for as long as the command says. */
void be_idle(Work &work) {
  void *tag;
  bool is_good;
  const auto length = std::chrono::microseconds(static_cast<int64_t>(work.asked.seconds * 1e6));
  if (work.client.queue.AsyncNext(&tag, &is_good, std::chrono::system_clock::now() + length) !=
      grpc::CompletionQueue::TIMEOUT)
    work.fail("something happened while nothing should");
}

void channels(Work &work) {
  const grpc::ByteBuffer request = work.payload(DEFAULT_SIZE);
  std::vector<std::shared_ptr<grpc::Channel>> opened;
  Opener opener(work, request, opened);
  const int64_t before = resident_bytes();
  sample first = take_sample(0);
  opener.next();
  work.drive();
  sample last = take_sample(static_cast<long>(opened.size()));
  const int64_t grown = resident_bytes() - before;
  double open_s = -1;
  if (is_workload(&work.asked, "idle")) {
    open_s = static_cast<double>(last.wall_ns - first.wall_ns) / 1e9;
    first = take_sample(0);
    be_idle(work);
    last = take_sample(static_cast<long>(opened.size()));
  }
  if (work.error.empty()) answer_channels(&first, &last, grown, open_s);
}

/* ---- the program ---- */

void obey(Client &client, const command &asked) {
  static const struct {
    const char *name;
    void (*run)(Work &work);
  } workloads[] = {
      {"unary", unary},         {"unary_tls", unary_tls}, {"server_stream", server_stream}, {"ping_pong", ping_pong},
      {"blast", blast},         {"memory", channels},     {"idle", channels},
  };
  for (const auto &workload : workloads) {
    if (!is_workload(&asked, workload.name)) continue;
    if (client.echo == nullptr) client.echo = open_channel(client.given.echo);
    Work work(client, asked);
    workload.run(work);
    if (!work.error.empty())
      answer_error(work.error.c_str());
    else if (workload.run != channels)
      answer_window(&work.window);
    return;
  }
  answer_unsupported(is_workload(&asked, "pick") ? "measured for linkspan only" : "one thread makes all the calls here");
}

/* All from nothing to the first answer. */
int start(const arguments &given) {
  command one{};
  one.in_flight = 1;
  one.size = DEFAULT_SIZE;
  const sample first = take_sample(0);
  Client client{given, {}, open_channel(given.echo)};
  Work work(client, one);
  /* The window is over when the first call is. */
  unary(work);
  const sample last = take_sample(1);
  if (work.error.empty())
    answer_start(&first, &last);
  else
    answer_error(work.error.c_str());
  return work.error.empty() ? 0 : 1;
}
}  // namespace

int main(int argc, char **argv) {
  const arguments given = read_arguments(argc, argv, "cpp_grpc");
  if (given.is_start) return start(given);
  allow_descriptors();
  Client client{given, {}, nullptr};
  answer_hello("C-core C++", grpc::Version().c_str());
  command asked;
  while (next_command(&asked)) obey(client, asked);
  return 0;
}
