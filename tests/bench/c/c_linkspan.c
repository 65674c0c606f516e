/* linkspan through its C ABI: c_linkspan [--queue|--callback] --echo … , see ../README.md.
   --queue: this thread starts calls and drains a completion queue in batches, blocking while it is empty.
   --callback: everything happens in completion callbacks, on the engine's thread; this thread sleeps. */
#include <errno.h>
#include <linkspan.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"

#define METHOD "/bench.Echo/Call"
#define BATCH 128
/* Messages from this size on are lent to the library, shorter ones copied by it. */
#define LEND_FROM 16384

struct client {
  struct arguments arguments;
  int by_callback;
  linkspan_engine engine;
  linkspan_queue queue;
  linkspan_credentials insecure;
  /* To the echo server, for as long as the program lives. */
  linkspan_channel echo;
  /* Posted by the callback that finds the work done. */
  sem_t over;
};

/* One command being worked on. With callbacks only the engine's thread touches it from the first event to the last. */
struct work {
  struct client *client;
  const struct command *command;
  struct window window;
  linkspan_channel channel;
  /* Of the next call; `unary` has one for every call in flight, all alike. */
  linkspan_call_options *options;
  /* Starts what may be started now. */
  void (*begin)(struct work *work);
  void (*on_event)(struct work *work, const linkspan_event *event);
  /* Calls under way. */
  long running;
  /* The stream under way. */
  linkspan_call call;
  long sent, received;
  int is_my_turn;
  /* What `memory` and `idle` open. */
  linkspan_channel *channels;
  long opened;
  /* Why the result is none. */
  char error[512];
};

static void fail(struct work *work, const char *format, ...) {
  va_list arguments;
  if (work->error[0] != '\0') return;
  va_start(arguments, format);
  vsnprintf(work->error, sizeof work->error, format, arguments);
  va_end(arguments);
}

static int goes_on(struct work *work) { return window_goes_on(&work->window) && work->error[0] == '\0'; }

/* What goes wrong in the middle of a stream ends it; its STATUS follows. */
static void break_off(linkspan_call call) { linkspan_call_cancel(call, LINKSPAN_CODE_CANCELLED, NULL, 0); }

static void check_code(struct work *work, const linkspan_event *event) {
  if (event->code != LINKSPAN_CODE_OK)
    fail(work, "%s: %.*s", linkspan_code_text(event->code), (int)event->text_len, event->text);
}

/* Nobody has to be told: the payload stays. */
static void keep_payload(void *user_data) { (void)user_data; }

static linkspan_message message_of(const uint8_t *bytes, size_t len) {
  linkspan_message message;
  memset(&message, 0, sizeof message);
  message.bytes = bytes;
  message.len = len;
  if (len >= LEND_FROM) message.release = keep_payload;
  return message;
}

/* 0 when nothing runs any more: the work is done. */
static int begin_more(struct work *work) {
  work->begin(work);
  return work->running > 0;
}

static void on_callback(void *user_data, const linkspan_event *event) {
  struct work *work = user_data;
  work->on_event(work, event);
  if (!begin_more(work)) sem_post(&work->client->over);
}

/* The first callback of all: from here on the work belongs to the engine's thread. */
static void on_engine_thread(void *user_data, const linkspan_event *event) {
  struct work *work = user_data;
  check_code(work, event);
  if (!begin_more(work)) sem_post(&work->client->over);
}

static linkspan_call_options new_options(const struct client *client, const uint8_t *bytes, size_t len) {
  linkspan_call_options options;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.flags = LINKSPAN_CALL_SKIP_INITIAL;
  options.queue = client->queue;
  options.method = METHOD;
  options.method_len = sizeof METHOD - 1;
  options.message = message_of(bytes, len);
  return options;
}

/* The options of one call of this work. */
static linkspan_call_options work_options(struct work *work, const uint8_t *bytes, size_t len) {
  linkspan_call_options options = new_options(work->client, bytes, len);
  if (work->client->by_callback) {
    options.callback = on_callback;
    options.user_data = work;
  }
  return options;
}

static void drive_by_queue(struct work *work) {
  linkspan_event events[BATCH];
  while (begin_more(work)) {
    size_t count, at;
    linkspan_result result =
        linkspan_queue_next(work->client->queue, events, sizeof *events, BATCH, LINKSPAN_FOREVER, &count);
    if (result != LINKSPAN_OK) {
      /* Without events nothing that runs can be waited for. */
      fprintf(stderr, "linkspan_queue_next: %s\n", linkspan_result_text(result));
      exit(1);
    }
    for (at = 0; at < count; at++) work->on_event(work, &events[at]);
    linkspan_events_release(events, sizeof *events, count);
  }
}

