/* gRPC's interop cases against a server nobody here wrote: interop HOST:PORT [CASE...]. One line per case. */
#include "check.h"
#include "messages.h"

#define SERVICE "/grpc.testing.TestService/"
#define LARGE_REQUEST 271828
#define LARGE_RESPONSE 314159

static const size_t request_sizes[4] = {27182, 8, 1828, 45904};
static const uint32_t response_sizes[4] = {31415, 9, 2653, 58979};

/* Why the running case failed; empty while it has not. */
static char failure[600];

static int failed(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(failure, sizeof failure, format, arguments);
  va_end(arguments);
  return 0;
}

static int has_code(const linkspan_event *event, linkspan_code wanted) {
  if (event->code == wanted) return 1;
  return failed("expected %s, got %s: %.*s", linkspan_code_text(wanted), linkspan_code_text(event->code),
                (int)event->text_len, event->text);
}

static int has_text(const linkspan_event *event, const char *wanted) {
  if (event->text_len == strlen(wanted) && memcmp(event->text, wanted, event->text_len) == 0) return 1;
  return failed("expected the text \"%s\", got \"%.*s\"", wanted, (int)event->text_len, event->text);
}

static int has_payload(const linkspan_event *event, long wanted) {
  long size = payload_size(event->message, event->message_len);
  return size == wanted || failed("expected a payload of %ld bytes, got %ld", wanted, size);
}

static int has_kind(const linkspan_event *event, linkspan_event_kind wanted) {
  if (event->kind == wanted) return 1;
  return failed("expected event kind %u, got %u with %s: %.*s", wanted, event->kind, linkspan_code_text(event->code),
                (int)event->text_len, event->text);
}

/* A blocking call; request is freed. */
static linkspan_event unary(const struct client *client, const char *method, struct message *request,
                            const linkspan_metadata_entry *metadata, size_t count) {
  linkspan_call_options options = call_options(method);
  linkspan_event event;
  options.message = bytes_message(request->bytes, request->len);
  options.metadata = metadata;
  options.metadata_count = count;
  OK(linkspan_channel_unary_wait(client->channel, &options, &event, sizeof event));
  message_free(request);
  return event;
}

static linkspan_call start_stream(const struct client *client, const char *method, int64_t timeout_ns,
                                  const linkspan_metadata_entry *metadata, size_t count) {
  linkspan_call_options options = call_options(method);
  linkspan_call call;
  options.queue = client->queue;
  options.timeout_ns = timeout_ns;
  options.metadata = metadata;
  options.metadata_count = count;
  OK(linkspan_channel_stream(client->channel, &options, &call));
  return call;
}

/* Sends and frees. A call that has ended already takes nothing, and its status tells why. */
static void send_message(linkspan_call call, struct message *message, uint32_t flags) {
  linkspan_message m = bytes_message(message->bytes, message->len);
  linkspan_result result = linkspan_call_send(call, &m, flags);
  if (result != LINKSPAN_ECLOSED) OK(result);
  message_free(message);
}

/* Allows one more message. A call that has ended already has told, or will tell, how. */
static void read_one(linkspan_call call) {
  linkspan_result result = linkspan_call_read(call, 1);
  if (result != LINKSPAN_ECLOSED) OK(result);
}

static void half_close(linkspan_call call) {
  linkspan_result result = linkspan_call_send(call, NULL, LINKSPAN_CALL_LAST);
  if (result != LINKSPAN_ECLOSED) OK(result);
}

/* The next event that is neither initial metadata nor leave to send. */
static linkspan_event next_answer(const struct client *client) {
  for (;;) {
    linkspan_event event = next_event(client->queue);
    if (event.kind != LINKSPAN_EVENT_HEADERS && event.kind != LINKSPAN_EVENT_WRITABLE) return event;
    release_event(&event);
  }
}

