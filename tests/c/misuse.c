/* Every function with every wrong handle and every pointer it needs left out: results, never a crash, nothing written. */
#include "check.h"

#define ROUNDS 2000

/* One live handle of each kind, and one of each that was closed. */
enum kind { OPTIONS, ENGINE, QUEUE, CREDENTIALS, CHANNEL, CALL, BUFFER, KINDS, REQUEST };

static linkspan_handle live[KINDS], stale[KINDS];

static linkspan_error error;
static linkspan_event event;
static linkspan_call_options options;

/* What output parameters point at; a refused function leaves it alone. */
static union {
  uint64_t number;
  uint8_t bytes[256];
} out;
#define UNTOUCHED 0x5a

static linkspan_result f_close(linkspan_handle h) { return linkspan_handle_close(h); }
static linkspan_result f_set_int(linkspan_handle h) { return linkspan_options_set_int(h, "grpc.x", LINKSPAN_NUL, 1, &error); }
static linkspan_result f_set_text(linkspan_handle h) {
  return linkspan_options_set_text(h, "grpc.x", LINKSPAN_NUL, "v", LINKSPAN_NUL, &error);
}
static linkspan_result f_set_hooks(linkspan_handle h) {
  linkspan_hooks hooks;
  memset(&hooks, 0, sizeof hooks);
  hooks.struct_size = sizeof hooks;
  return linkspan_options_set_hooks(h, &hooks);
}
static linkspan_result f_engine_new(linkspan_handle h) { return linkspan_engine_new(LINKSPAN_ABI, h, &out.number, &error); }
static linkspan_result f_shutdown(linkspan_handle h) { return linkspan_engine_shutdown(h, 0); }
static linkspan_result f_join(linkspan_handle h) { return linkspan_engine_join(h, 0); }
static linkspan_result f_engine_fd(linkspan_handle h) { return linkspan_engine_fd(h, (int64_t *)&out.number); }
static linkspan_result f_timeout(linkspan_handle h) { return linkspan_engine_timeout(h, (int64_t *)&out.number); }
static linkspan_result f_process(linkspan_handle h) { return linkspan_engine_process(h, 0, (uint32_t *)&out.number); }
static linkspan_result f_engine_wake(linkspan_handle h) { return linkspan_engine_wake(h); }
static linkspan_result f_queue_new(linkspan_handle h) { return linkspan_queue_new(h, 0, &out.number, &error); }
static linkspan_result f_queue_new_options(linkspan_handle h) {
  return linkspan_queue_new(live[ENGINE], h, &out.number, &error);
}
static linkspan_result f_next(linkspan_handle h) {
  return linkspan_queue_next(h, (linkspan_event *)&out, sizeof event, 1, 0, (size_t *)&event.tag);
}
static linkspan_result f_notify(linkspan_handle h) { return linkspan_queue_notify(h, NULL, NULL, NULL); }
static linkspan_result f_queue_fd(linkspan_handle h) { return linkspan_queue_fd(h, (int64_t *)&out.number); }
static linkspan_result f_queue_wake(linkspan_handle h) { return linkspan_queue_wake(h); }
static linkspan_result f_retain(linkspan_handle h) { return linkspan_buffer_retain(h); }
static linkspan_result f_view(linkspan_handle h) {
  return linkspan_buffer_view(h, (const uint8_t **)&out.number, (size_t *)&out.number);
}
static linkspan_result f_credentials_call(linkspan_handle h) {
  return linkspan_credentials_call(h, NULL, &out.number, &error);
}
static linkspan_result f_combine_channel(linkspan_handle h) {
  return linkspan_credentials_combine(h, live[CREDENTIALS], &out.number);
}
static linkspan_result f_combine_call(linkspan_handle h) {
  return linkspan_credentials_combine(live[CREDENTIALS], h, &out.number);
}
static linkspan_result f_auth_reply(linkspan_handle h) { return linkspan_auth_reply(h, 0, NULL, 0, NULL, 0); }
static linkspan_result f_register(linkspan_handle h) { return linkspan_resolver_register(h, "x", 1, NULL, &error); }
static linkspan_result f_update(linkspan_handle h) { return linkspan_resolver_update(h, NULL, 0, 0, NULL, 0, &error); }
static linkspan_result f_fail(linkspan_handle h) { return linkspan_resolver_fail(h, 14, NULL, 0); }
static linkspan_result f_channel_new(linkspan_handle h) {
  return linkspan_channel_new(h, "localhost:1", LINKSPAN_NUL, live[CREDENTIALS], 0, &out.number, &error);
}
static linkspan_result f_channel_new_credentials(linkspan_handle h) {
  return linkspan_channel_new(live[ENGINE], "localhost:1", LINKSPAN_NUL, h, 0, &out.number, &error);
}
static linkspan_result f_channel_new_options(linkspan_handle h) {
  return linkspan_channel_new(live[ENGINE], "localhost:1", LINKSPAN_NUL, live[CREDENTIALS], h, &out.number, &error);
}
static linkspan_result f_state(linkspan_handle h) { return linkspan_channel_state(h, 0, (int32_t *)&out.number); }
static linkspan_result f_watch(linkspan_handle h) { return linkspan_channel_watch(h, 0, 0, live[QUEUE], 0); }
static linkspan_result f_watch_queue(linkspan_handle h) { return linkspan_channel_watch(live[CHANNEL], 0, 0, h, 0); }
static linkspan_result f_nudge(linkspan_handle h) { return linkspan_channel_nudge(h, LINKSPAN_NUDGE_RESET_BACKOFF); }
static linkspan_result f_channel_shutdown(linkspan_handle h) { return linkspan_channel_shutdown(h, 0); }
static linkspan_result f_unary(linkspan_handle h) { return linkspan_channel_unary(h, &options, &out.number); }
static linkspan_result f_unary_queue(linkspan_handle h) {
  linkspan_call_options other = options;
  other.queue = h;
  return linkspan_channel_unary(live[CHANNEL], &other, &out.number);
}
static linkspan_result f_unary_credentials(linkspan_handle h) {
  linkspan_call_options other = options;
  other.credentials = h;
  return linkspan_channel_unary(live[CHANNEL], &other, &out.number);
}
static linkspan_result f_unary_buffer(linkspan_handle h) {
  linkspan_call_options other = options;
  other.message.buffer = h;
  return linkspan_channel_unary(live[CHANNEL], &other, &out.number);
}
static linkspan_result f_many(linkspan_handle h) {
  size_t started = 1;
  linkspan_result result = linkspan_channel_unary_many(h, &options, 1, &out.number, &started);
  CHECK(started == 0);
  return result;
}
static linkspan_result f_wait(linkspan_handle h) {
  linkspan_call_options other = options;
  other.queue = 0;
  return linkspan_channel_unary_wait(h, &other, (linkspan_event *)&out, sizeof event);
}
static linkspan_result f_stream(linkspan_handle h) { return linkspan_channel_stream(h, &options, &out.number); }
static linkspan_result f_send(linkspan_handle h) { return linkspan_call_send(h, NULL, LINKSPAN_CALL_LAST); }
static linkspan_result f_read(linkspan_handle h) { return linkspan_call_read(h, 1); }
static linkspan_result f_cancel(linkspan_handle h) { return linkspan_call_cancel(h, 1, NULL, 0); }
static linkspan_result f_metrics(linkspan_handle h) {
  linkspan_metrics metrics;
  memset(&metrics, 0, sizeof metrics);
  metrics.struct_size = sizeof metrics;
  return linkspan_engine_metrics(h, &metrics);
}