static void drive_by_callback(struct work *work) {
  linkspan_call_options options = new_options(work->client, payload_of(DEFAULT_SIZE), DEFAULT_SIZE);
  linkspan_result result;
  options.callback = on_engine_thread;
  options.user_data = work;
  result = linkspan_channel_unary(work->client->echo, &options, NULL);
  if (result != LINKSPAN_OK) {
    fail(work, "%s", linkspan_result_text(result));
    return;
  }
  while (sem_wait(&work->client->over) != 0 && errno == EINTR) continue;
}

/* Works until nothing is left to start and all has ended. */
static void drive(struct work *work) {
  if (work->client->by_callback)
    drive_by_callback(work);
  else
    drive_by_queue(work);
}

/* 0 when it cannot be made; the work has the reason then. */
static linkspan_channel open_channel(struct work *work, const char *target, linkspan_credentials credentials) {
  linkspan_channel channel = 0;
  linkspan_error error;
  memset(&error, 0, sizeof error);
  error.struct_size = sizeof error;
  if (linkspan_channel_new(work->client->engine, target, LINKSPAN_NUL, credentials, 0, &channel, &error) != LINKSPAN_OK)
    fail(work, "channel to %s: %s", target, error.message);
  return channel;
}

/* ---- unary ---- */

static void begin_unary(struct work *work) {
  size_t wanted = (size_t)(work->command->in_flight - work->running), begun = 0;
  linkspan_result result;
  if (!goes_on(work)) return;
  result = linkspan_channel_unary_many(work->channel, work->options, wanted, NULL, &begun);
  work->running += (long)begun;
  if (result != LINKSPAN_OK) fail(work, "%s", linkspan_result_text(result));
}

static void end_unary(struct work *work, const linkspan_event *event) {
  work->running--;
  work->window.operations++;
  check_code(work, event);
  if (event->message_len != work->options->message.len) fail(work, "%lu bytes came back", (unsigned long)event->message_len);
}

static void unary(struct work *work) {
  size_t count = (size_t)work->command->in_flight, at;
  const uint8_t *payload = payload_of(work->command->size);
  work->options = malloc(count * sizeof *work->options);
  if (payload == NULL || work->options == NULL) {
    fail(work, "too large for this program");
  } else {
    for (at = 0; at < count; at++) work->options[at] = work_options(work, payload, (size_t)work->command->size);
    work->begin = begin_unary;
    work->on_event = end_unary;
    drive(work);
  }
  free(work->options);
}

/* ---- streams, one after the other ---- */

/* How many messages of this size come back from the stream under way. */
static long expected_messages(const struct work *work) {
  return is_workload(work->command, "ping_pong") ? work->sent : work->command->messages;
}

static void send_more(struct work *work) {
  while (work->sent < work->command->messages) {
    int is_last = work->sent + 1 == work->command->messages;
    linkspan_result result = linkspan_call_send(work->call, &work->options->message, is_last ? LINKSPAN_CALL_LAST : 0);
    /* WRITABLE will say when to go on; after ECLOSED the STATUS will say why. */
    if (result == LINKSPAN_EAGAIN || result == LINKSPAN_ECLOSED) return;
    if (result != LINKSPAN_OK) {
      fail(work, "%s", linkspan_result_text(result));
      break_off(work->call);
      return;
    }
    work->sent++;
  }
}

/* The request, or the first message, goes with the start. */
static void start_stream(struct work *work) {
  linkspan_result result = linkspan_channel_stream(work->channel, work->options, &work->call);
  work->sent = 1;
  work->received = 0;
  work->is_my_turn = 0;
  work->running = result == LINKSPAN_OK;
  if (result != LINKSPAN_OK) fail(work, "%s", linkspan_result_text(result));
}

static void begin_server_stream(struct work *work) {
  if (goes_on(work) && work->running == 0) start_stream(work);
}

static void begin_blast(struct work *work) {
  if (!goes_on(work) || work->running > 0) return;
  start_stream(work);
  if (work->running > 0) send_more(work);
}

static void begin_ping_pong(struct work *work) {
  int is_wanted = goes_on(work);
  if (work->running == 0) {
    if (is_wanted) start_stream(work);
  } else if (work->is_my_turn) {
    const linkspan_message *message = is_wanted ? &work->options->message : NULL;
    linkspan_result result = linkspan_call_send(work->call, message, is_wanted ? 0 : LINKSPAN_CALL_LAST);
    work->is_my_turn = 0;
    work->sent += is_wanted;
    if (result != LINKSPAN_OK) {
      fail(work, "%s", linkspan_result_text(result));
      break_off(work->call);
    }
  }
}

