/* Call credentials of the host's own, over TLS: auth HOST:PORT ROOTS.pem. The server sends back the header by which it is asked to. */
#include "check.h"
#include <pthread.h>

static const char UNARY_CALL[] = "/grpc.testing.TestService/UnaryCall";
static const char ECHO_KEY[] = "x-grpc-test-echo-initial";

static linkspan_engine engine;
static linkspan_queue questions, ends;
static int released;

static void release(void *user_data) { *(int *)user_data += 1; }

static linkspan_slice slice(const void *bytes, size_t len) {
  linkspan_slice slice;
  slice.bytes = (const uint8_t *)bytes;
  slice.len = len;
  return slice;
}

static int is(const char *text, size_t len, const char *wanted) {
  return len == strlen(wanted) && memcmp(text, wanted, len) == 0;
}

static linkspan_result give(linkspan_request request, const char *key, const char *value) {
  linkspan_metadata_entry entry;
  memset(&entry, 0, sizeof entry);
  entry.key = slice(key, strlen(key));
  entry.value = slice(value, strlen(value));
  return linkspan_auth_reply(request, LINKSPAN_CODE_OK, NULL, 0, &entry, 1);
}

static linkspan_event next(linkspan_queue queue, linkspan_event_kind kind) {
  linkspan_event event;
  size_t count;
  OK(linkspan_queue_next(queue, &event, sizeof event, 1, GUARD_NS, &count));
  if (event.kind != kind) fail_at(__FILE__, __LINE__, "expected an event of kind %u, got %u", kind, event.kind);
  return event;
}

static linkspan_call start(linkspan_channel channel, linkspan_credentials credentials, int64_t timeout_ns) {
  linkspan_call_options options = call_options(UNARY_CALL);
  linkspan_call call;
  options.queue = ends;
  options.timeout_ns = timeout_ns;
  options.credentials = credentials;
  OK(linkspan_channel_unary(channel, &options, &call));
  return call;
}

/* The end of a call: this code, and its text or the header that came back. */
static void ended(linkspan_code code, const char *words) {
  linkspan_event event = next(ends, LINKSPAN_EVENT_UNARY);
  char text[2048] = "";
  size_t at;
  if (event.code == LINKSPAN_CODE_OK) {
    for (at = 0; at < event.initial_count; at++)
      if (is((const char *)event.initial[at].key.bytes, event.initial[at].key.len, ECHO_KEY))
        snprintf(text, sizeof text, "%.*s", (int)event.initial[at].value.len, (const char *)event.initial[at].value.bytes);
  } else {
    snprintf(text, sizeof text, "%.*s", (int)event.text_len, event.text);
  }
  if (event.code != code || strstr(text, words) == NULL)
    fail_at(__FILE__, __LINE__, "expected %d and \"%s\", got %d: %s", code, words, event.code, text);
  release_event(&event);
}

/* A question that was put to the queue. */
static linkspan_request asked(const char *target) {
  linkspan_event event = next(questions, LINKSPAN_EVENT_AUTH);
  linkspan_request request = event.handle;
  char audience[256];
  snprintf(audience, sizeof audience, "https://%s/grpc.testing.TestService", target);
  CHECK(event.tag == 7);
  CHECK(is(event.text, event.text_len, audience));
  CHECK(is((const char *)event.message, event.message_len, UNARY_CALL));
  release_event(&event);
  return request;
}

static void *answer_later(void *request) {
  OK(give(*(linkspan_request *)request, ECHO_KEY, "from another thread"));
  return NULL;
}

static void on_question(void *user_data, const linkspan_event *event) {
  if (event->kind == LINKSPAN_EVENT_AUTH) OK(give(event->handle, ECHO_KEY, "from a callback"));
  (void)user_data;
}