#define ANY KINDS

/* Every handle parameter of every function. is_optional: 0 means none there. */
static const struct parameter {
  const char *name;
  linkspan_result (*call)(linkspan_handle);
  enum kind kind;
  int is_optional;
} parameters[] = {
  {"handle_close", f_close, ANY, 1},
  {"options_set_int", f_set_int, OPTIONS, 0},
  {"options_set_text", f_set_text, OPTIONS, 0},
  {"options_set_hooks", f_set_hooks, OPTIONS, 0},
  {"engine_new options", f_engine_new, OPTIONS, 1},
  {"engine_shutdown", f_shutdown, ENGINE, 0},
  {"engine_join", f_join, ENGINE, 0},
  {"engine_fd", f_engine_fd, ENGINE, 0},
  {"engine_timeout", f_timeout, ENGINE, 0},
  {"engine_process", f_process, ENGINE, 0},
  {"engine_wake", f_engine_wake, ENGINE, 0},
  {"queue_new", f_queue_new, ENGINE, 0},
  {"queue_new options", f_queue_new_options, OPTIONS, 1},
  {"queue_next", f_next, QUEUE, 0},
  {"queue_notify", f_notify, QUEUE, 0},
  {"queue_fd", f_queue_fd, QUEUE, 0},
  {"queue_wake", f_queue_wake, QUEUE, 0},
  {"buffer_retain", f_retain, BUFFER, 0},
  {"buffer_view", f_view, BUFFER, 0},
  {"credentials_call", f_credentials_call, ENGINE, 0},
  {"credentials_combine channel", f_combine_channel, CREDENTIALS, 0},
  {"credentials_combine call", f_combine_call, CREDENTIALS, 0},
  {"auth_reply", f_auth_reply, REQUEST, 0},
  {"resolver_register", f_register, ENGINE, 0},
  {"resolver_update", f_update, REQUEST, 0},
  {"resolver_fail", f_fail, REQUEST, 0},
  {"channel_new", f_channel_new, ENGINE, 0},
  {"channel_new credentials", f_channel_new_credentials, CREDENTIALS, 0},
  {"channel_new options", f_channel_new_options, OPTIONS, 1},
  {"channel_state", f_state, CHANNEL, 0},
  {"channel_watch", f_watch, CHANNEL, 0},
  {"channel_watch queue", f_watch_queue, QUEUE, 0},
  {"channel_nudge", f_nudge, CHANNEL, 0},
  {"channel_shutdown", f_channel_shutdown, CHANNEL, 0},
  {"channel_unary", f_unary, CHANNEL, 0},
  {"channel_unary queue", f_unary_queue, QUEUE, 1},
  {"channel_unary credentials", f_unary_credentials, CREDENTIALS, 1},
  {"channel_unary buffer", f_unary_buffer, BUFFER, 1},
  {"channel_unary_many", f_many, CHANNEL, 0},
  {"channel_unary_wait", f_wait, CHANNEL, 0},
  {"channel_stream", f_stream, CHANNEL, 0},
  {"call_send", f_send, CALL, 0},
  {"call_read", f_read, CALL, 0},
  {"call_cancel", f_cancel, CALL, 0},
  {"engine_metrics", f_metrics, ENGINE, 0},
};