/* Expects the stream's end with this code and, unless NULL, this text. */
static int ends_with(const struct client *client, linkspan_code code, const char *text) {
  linkspan_event event = next_answer(client);
  int good = has_kind(&event, LINKSPAN_EVENT_STATUS) && has_code(&event, code) && (text == NULL || has_text(&event, text));
  release_event(&event);
  return good;
}

/* Expects one message of a stream with a payload of this size. */
static int answers_with(const struct client *client, linkspan_call call, uint32_t size) {
  linkspan_event event;
  int good;
  read_one(call);
  event = next_answer(client);
  good = has_kind(&event, LINKSPAN_EVENT_MESSAGE) && has_payload(&event, (long)size);
  release_event(&event);
  return good;
}

static int empty_unary(const struct client *client) {
  struct message empty = {0};
  linkspan_event event = unary(client, SERVICE "EmptyCall", &empty, NULL, 0);
  int good = has_code(&event, LINKSPAN_CODE_OK) &&
             ((event.message != NULL && event.message_len == 0) || failed("expected an empty message"));
  release_event(&event);
  return good;
}

static int large_unary(const struct client *client) {
  struct message request = simple_request(LARGE_RESPONSE, LARGE_REQUEST);
  linkspan_event event = unary(client, SERVICE "UnaryCall", &request, NULL, 0);
  int good = has_code(&event, LINKSPAN_CODE_OK) && has_payload(&event, LARGE_RESPONSE);
  release_event(&event);
  return good;
}

static int client_streaming(const struct client *client) {
  linkspan_call call = start_stream(client, SERVICE "StreamingInputCall", 0, NULL, 0);
  linkspan_event event;
  struct field sum = {0, 0, NULL, 0};
  int at, good;
  for (at = 0; at < 4; at++) {
    struct message request = input_request(request_sizes[at]);
    send_message(call, &request, at == 3 ? LINKSPAN_CALL_LAST : 0);
  }
  read_one(call);
  event = next_answer(client);
  good = has_kind(&event, LINKSPAN_EVENT_MESSAGE) &&
         ((find_field(event.message, event.message_len, 1, &sum) == 1 && sum.value == 74922) ||
          failed("expected the sum 74922, got %lu", (unsigned long)sum.value));
  release_event(&event);
  return good && ends_with(client, LINKSPAN_CODE_OK, NULL);
}

static int server_streaming(const struct client *client) {
  linkspan_call call = start_stream(client, SERVICE "StreamingOutputCall", 0, NULL, 0);
  struct message request = {0};
  int at;
  for (at = 0; at < 4; at++) put_response_size(&request, response_sizes[at]);
  send_message(call, &request, LINKSPAN_CALL_LAST);
  for (at = 0; at < 4; at++)
    if (!answers_with(client, call, response_sizes[at])) return 0;
  read_one(call);
  return ends_with(client, LINKSPAN_CODE_OK, NULL);
}

static int ping_pong(const struct client *client) {
  linkspan_call call = start_stream(client, SERVICE "FullDuplexCall", 0, NULL, 0);
  int at;
  for (at = 0; at < 4; at++) {
    struct message request = {0};
    put_response_size(&request, response_sizes[at]);
    put_payload(&request, 3, request_sizes[at]);
    send_message(call, &request, 0);
    if (!answers_with(client, call, response_sizes[at])) return 0;
  }
  half_close(call);
  return ends_with(client, LINKSPAN_CODE_OK, NULL);
}

static int empty_stream(const struct client *client) {
  linkspan_call call = start_stream(client, SERVICE "FullDuplexCall", 0, NULL, 0);
  read_one(call);
  half_close(call);
  return ends_with(client, LINKSPAN_CODE_OK, NULL);
}

static linkspan_slice slice(const char *bytes, size_t len) {
  linkspan_slice slice;
  slice.bytes = (const uint8_t *)bytes;
  slice.len = len;
  return slice;
}