int main(int argc, char **argv) {
  static char pem[65536];
  const char *target = argc == 3 ? argv[1] : "";
  linkspan_credentials tls_credentials, insecure, by_queue, by_callback, both, out;
  linkspan_channel channel, with_both, plain;
  linkspan_error error = no_error();
  linkspan_provider provider;
  linkspan_request request;
  linkspan_tls_options tls;
  linkspan_event event;
  linkspan_call call;
  pthread_t thread;
  size_t count;
  FILE *file = argc == 3 ? fopen(argv[2], "rb") : NULL;
  if (file == NULL) {
    fprintf(stderr, "usage: auth HOST:PORT ROOTS.pem\n");
    return 2;
  }
  memset(&tls, 0, sizeof tls);
  tls.struct_size = sizeof tls;
  tls.roots_pem = slice(pem, fread(pem, 1, sizeof pem, file));
  fclose(file);
  guard(GUARD_SECONDS);
  OK(linkspan_engine_new(LINKSPAN_ABI, 0, &engine, NULL));
  OK(linkspan_queue_new(engine, 0, &questions, NULL));
  OK(linkspan_queue_new(engine, 0, &ends, NULL));
  OK(linkspan_credentials_tls(&tls, &tls_credentials, NULL));
  OK(linkspan_credentials_insecure(&insecure));

  /* A provider that cannot be used stays its owner's. */
  memset(&provider, 0, sizeof provider);
  provider.struct_size = sizeof provider;
  provider.user_data = &released;
  provider.release = release;
  EXPECT(LINKSPAN_EINVAL, linkspan_credentials_call(engine, &provider, &out, &error));
  CHECK(strstr(error.message, "a queue or a callback") != NULL);
  provider.flags = 1;
  EXPECT(LINKSPAN_EINVAL, linkspan_credentials_call(engine, &provider, &out, &error));
  CHECK(released == 0);
  provider.flags = 0;
  provider.tag = 7;
  provider.queue = questions;
  OK(linkspan_credentials_call(engine, &provider, &by_queue, &error));
  provider.callback = on_question;
  OK(linkspan_credentials_call(engine, &provider, &by_callback, &error));

  /* Channels want their own kind, and secure ones. */
  EXPECT(LINKSPAN_EINVAL, linkspan_channel_new(engine, target, LINKSPAN_NUL, by_queue, 0, &channel, &error));
  EXPECT(LINKSPAN_ECONFIG, linkspan_credentials_combine(insecure, by_queue, &out));
  EXPECT(LINKSPAN_EINVAL, linkspan_credentials_combine(tls_credentials, insecure, &out));
  OK(linkspan_credentials_combine(tls_credentials, by_callback, &both));
  OK(linkspan_channel_new(engine, target, LINKSPAN_NUL, tls_credentials, 0, &channel, NULL));
  OK(linkspan_channel_new(engine, target, LINKSPAN_NUL, both, 0, &with_both, NULL));
  OK(linkspan_channel_new(engine, target, LINKSPAN_NUL, insecure, 0, &plain, NULL));
  start(plain, by_queue, GUARD_NS);
  ended(LINKSPAN_CODE_UNAUTHENTICATED, "secure connections alone");

  /* A callback answers at once; another thread later. */
  start(with_both, 0, GUARD_NS);
  ended(LINKSPAN_CODE_OK, "from a callback");
  start(channel, by_queue, GUARD_NS);
  request = asked(target);
  CHECK(pthread_create(&thread, NULL, answer_later, &request) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
  ended(LINKSPAN_CODE_OK, "from another thread");
  EXPECT(LINKSPAN_ECLOSED, give(request, ECHO_KEY, "twice"));

  /* What cannot be used leaves the request open; a failure fails the call, and a code of servers is INTERNAL. */
  start(channel, by_queue, GUARD_NS);
  request = asked(target);
  EXPECT(LINKSPAN_EINVAL, give(request, "Upper", "case"));
  EXPECT(LINKSPAN_EINVAL, give(request, "te", "reserved"));
  EXPECT(LINKSPAN_EINVAL, give(request, "key", "line\n"));
  EXPECT(LINKSPAN_EINVAL, linkspan_auth_reply(request, 17, NULL, 0, NULL, 0));
  OK(linkspan_auth_reply(request, LINKSPAN_CODE_NOT_FOUND, "no token", LINKSPAN_NUL, NULL, 0));
  ended(LINKSPAN_CODE_INTERNAL, "original status: NOT_FOUND");
  start(channel, by_queue, GUARD_NS);
  OK(linkspan_auth_reply(asked(target), LINKSPAN_CODE_UNAVAILABLE, "no token", LINKSPAN_NUL, NULL, 0));
  ended(LINKSPAN_CODE_UNAVAILABLE, "error: no token");
  start(channel, by_queue, GUARD_NS);
  OK(linkspan_handle_close(asked(target)));
  ended(LINKSPAN_CODE_UNAUTHENTICATED, "closed without an answer");

  /* A call that ends first says so, and an answer is too late. */
  call = start(channel, by_queue, GUARD_NS);
  request = asked(target);
  OK(linkspan_call_cancel(call, LINKSPAN_CODE_CANCELLED, "changed my mind", LINKSPAN_NUL));
  ended(LINKSPAN_CODE_CANCELLED, "changed my mind");
  event = next(questions, LINKSPAN_EVENT_GONE);
  CHECK(event.handle == request && event.tag == 7);
  release_event(&event);
  EXPECT(LINKSPAN_ECLOSED, give(request, ECHO_KEY, "late"));
  start(channel, by_queue, 50000000);
  ended(LINKSPAN_CODE_DEADLINE_EXCEEDED, "phase credentials");
  /* Nobody took the question out in time, so nobody hears of it. */
  EXPECT(LINKSPAN_ETIMEDOUT, linkspan_queue_next(questions, &event, sizeof event, 1, 0, &count));

  /* Two of calls are one; a closed queue answers nothing any more. */
  OK(linkspan_credentials_combine(by_callback, by_queue, &out));
  start(channel, out, GUARD_NS);
  request = asked(target);
  OK(linkspan_handle_close(questions));
  ended(LINKSPAN_CODE_UNAVAILABLE, "the queue of the call credentials was closed");
  EXPECT(LINKSPAN_ECLOSED, give(request, ECHO_KEY, "late"));
  start(channel, by_queue, GUARD_NS);
  ended(LINKSPAN_CODE_UNAVAILABLE, "the queue was closed");

  OK(linkspan_handle_close(out));
  OK(linkspan_handle_close(by_queue));
  OK(linkspan_handle_close(by_callback));
  OK(linkspan_handle_close(both));
  OK(linkspan_handle_close(tls_credentials));
  OK(linkspan_handle_close(insecure));
  OK(linkspan_handle_close(channel));
  OK(linkspan_handle_close(with_both));
  OK(linkspan_handle_close(plain));
  OK(linkspan_engine_shutdown(engine, 0));
  OK(linkspan_engine_join(engine, GUARD_NS));
  OK(linkspan_handle_close(ends));
  OK(linkspan_handle_close(engine));
  CHECK(released == 2);
  return 0;
}
