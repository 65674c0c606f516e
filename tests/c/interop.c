/* gRPC's interop cases against a server nobody here wrote: interop HOST:PORT [--flag=value...] [CASE...]. One line per case. */
#include "check.h"
#include "interop_flags.h"
#include "interop_load.h"
#include "interop_soak.h"
#include "interop_steps.h"
#include "messages.h"

#define PICKS 100
#define CONCURRENT_CALLS 1000
#define LONG_LIVED_CALLS 5
#define VERY_LARGE_REQUEST (10 << 20)
#define CALLS_AT_ONCE 10

static const size_t request_sizes[4] = {27182, 8, 1828, 45904};
static const uint32_t response_sizes[4] = {31415, 9, 2653, 58979};

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

/* Expects the one message of a stream of requests, with the sum of their sizes. */
static int has_sum(const struct client *client, linkspan_call call, unsigned long wanted) {
  struct field sum = {0, 0, NULL, 0};
  linkspan_event event;
  int good;
  read_one(call);
  event = next_answer(client);
  good = has_kind(&event, LINKSPAN_EVENT_MESSAGE) &&
         ((find_field(event.message, event.message_len, 1, &sum) == 1 && sum.value == wanted) ||
          failed("expected the sum %lu, got %lu", wanted, (unsigned long)sum.value));
  release_event(&event);
  return good;
}