static const char initial_key[] = "x-grpc-test-echo-initial", initial_value[] = "test_initial_metadata_value";
static const char trailing_key[] = "x-grpc-test-echo-trailing-bin", trailing_value[] = "\xab\xab\xab";

/* Exactly one entry with this key, and this value in it. */
static int has_entry(const linkspan_metadata_entry *entries, size_t count, const char *key, const char *value) {
  size_t at, seen = 0, equal = 0;
  for (at = 0; at < count; at++) {
    if (entries[at].key.len != strlen(key) || memcmp(entries[at].key.bytes, key, strlen(key)) != 0) continue;
    seen++;
    equal += entries[at].value.len == strlen(value) && memcmp(entries[at].value.bytes, value, strlen(value)) == 0;
  }
  return (seen == 1 && equal == 1) || failed("expected %s once with its value, got it %lu times", key, (unsigned long)seen);
}

static int custom_metadata(const struct client *client) {
  linkspan_metadata_entry metadata[2];
  struct message request = simple_request(1, 1);
  linkspan_event event;
  linkspan_call call;
  int good;
  memset(metadata, 0, sizeof metadata);
  metadata[0].key = slice(initial_key, LINKSPAN_NUL);
  metadata[0].value = slice(initial_value, LINKSPAN_NUL);
  metadata[1].key = slice(trailing_key, LINKSPAN_NUL);
  metadata[1].value = slice(trailing_value, 3);
  event = unary(client, SERVICE "UnaryCall", &request, metadata, 2);
  good = has_code(&event, LINKSPAN_CODE_OK) &&
         has_entry(event.initial, event.initial_count, initial_key, initial_value) &&
         has_entry(event.trailing, event.trailing_count, trailing_key, trailing_value);
  release_event(&event);
  if (!good) return 0;
  call = start_stream(client, SERVICE "FullDuplexCall", 0, metadata, 2);
  put_response_size(&request, 1);
  put_payload(&request, 3, 1);
  send_message(call, &request, 0);
  event = next_event(client->queue);
  good = has_kind(&event, LINKSPAN_EVENT_HEADERS) &&
         has_entry(event.initial, event.initial_count, initial_key, initial_value);
  release_event(&event);
  if (!good || !answers_with(client, call, 1)) return 0;
  half_close(call);
  event = next_answer(client);
  good = has_kind(&event, LINKSPAN_EVENT_STATUS) && has_code(&event, LINKSPAN_CODE_OK) &&
         has_entry(event.trailing, event.trailing_count, trailing_key, trailing_value);
  release_event(&event);
  return good;
}

static int unary_status(const struct client *client, const char *text) {
  struct message request = {0};
  linkspan_event event;
  int good;
  put_status(&request, 7, LINKSPAN_CODE_UNKNOWN, text);
  event = unary(client, SERVICE "UnaryCall", &request, NULL, 0);
  good = has_code(&event, LINKSPAN_CODE_UNKNOWN) && has_text(&event, text);
  release_event(&event);
  return good;
}

static int status_code_and_message(const struct client *client) {
  static const char text[] = "test status message";
  struct message request = {0};
  linkspan_call call;
  if (!unary_status(client, text)) return 0;
  call = start_stream(client, SERVICE "FullDuplexCall", 0, NULL, 0);
  put_status(&request, 7, LINKSPAN_CODE_UNKNOWN, text);
  send_message(call, &request, LINKSPAN_CALL_LAST);
  return ends_with(client, LINKSPAN_CODE_UNKNOWN, text);
}

static int special_status_message(const struct client *client) {
  return unary_status(client, "\t\ntest with whitespace\r\nand Unicode BMP \xe2\x98\xba and non-BMP \xf0\x9f\x98\x88\t\n");
}

static int unimplemented(const struct client *client, const char *method) {
  struct message empty = {0};
  linkspan_event event = unary(client, method, &empty, NULL, 0);
  int good = has_code(&event, LINKSPAN_CODE_UNIMPLEMENTED);
  release_event(&event);
  return good;
}