#define PARAMETERS (sizeof parameters / sizeof *parameters)

static void refuses(const struct parameter *parameter, linkspan_handle handle, linkspan_result wanted, const char *what) {
  linkspan_result got;
  size_t at;
  memset(&out, UNTOUCHED, sizeof out);
  got = parameter->call(handle);
  if (got != wanted && wanted != 1)
    fail_at(__FILE__, __LINE__, "%s with %s: %s", parameter->name, what, linkspan_result_text(got));
  if (wanted == 1 && got != LINKSPAN_EHANDLE && got != LINKSPAN_ECLOSED)
    fail_at(__FILE__, __LINE__, "%s with %s %llx: %s", parameter->name, what, (unsigned long long)handle,
            linkspan_result_text(got));
  for (at = 0; at < sizeof out; at++)
    if (out.bytes[at] != UNTOUCHED) fail_at(__FILE__, __LINE__, "%s with %s wrote its output", parameter->name, what);
}

static int is_live(linkspan_handle handle) {
  int kind;
  for (kind = 0; kind < KINDS; kind++)
    if (live[kind] == handle) return 1;
  return handle == 0;
}

static uint64_t next_random(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static void every_wrong_handle(void) {
  uint64_t state = 0x11c5ca2;
  size_t at;
  int kind, round;
  for (at = 0; at < PARAMETERS; at++) {
    const struct parameter *parameter = &parameters[at];
    if (!parameter->is_optional) refuses(parameter, 0, LINKSPAN_EHANDLE, "0");
    for (kind = 0; kind < KINDS; kind++) {
      int fits = parameter->kind == ANY || parameter->kind == (enum kind)kind;
      if (!fits) {
        refuses(parameter, live[kind], LINKSPAN_EHANDLE, "a handle of another kind");
        refuses(parameter, stale[kind], LINKSPAN_EHANDLE, "a closed handle of another kind");
      } else {
        refuses(parameter, stale[kind], LINKSPAN_ECLOSED, "a closed handle");
      }
    }
    for (round = 0; round < ROUNDS; round++) {
      /* Half of them share kind and place with a live handle, so that only the generation is wrong. */
      uint64_t random = next_random(&state);
      if (round % 2 == 1) random = (live[random % KINDS] & 0xff00000000ffffff) | (random & 0x00ffffffff000000);
      if (!is_live(random)) refuses(parameter, random, 1, "a random handle");
    }
  }
}

static void every_missing_pointer(void) {
  linkspan_error small_error = no_error();
  linkspan_message no_bytes = bytes_message(NULL, 0);
  linkspan_tls_options tls;
  linkspan_metrics metrics;
  linkspan_option_doc doc;
  size_t count;
  const uint8_t *bytes;
  no_bytes.bytes = NULL;
  no_bytes.len = 1;
  memset(&tls, 0, sizeof tls);
  memset(&metrics, 0, sizeof metrics);
  memset(&doc, 0, sizeof doc);
  CHECK(linkspan_feature_present(NULL, 3) == 0);
  EXPECT(LINKSPAN_EINVAL, linkspan_options_new(NULL));
  EXPECT(LINKSPAN_EINVAL, linkspan_options_set_int(live[OPTIONS], NULL, 1, 1, NULL));
  EXPECT(LINKSPAN_EINVAL, linkspan_options_set_text(live[OPTIONS], NULL, 1, "v", 1, NULL));
  EXPECT(LINKSPAN_EINVAL, linkspan_options_set_text(live[OPTIONS], "grpc.x", 6, NULL, 1, NULL));
  EXPECT(LINKSPAN_EINVAL, linkspan_options_set_hooks(live[OPTIONS], NULL));
  EXPECT(LINKSPAN_EINVAL, linkspan_option_describe(0, NULL));
  EXPECT(LINKSPAN_EABI, linkspan_option_describe(0, &doc));
  EXPECT(LINKSPAN_EINVAL, linkspan_engine_new(LINKSPAN_ABI, 0, NULL, NULL));
  EXPECT(LINKSPAN_EABI, linkspan_engine_new(LINKSPAN_ABI + 1, 0, &out.number, NULL));
  EXPECT(LINKSPAN_EINVAL, linkspan_queue_new(live[ENGINE], 0, NULL, NULL));
  EXPECT(LINKSPAN_EINVAL, linkspan_queue_next(live[QUEUE], NULL, sizeof event, 1, 0, &count));
  EXPECT(LINKSPAN_EINVAL, linkspan_queue_next(live[QUEUE], &event, sizeof event, 1, 0, NULL));
  EXPECT(LINKSPAN_EINVAL, linkspan_queue_next(live[QUEUE], &event, sizeof event, 0, 0, &count));
  EXPECT(LINKSPAN_EABI, linkspan_queue_next(live[QUEUE], &event, 0, 1, 0, &count));
  EXPECT(LINKSPAN_EABI, linkspan_queue_next(live[QUEUE], &event, sizeof event + 1, 1, 0, &count));
  EXPECT(LINKSPAN_EINVAL, linkspan_queue_fd(live[QUEUE], NULL));
  EXPECT(LINKSPAN_EINVAL, linkspan_events_release(NULL, sizeof event, 1));
  EXPECT(LINKSPAN_OK, linkspan_events_release(NULL, sizeof event, 0));
  EXPECT(LINKSPAN_EABI, linkspan_events_release(&event, 8, 1));
  EXPECT(LINKSPAN_EINVAL, linkspan_buffer_new(1, NULL, (uint8_t **)&out.number));
  EXPECT(LINKSPAN_EINVAL, linkspan_buffer_new(1, &out.number, NULL));
  EXPECT(LINKSPAN_ELIMIT, linkspan_buffer_new(SIZE_MAX, &out.number, (uint8_t **)&bytes));
  EXPECT(LINKSPAN_EINVAL, linkspan_buffer_view(live[BUFFER], NULL, &count));
  EXPECT(LINKSPAN_EINVAL, linkspan_buffer_view(live[BUFFER], &bytes, NULL));
  EXPECT(LINKSPAN_EINVAL, linkspan_credentials_insecure(NULL));
  EXPECT(LINKSPAN_EINVAL, linkspan_credentials_tls(NULL, &out.number, NULL));
  EXPECT(LINKSPAN_EABI, linkspan_credentials_tls(&tls, &out.number, NULL));
  tls.struct_size = sizeof tls;
  EXPECT(LINKSPAN_EINVAL, linkspan_credentials_tls(&tls, NULL, NULL));
  tls.flags = 1u << 31;
  EXPECT(LINKSPAN_EINVAL, linkspan_credentials_tls(&tls, &out.number, NULL));
  tls.flags = LINKSPAN_TLS_SKIP_VERIFICATION;
  EXPECT(LINKSPAN_EUNSUPPORTED, linkspan_credentials_tls(&tls, &out.number, NULL));
  EXPECT(LINKSPAN_EINVAL, linkspan_credentials_call(live[ENGINE], NULL, &out.number, &error));
  EXPECT(LINKSPAN_EUNSUPPORTED, linkspan_resolver_register(live[ENGINE], "x", 1, NULL, &error));
  EXPECT(LINKSPAN_EUNSUPPORTED, linkspan_engine_fd(live[ENGINE], (int64_t *)&out.number));
  EXPECT(LINKSPAN_EINVAL, linkspan_channel_new(live[ENGINE], NULL, 1, live[CREDENTIALS], 0, &out.number, NULL));
  EXPECT(LINKSPAN_EINVAL, linkspan_channel_new(live[ENGINE], "a:1", 3, live[CREDENTIALS], 0, NULL, NULL));
  small_error.struct_size = 8;
  EXPECT(LINKSPAN_EABI, linkspan_channel_new(live[ENGINE], "", 0, live[CREDENTIALS], 0, &out.number, &small_error));
  EXPECT(LINKSPAN_EINVAL, linkspan_channel_state(live[CHANNEL], 0, NULL));
  EXPECT(LINKSPAN_EINVAL, linkspan_channel_state(live[CHANNEL], 2, (int32_t *)&out.number));
  EXPECT(LINKSPAN_EINVAL, linkspan_channel_watch(live[CHANNEL], 5, 0, live[QUEUE], 0));
  EXPECT(LINKSPAN_EINVAL, linkspan_channel_nudge(live[CHANNEL], 0));
  EXPECT(LINKSPAN_EINVAL, linkspan_channel_nudge(live[CHANNEL], 8));
  EXPECT(LINKSPAN_EUNSUPPORTED, linkspan_channel_nudge(live[CHANNEL], LINKSPAN_NUDGE_GO_IDLE));
  EXPECT(LINKSPAN_EINVAL, linkspan_channel_unary(live[CHANNEL], NULL, NULL));
  EXPECT(LINKSPAN_EINVAL, linkspan_channel_unary_many(live[CHANNEL], &options, 1, NULL, NULL));
  EXPECT(LINKSPAN_EINVAL, linkspan_channel_unary_many(live[CHANNEL], NULL, 1, NULL, &count));
  EXPECT(LINKSPAN_EINVAL, linkspan_channel_unary_wait(live[CHANNEL], &options, NULL, sizeof event));
  EXPECT(LINKSPAN_EABI, linkspan_channel_unary_wait(live[CHANNEL], &options, &event, 8));
  EXPECT(LINKSPAN_EINVAL, linkspan_channel_stream(live[CHANNEL], &options, NULL));
  EXPECT(LINKSPAN_EINVAL, linkspan_channel_stream(live[CHANNEL], NULL, &out.number));
  EXPECT(LINKSPAN_EINVAL, linkspan_call_send(live[CALL], NULL, 0));
  EXPECT(LINKSPAN_EINVAL, linkspan_call_send(live[CALL], &no_bytes, 0));
  EXPECT(LINKSPAN_EINVAL, linkspan_call_send(live[CALL], NULL, 1u << 31));
  EXPECT(LINKSPAN_EINVAL, linkspan_call_cancel(live[CALL], 1, NULL, 1));
  EXPECT(LINKSPAN_EINVAL, linkspan_call_cancel(live[CALL], 0, NULL, 0));
  EXPECT(LINKSPAN_EINVAL, linkspan_engine_metrics(live[ENGINE], NULL));
  EXPECT(LINKSPAN_EABI, linkspan_engine_metrics(live[ENGINE], &metrics));
  EXPECT(LINKSPAN_EINVAL, linkspan_handle_json(live[CHANNEL], 0, NULL));
  EXPECT(LINKSPAN_EINVAL, linkspan_handle_json(live[CHANNEL], 1, &out.number));
  EXPECT(LINKSPAN_EHANDLE, linkspan_handle_json(live[QUEUE], 0, &out.number));
  EXPECT(LINKSPAN_EHANDLE, linkspan_handle_json(0, 0, &out.number));
  EXPECT(LINKSPAN_ECLOSED, linkspan_handle_json(stale[CHANNEL], 0, &out.number));
}

/* A set of live objects. The call is a stream to where nobody is, so it waits until it is closed. */
static void make(linkspan_handle *handles) {
  uint8_t *bytes;
  linkspan_call_options stream = call_options("/a/b");
  OK(linkspan_options_new(&handles[OPTIONS]));
  OK(linkspan_engine_new(LINKSPAN_ABI, 0, &handles[ENGINE], NULL));
  OK(linkspan_queue_new(handles[ENGINE], 0, &handles[QUEUE], NULL));
  OK(linkspan_credentials_insecure(&handles[CREDENTIALS]));
  handles[CHANNEL] = new_channel(handles[ENGINE], "127.0.0.1:1", 0);
  OK(linkspan_buffer_new(10, &handles[BUFFER], &bytes));
  stream.queue = handles[QUEUE];
  stream.timeout_ns = LINKSPAN_FOREVER;
  stream.flags = LINKSPAN_CALL_WAIT_FOR_READY;
  OK(linkspan_channel_stream(handles[CHANNEL], &stream, &handles[CALL]));
}

/* Every order must do, so each is closed as the table has it: engine and queue before what hangs on them. */
static void close_all(const linkspan_handle *handles) {
  int kind;
  for (kind = 0; kind < KINDS; kind++) {
    linkspan_result result = linkspan_handle_close(handles[kind]);
    if (kind == CHANNEL || kind == CALL) EXPECT(LINKSPAN_ECLOSED, result);
    else OK(result);
  }
}

int main(void) {
  guard(GUARD_SECONDS);
  error = no_error();
  make(stale);
  close_all(stale);
  make(live);
  options = call_options("/a/b");
  options.queue = live[QUEUE];
  every_wrong_handle();
  every_missing_pointer();
  close_all(live);
  OK(linkspan_handle_close(0));
  return 0;
}