static int client_streaming(const struct client *client) {
  linkspan_call call = start_stream(client, SERVICE "StreamingInputCall", 0, NULL, 0);
  int at;
  for (at = 0; at < 4; at++) {
    struct message request = input_request(request_sizes[at]);
    send_message(call, &request, at == 3 ? LINKSPAN_CALL_LAST : 0);
  }
  return has_sum(client, call, 74922) && ends_with(client, LINKSPAN_CODE_OK, NULL);
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

/* Copies a text field of a response; empty when it is absent. */
static void copy_text(const linkspan_event *event, uint32_t number, char *out, size_t room) {
  struct field text = {0, 0, NULL, 0};
  find_field(event->message, event->message_len, number, &text);
  snprintf(out, room, "%.*s", (int)text.len, text.bytes == NULL ? "" : (const char *)text.bytes);
}

static int pick_first_unary(const struct client *client) {
  char first[200] = "", name[200];
  int call;
  for (call = 0; call < PICKS; call++) {
    struct message request = simple_request(1, 1);
    linkspan_event event;
    int good;
    put_number(&request, 9, 1);
    event = unary(client, SERVICE "UnaryCall", &request, NULL, 0);
    good = has_code(&event, LINKSPAN_CODE_OK);
    copy_text(&event, 4, name, sizeof name);
    release_event(&event);
    if (!good) return 0;
    if (call == 0) strcpy(first, name);
    if (*name == '\0' || strcmp(first, name) != 0) return failed("expected the server \"%s\" again, got \"%s\"", first, name);
  }
  return 1;
}

/* The server allows two streams on a connection, so that the third call needs another. */
static int max_concurrent_streams_connection_scaling(const struct client *client) {
  char peers[3][200];
  linkspan_call calls[3];
  int at;
  for (at = 0; at < 3; at++) {
    struct message request = {0}, parameters = {0};
    linkspan_event event;
    int good;
    calls[at] = start_stream(client, SERVICE "FullDuplexCall", 0, NULL, 0);
    put_bool_value(&parameters, 4, 1);
    put_message(&request, 2, &parameters);
    send_message(calls[at], &request, 0);
    read_one(calls[at]);
    event = next_answer(client);
    good = has_kind(&event, LINKSPAN_EVENT_MESSAGE);
    copy_text(&event, 2, peers[at], sizeof peers[at]);
    release_event(&event);
    if (!good) return 0;
  }
  for (at = 0; at < 3; at++) {
    half_close(calls[at]);
    if (!ends_with(client, LINKSPAN_CODE_OK, NULL)) return 0;
  }
  return (*peers[0] != '\0' && strcmp(peers[0], peers[1]) == 0 && strcmp(peers[0], peers[2]) != 0) ||
         failed("expected two calls on one connection and one on another, got %s, %s, %s", peers[0], peers[1], peers[2]);
}

static int large_at_once(const struct client *client, int count) {
  struct message request = simple_request(LARGE_RESPONSE, LARGE_REQUEST);
  linkspan_call_options options = call_options(SERVICE "UnaryCall");
  int at, good = 1;
  options.queue = client->queue;
  options.message = bytes_message(request.bytes, request.len);
  for (at = 0; at < count; at++) OK(linkspan_channel_unary(client->channel, &options, NULL));
  for (at = 0; at < count; at++) {
    linkspan_event event = next_event(client->queue);
    good = good && has_code(&event, LINKSPAN_CODE_OK) && has_payload(&event, LARGE_RESPONSE);
    release_event(&event);
  }
  message_free(&request);
  return good;
}

static int concurrent_large_unary(const struct client *client) { return large_at_once(client, CONCURRENT_CALLS); }

static void pause_ms(long ms) {
  struct timespec pause;
  pause.tv_sec = (time_t)(ms / 1000);
  pause.tv_nsec = ms % 1000 * 1000000;
  nanosleep(&pause, NULL);
}

static int long_lived_channel(const struct client *client) {
  int call;
  for (call = 0; call < LONG_LIVED_CALLS; call++) {
    if (!large_unary(client)) return 0;
    pause_ms(200);
  }
  return 1;
}

static int very_large_request(const struct client *client) {
  struct message request = simple_request(10, VERY_LARGE_REQUEST);
  linkspan_event event = unary(client, SERVICE "UnaryCall", &request, NULL, 0);
  int good = has_code(&event, LINKSPAN_CODE_OK) && has_payload(&event, 10);
  release_event(&event);
  return good;
}

/* The cases with compression: the server judges by each request how it came, and compresses the responses it is asked to. */

static const size_t compressed_request_sizes[2] = {27182, 45904};
static const uint32_t compressed_response_sizes[2] = {31415, 92653};

/* A large call that goes compressed or not, and whose server is told what to expect. */
static linkspan_event large_expected(const struct client *client, uint32_t compression, int is_expected) {
  struct message request = simple_request(LARGE_RESPONSE, LARGE_REQUEST);
  linkspan_call_options options = call_options(SERVICE "UnaryCall");
  linkspan_event event;
  put_bool_value(&request, 8, is_expected);
  options.message = bytes_message(request.bytes, request.len);
  options.compression = compression;
  OK(linkspan_channel_unary_wait(client->channel, &options, &event, sizeof event));
  message_free(&request);
  return event;
}

static int client_compressed_unary_noprobe(const struct client *client) {
  int is_compressed, good = 1;
  for (is_compressed = 1; good && is_compressed >= 0; is_compressed--) {
    uint32_t compression = is_compressed ? LINKSPAN_COMPRESSION_GZIP : LINKSPAN_COMPRESSION_IDENTITY;
    linkspan_event event = large_expected(client, compression, is_compressed);
    good = has_code(&event, LINKSPAN_CODE_OK) && has_payload(&event, LARGE_RESPONSE);
    release_event(&event);
  }
  return good;
}

/* A server that judges must refuse the first. */
static int client_compressed_unary(const struct client *client) {
  linkspan_event event = large_expected(client, LINKSPAN_COMPRESSION_IDENTITY, 1);
  int good = has_code(&event, LINKSPAN_CODE_INVALID_ARGUMENT);
  release_event(&event);
  return good && client_compressed_unary_noprobe(client);
}

static int server_compressed_unary(const struct client *client) {
  int wanted, good = 1;
  for (wanted = 1; good && wanted >= 0; wanted--) {
    struct message request = simple_request(LARGE_RESPONSE, LARGE_REQUEST);
    linkspan_event event;
    put_bool_value(&request, 6, wanted);
    event = unary(client, SERVICE "UnaryCall", &request, NULL, 0);
    good = has_code(&event, LINKSPAN_CODE_OK) && has_payload(&event, LARGE_RESPONSE);
    release_event(&event);
  }
  return good;
}

static linkspan_call start_input(const struct client *client, uint32_t compression) {
  linkspan_call_options options = call_options(SERVICE "StreamingInputCall");
  linkspan_call call;
  options.queue = client->queue;
  options.compression = compression;
  OK(linkspan_channel_stream(client->channel, &options, &call));
  return call;
}

static void send_expected(linkspan_call call, size_t size, int is_expected, uint32_t flags) {
  struct message request = input_request(size);
  put_bool_value(&request, 2, is_expected);
  send_message(call, &request, flags);
}

static int client_compressed_streaming_noprobe(const struct client *client) {
  linkspan_call call = start_input(client, LINKSPAN_COMPRESSION_GZIP);
  send_expected(call, compressed_request_sizes[0], 1, 0);
  send_expected(call, compressed_request_sizes[1], 0, LINKSPAN_CALL_UNCOMPRESSED | LINKSPAN_CALL_LAST);
  return has_sum(client, call, 73086) && ends_with(client, LINKSPAN_CODE_OK, NULL);
}

static int client_compressed_streaming(const struct client *client) {
  linkspan_call call = start_input(client, LINKSPAN_COMPRESSION_IDENTITY);
  send_expected(call, compressed_request_sizes[0], 1, LINKSPAN_CALL_LAST);
  return ends_with(client, LINKSPAN_CODE_INVALID_ARGUMENT, NULL) && client_compressed_streaming_noprobe(client);
}

static int server_compressed_streaming(const struct client *client) {
  linkspan_call call = start_stream(client, SERVICE "StreamingOutputCall", 0, NULL, 0);
  struct message request = {0};
  int at;
  for (at = 0; at < 2; at++) {
    struct message parameters = {0};
    put_number(&parameters, 1, compressed_response_sizes[at]);
    put_bool_value(&parameters, 3, at == 0);
    put_message(&request, 2, &parameters);
  }
  send_message(call, &request, LINKSPAN_CALL_LAST);
  for (at = 0; at < 2; at++)
    if (!answers_with(client, call, compressed_response_sizes[at])) return 0;
  read_one(call);
  return ends_with(client, LINKSPAN_CODE_OK, NULL);
}

static int rpc_soak(const struct client *client) { return run_soak(client, 0, failure, sizeof failure); }
static int channel_soak(const struct client *client) { return run_soak(client, 1, failure, sizeof failure); }

/* The negative cases of HTTP/2, [H2-1] to [H2-8]: the server does what its script says. */

static int goaway(const struct client *client) {
  if (!large_unary(client)) return 0;
  pause_ms(1000);
  return large_unary(client);
}

static int resets(const struct client *client) {
  struct message request = simple_request(LARGE_RESPONSE, LARGE_REQUEST);
  linkspan_event event = unary(client, SERVICE "UnaryCall", &request, NULL, 0);
  int good = has_code(&event, LINKSPAN_CODE_INTERNAL);
  release_event(&event);
  return good;
}

static int max_streams(const struct client *client) { return large_unary(client) && large_at_once(client, CALLS_AT_ONCE); }

/* Cases up to this one are run without a name: every interop server serves them. */
#define LAST_EVERYWHERE "timeout_on_sleeping_server"

static const char pick_first[] = "{\"loadBalancingConfig\": [{\"pick_first\": {}}]}";
static const char scaling[] = "{\"connectionScaling\": {\"maxConnectionsPerSubchannel\": 2}}";

static const struct {
  const char *name;
  int (*run)(const struct client *client);
  const char *service_config;
} cases[] = {
  {"empty_unary", empty_unary, NULL},
  {"large_unary", large_unary, NULL},
  {"client_streaming", client_streaming, NULL},
  {"server_streaming", server_streaming, NULL},
  {"ping_pong", ping_pong, NULL},
  {"empty_stream", empty_stream, NULL},
  {"custom_metadata", custom_metadata, NULL},
  {"status_code_and_message", status_code_and_message, NULL},
  {"special_status_message", special_status_message, NULL},
  {"unimplemented_method", unimplemented_method, NULL},
  {"unimplemented_service", unimplemented_service, NULL},
  {"cancel_after_begin", cancel_after_begin, NULL},
  {"cancel_after_first_response", cancel_after_first_response, NULL},
  {LAST_EVERYWHERE, timeout_on_sleeping_server, NULL},
  {"client_compressed_unary", client_compressed_unary, NULL},
  {"client_compressed_unary_noprobe", client_compressed_unary_noprobe, NULL},
  {"server_compressed_unary", server_compressed_unary, NULL},
  {"client_compressed_streaming", client_compressed_streaming, NULL},
  {"client_compressed_streaming_noprobe", client_compressed_streaming_noprobe, NULL},
  {"server_compressed_streaming", server_compressed_streaming, NULL},
  {"pick_first_unary", pick_first_unary, pick_first},
  {"max_concurrent_streams_connection_scaling", max_concurrent_streams_connection_scaling, scaling},
  {"concurrent_large_unary", concurrent_large_unary, NULL},
  {"long_lived_channel", long_lived_channel, NULL},
  {"very_large_request", very_large_request, NULL},
  {"orca_per_rpc", orca_per_rpc, NULL},
  {"orca_oob", orca_oob, NULL},
  {"rpc_soak", rpc_soak, NULL},
  {"channel_soak", channel_soak, NULL},
  {"goaway", goaway, NULL},
  {"rst_after_header", resets, NULL},
  {"rst_during_data", resets, NULL},
  {"rst_after_data", resets, NULL},
  {"ping", large_unary, NULL},
  {"max_streams", max_streams, NULL},
  {"data_frame_padding", large_unary, NULL},
  {"no_df_padding_sanity_test", large_unary, NULL},
};

#define CASES (sizeof cases / sizeof *cases)

/* One line; whether it passed. */
static int run_case(size_t at) {
  struct client client = open_client(flags.target);
  int good;
  OK(linkspan_handle_close(client.channel));
  client.channel = flagged_channel(client.engine, cases[at].service_config);
  failure[0] = '\0';
  good = cases[at].run(&client);
  if (good) printf("ok %s\n", cases[at].name);
  else printf("FAILED %s: %s\n", cases[at].name, failure);
  fflush(stdout);
  close_client(&client);
  return good;
}

int main(int argc, char **argv) {
  size_t at, passed = 0, run = 0;
  int argument, has_cases = 0;
  for (argument = 1; argument < argc; argument++)
    if (strncmp(argv[argument], "--", 2) == 0 && !take_flag(argv[argument])) {
      fprintf(stderr, "%s: there is no such flag, or no such value for it\n", argv[argument]);
      return 2;
    } else if (strncmp(argv[argument], "--", 2) != 0 && flags.target == NULL) {
      flags.target = argv[argument];
      /* No case. */
      argv[argument] = (char *)"--";
    }
  if (flags.target == NULL) {
    fprintf(stderr, "usage: interop HOST:PORT [--flag=value...] [CASE...]\n");
    return 2;
  }
  guard(600);
  for (argument = 1; argument < argc; argument++) {
    if (strncmp(argv[argument], "--", 2) == 0) continue;
    has_cases = 1;
    for (at = 0; at < CASES && strcmp(cases[at].name, argv[argument]) != 0; at++) continue;
    if (at == CASES) {
      fprintf(stderr, "no case is called %s\n", argv[argument]);
      return 2;
    }
    run++;
    passed += (size_t)run_case(at);
  }
  for (at = 0; !has_cases && (at == 0 || strcmp(cases[at - 1].name, LAST_EVERYWHERE) != 0); at++) {
    run++;
    passed += (size_t)run_case(at);
  }
  printf("%lu passed, %lu failed\n", (unsigned long)passed, (unsigned long)(run - passed));
  return passed == run ? 0 : 1;
}