static int unimplemented_method(const struct client *client) {
  return unimplemented(client, SERVICE "UnimplementedCall");
}

static int unimplemented_service(const struct client *client) {
  return unimplemented(client, "/grpc.testing.UnimplementedService/UnimplementedCall");
}

static int cancel_after_begin(const struct client *client) {
  linkspan_call call = start_stream(client, SERVICE "StreamingInputCall", 0, NULL, 0);
  OK(linkspan_call_cancel(call, LINKSPAN_CODE_CANCELLED, "cancelled by the test", LINKSPAN_NUL));
  return ends_with(client, LINKSPAN_CODE_CANCELLED, NULL);
}

static int cancel_after_first_response(const struct client *client) {
  linkspan_call call = start_stream(client, SERVICE "FullDuplexCall", 0, NULL, 0);
  struct message request = {0};
  put_response_size(&request, response_sizes[0]);
  put_payload(&request, 3, request_sizes[0]);
  send_message(call, &request, 0);
  if (!answers_with(client, call, response_sizes[0])) return 0;
  OK(linkspan_call_cancel(call, LINKSPAN_CODE_CANCELLED, "cancelled by the test", LINKSPAN_NUL));
  return ends_with(client, LINKSPAN_CODE_CANCELLED, NULL);
}

static int timeout_on_sleeping_server(const struct client *client) {
  linkspan_call call = start_stream(client, SERVICE "FullDuplexCall", 1000000, NULL, 0);
  struct message request = {0};
  put_payload(&request, 3, request_sizes[0]);
  send_message(call, &request, 0);
  return ends_with(client, LINKSPAN_CODE_DEADLINE_EXCEEDED, NULL);
}

static const struct {
  const char *name;
  int (*run)(const struct client *client);
} cases[] = {
  {"empty_unary", empty_unary},
  {"large_unary", large_unary},
  {"client_streaming", client_streaming},
  {"server_streaming", server_streaming},
  {"ping_pong", ping_pong},
  {"empty_stream", empty_stream},
  {"custom_metadata", custom_metadata},
  {"status_code_and_message", status_code_and_message},
  {"special_status_message", special_status_message},
  {"unimplemented_method", unimplemented_method},
  {"unimplemented_service", unimplemented_service},
  {"cancel_after_begin", cancel_after_begin},
  {"cancel_after_first_response", cancel_after_first_response},
  {"timeout_on_sleeping_server", timeout_on_sleeping_server},
};

#define CASES (sizeof cases / sizeof *cases)

static int is_wanted(const char *name, int count, char **names) {
  int at;
  for (at = 0; at < count; at++)
    if (strcmp(name, names[at]) == 0) return 1;
  return count == 0;
}

int main(int argc, char **argv) {
  size_t at, passed = 0, run = 0;
  int name;
  if (argc < 2) {
    fprintf(stderr, "usage: interop HOST:PORT [CASE...]\n");
    return 2;
  }
  for (name = 2; name < argc; name++) {
    for (at = 0; at < CASES && strcmp(cases[at].name, argv[name]) != 0; at++) continue;
    if (at == CASES) {
      fprintf(stderr, "no case is called %s\n", argv[name]);
      return 2;
    }
  }
  guard(GUARD_SECONDS);
  for (at = 0; at < CASES; at++) {
    struct client client;
    if (!is_wanted(cases[at].name, argc - 2, argv + 2)) continue;
    client = open_client(argv[1]);
    run++;
    failure[0] = '\0';
    if (cases[at].run(&client)) {
      passed++;
      printf("ok %s\n", cases[at].name);
    } else {
      printf("FAILED %s: %s\n", cases[at].name, failure);
    }
    fflush(stdout);
    close_client(&client);
  }
  printf("%lu passed, %lu failed\n", (unsigned long)passed, (unsigned long)(run - passed));
  return passed == run ? 0 : 1;
}