static void on_stream_event(struct work *work, const linkspan_event *event) {
  size_t size = (size_t)(is_workload(work->command, "server_stream") ? STREAM_MESSAGE_SIZE : work->command->size);
  switch (event->kind) {
    case LINKSPAN_EVENT_MESSAGE:
      work->received++;
      work->window.operations++;
      work->is_my_turn = 1;
      if (event->message_len != size) {
        fail(work, "a message of %lu bytes came back", (unsigned long)event->message_len);
        break_off(event->handle);
      }
      return;
    case LINKSPAN_EVENT_WRITABLE:
      send_more(work);
      return;
    case LINKSPAN_EVENT_STATUS:
      work->running = 0;
      check_code(work, event);
      if (work->received != expected_messages(work))
        fail(work, "%ld messages came instead of %ld", work->received, expected_messages(work));
      return;
    default:
      return;
  }
}

static void streams(struct work *work, const uint8_t *bytes, size_t len, uint32_t flags, void (*begin)(struct work *)) {
  linkspan_call_options options = work_options(work, bytes, len);
  options.flags |= flags;
  /* All of them are expected, so none has to be asked for. */
  options.read_credit = is_workload(work->command, "ping_pong") ? UINT32_MAX : (uint32_t)work->command->messages;
  work->options = &options;
  work->begin = begin;
  work->on_event = on_stream_event;
  if (bytes == NULL) {
    fail(work, "too large for this program");
    return;
  }
  drive(work);
}

static void server_stream(struct work *work) {
  char request[16];
  int len = snprintf(request, sizeof request, "%ld", work->command->messages);
  work->channel = open_channel(work, work->client->arguments.stream, work->client->insecure);
  if (work->channel != 0)
    streams(work, (const uint8_t *)request, (size_t)len, LINKSPAN_CALL_LAST, begin_server_stream);
  linkspan_handle_close(work->channel);
}

static void ping_pong(struct work *work) {
  streams(work, payload_of(work->command->size), (size_t)work->command->size, 0, begin_ping_pong);
}

static void blast(struct work *work) {
  uint32_t flags = work->command->messages == 1 ? LINKSPAN_CALL_LAST : 0;
  streams(work, payload_of(work->command->size), (size_t)work->command->size, flags, begin_blast);
}

/* ---- other channels ---- */

static void unary_tls(struct work *work) {
  linkspan_tls_options tls;
  linkspan_credentials credentials = 0;
  char *roots = read_file(work->client->arguments.ca);
  memset(&tls, 0, sizeof tls);
  tls.struct_size = sizeof tls;
  tls.roots_pem.bytes = (const uint8_t *)roots;
  tls.roots_pem.len = LINKSPAN_NUL;
  if (roots == NULL || linkspan_credentials_tls(&tls, &credentials, NULL) != LINKSPAN_OK) {
    fail(work, "no certificate in %s", work->client->arguments.ca);
  } else {
    work->channel = open_channel(work, work->client->arguments.tls, credentials);
    if (work->channel != 0) unary(work);
    linkspan_handle_close(work->channel);
  }
  linkspan_handle_close(credentials);
  free(roots);
}

static void pick(struct work *work) {
  char *target = pick_target(work->client->arguments.echo, work->command->addresses);
  work->channel = target == NULL ? 0 : open_channel(work, target, work->client->insecure);
  if (work->channel != 0) unary(work);
  linkspan_handle_close(work->channel);
  free(target);
}

/* One after the other: a channel and a call on it. */
static void begin_opening(struct work *work) {
  linkspan_channel channel;
  linkspan_result result;
  if (work->running > 0 || work->error[0] != '\0' || work->opened == work->command->channels) return;
  channel = open_channel(work, work->client->arguments.echo, work->client->insecure);
  result = linkspan_channel_unary(channel, work->options, NULL);
  work->channels[work->opened++] = channel;
  work->running = result == LINKSPAN_OK;
  if (result != LINKSPAN_OK) fail(work, "%s", linkspan_result_text(result));
}

/* Nothing to do for as long as the command says. */
static void be_idle(struct work *work) {
  double seconds = work->command->seconds;
  if (work->client->by_callback) {
    struct timespec time;
    time.tv_sec = (time_t)seconds;
    time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
    nanosleep(&time, NULL);
  } else {
    linkspan_event event;
    size_t count;
    if (linkspan_queue_next(work->client->queue, &event, sizeof event, 1, (int64_t)(seconds * 1e9), &count) !=
        LINKSPAN_ETIMEDOUT)
      fail(work, "something happened while nothing should");
  }
}

static void channels(struct work *work) {
  linkspan_call_options options = work_options(work, payload_of(DEFAULT_SIZE), DEFAULT_SIZE);
  int64_t before, grown;
  struct sample first, last;
  double open_s = -1;
  work->options = &options;
  work->begin = begin_opening;
  work->on_event = end_unary;
  work->channels = calloc((size_t)work->command->channels, sizeof *work->channels);
  if (work->channels == NULL) {
    fail(work, "too many channels");
    return;
  }
  before = resident_bytes();
  first = take_sample(0);
  drive(work);
  last = take_sample(work->opened);
  grown = resident_bytes() - before;
  if (is_workload(work->command, "idle")) {
    open_s = (double)(last.wall_ns - first.wall_ns) / 1e9;
    first = take_sample(0);
    be_idle(work);
    last = take_sample(work->opened);
  }
  if (work->error[0] == '\0') answer_channels(&first, &last, grown, open_s);
  while (work->opened > 0) linkspan_handle_close(work->channels[--work->opened]);
  free(work->channels);
}

/* ---- the program ---- */

static void obey(struct client *client, const struct command *command) {
  static const struct {
    const char *name;
    void (*run)(struct work *work);
  } workloads[] = {
      {"unary", unary},         {"unary_tls", unary_tls}, {"server_stream", server_stream}, {"ping_pong", ping_pong},
      {"blast", blast},         {"memory", channels},     {"idle", channels},               {"pick", pick},
  };
  struct work work;
  size_t at;
  for (at = 0; at < sizeof workloads / sizeof *workloads; at++) {
    if (!is_workload(command, workloads[at].name)) continue;
    memset(&work, 0, sizeof work);
    work.client = client;
    work.command = command;
    if (client->echo == 0) client->echo = open_channel(&work, client->arguments.echo, client->insecure);
    work.channel = client->echo;
    window_open(&work.window, command);
    workloads[at].run(&work);
    if (work.error[0] != '\0')
      answer_error(work.error);
    else if (workloads[at].run != channels)
      answer_window(&work.window);
    return;
  }
  answer_unsupported("one thread makes all the calls here");
}

static void open_client(struct client *client) {
  linkspan_error error;
  memset(&error, 0, sizeof error);
  error.struct_size = sizeof error;
  if (linkspan_engine_new(LINKSPAN_ABI, 0, &client->engine, &error) != LINKSPAN_OK ||
      linkspan_queue_new(client->engine, 0, &client->queue, &error) != LINKSPAN_OK ||
      linkspan_credentials_insecure(&client->insecure) != LINKSPAN_OK) {
    fprintf(stderr, "no engine: %s\n", error.message);
    exit(1);
  }
  sem_init(&client->over, 0, 0);
}

static void close_client(struct client *client) {
  linkspan_handle_close(client->echo);
  linkspan_handle_close(client->insecure);
  linkspan_handle_close(client->queue);
  linkspan_engine_shutdown(client->engine, 0);
  linkspan_engine_join(client->engine, 5000000000);
  linkspan_handle_close(client->engine);
  sem_destroy(&client->over);
}

/* All from nothing to the first answer. */
static int start(struct client *client) {
  struct sample first = take_sample(0), last;
  linkspan_call_options options;
  linkspan_event event;
  int is_good;
  open_client(client);
  options = new_options(client, payload_of(DEFAULT_SIZE), DEFAULT_SIZE);
  options.queue = 0;
  is_good = linkspan_channel_new(client->engine, client->arguments.echo, LINKSPAN_NUL, client->insecure, 0, &client->echo,
                                 NULL) == LINKSPAN_OK &&
            linkspan_channel_unary_wait(client->echo, &options, &event, sizeof event) == LINKSPAN_OK &&
            event.code == LINKSPAN_CODE_OK && event.message_len == DEFAULT_SIZE;
  last = take_sample(1);
  if (is_good) {
    linkspan_events_release(&event, sizeof event, 1);
    answer_start(&first, &last);
  } else {
    answer_error("the first call failed");
  }
  close_client(client);
  return is_good ? 0 : 1;
}

int main(int argc, char **argv) {
  static struct client client;
  struct command command;
  char version[64] = "?";
  client.arguments = read_arguments(argc, argv, "c_linkspan [--queue|--callback]");
  client.by_callback = client.arguments.mode != NULL && strcmp(client.arguments.mode, "--callback") == 0;
  if (!client.by_callback && client.arguments.mode != NULL && strcmp(client.arguments.mode, "--queue") != 0) {
    fprintf(stderr, "c_linkspan: %s is neither --queue nor --callback\n", client.arguments.mode);
    return 2;
  }
  if (client.arguments.is_start) return start(&client);
  allow_descriptors();
  open_client(&client);
  sscanf(linkspan_version_text(), "%*s %63s", version);
  answer_hello(client.by_callback ? "linkspan C, callbacks" : "linkspan C, queue", version);
  while (next_command(&command)) obey(&client, &command);
  close_client(&client);
  return 0;
}
