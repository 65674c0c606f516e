/* What every C test program needs: a check that says where and what, a guard against hanging, and the objects of a client. */
#ifndef LINKSPAN_TESTS_CHECK_H
#define LINKSPAN_TESTS_CHECK_H

#include <linkspan.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__GNUC__)
#define MAYBE_UNUSED __attribute__((unused))
#else
#define MAYBE_UNUSED
#endif

/* Long enough for valgrind, short enough for a person. */
#define GUARD_SECONDS 120
#define GUARD_NS ((int64_t)GUARD_SECONDS * 1000000000)

static MAYBE_UNUSED void fail_at(const char *file, int line, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "%s:%d: ", file, line);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(1);
}

#define CHECK(condition) \
  do { \
    if (!(condition)) fail_at(__FILE__, __LINE__, "expected %s", #condition); \
  } while (0)

/* The result of a call of the library is this one. */
#define EXPECT(wanted, call) \
  do { \
    linkspan_result expect_got = (call); \
    if (expect_got != (wanted)) \
      fail_at(__FILE__, __LINE__, "%s: expected %s, got %s", #call, #wanted, linkspan_result_text(expect_got)); \
  } while (0)

#define OK(call) EXPECT(LINKSPAN_OK, call)

/* Kills the program when it hangs; SIGALRM is not handled on purpose. */
static MAYBE_UNUSED void guard(unsigned seconds) { alarm(seconds); }

struct client {
  linkspan_engine engine;
  linkspan_queue queue;
  linkspan_channel channel;
};

static MAYBE_UNUSED struct linkspan_error no_error(void) {
  struct linkspan_error error;
  memset(&error, 0, sizeof error);
  error.struct_size = sizeof error;
  return error;
}

/* A channel to target, plaintext, with options or 0. */
static MAYBE_UNUSED linkspan_channel new_channel(linkspan_engine engine, const char *target, linkspan_options options) {
  linkspan_credentials credentials;
  linkspan_channel channel;
  linkspan_error error = no_error();
  OK(linkspan_credentials_insecure(&credentials));
  if (linkspan_channel_new(engine, target, LINKSPAN_NUL, credentials, options, &channel, &error) != LINKSPAN_OK)
    fail_at(__FILE__, __LINE__, "channel to %s: %s", target, error.message);
  OK(linkspan_handle_close(credentials));
  return channel;
}

static MAYBE_UNUSED struct client open_client(const char *target) {
  struct client client;
  OK(linkspan_abi_check(LINKSPAN_ABI));
  OK(linkspan_engine_new(LINKSPAN_ABI, 0, &client.engine, NULL));
  OK(linkspan_queue_new(client.engine, 0, &client.queue, NULL));
  client.channel = new_channel(client.engine, target, 0);
  return client;
}

/* Ends everything and waits until the engine's thread is gone. */
static MAYBE_UNUSED void close_client(struct client *client) {
  OK(linkspan_engine_shutdown(client->engine, 0));
  OK(linkspan_engine_join(client->engine, GUARD_NS));
  OK(linkspan_handle_close(client->channel));
  OK(linkspan_handle_close(client->queue));
  OK(linkspan_handle_close(client->engine));
}

static MAYBE_UNUSED linkspan_call_options call_options(const char *method) {
  linkspan_call_options options;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.method = method;
  options.method_len = LINKSPAN_NUL;
  return options;
}

static MAYBE_UNUSED linkspan_message bytes_message(const void *bytes, size_t len) {
  linkspan_message message;
  memset(&message, 0, sizeof message);
  message.bytes = bytes == NULL ? (const uint8_t *)"" : (const uint8_t *)bytes;
  message.len = len;
  return message;
}

/* The next event of a queue, to be released with release_event. */
static MAYBE_UNUSED linkspan_event next_event(linkspan_queue queue) {
  linkspan_event event;
  size_t count = 0;
  OK(linkspan_queue_next(queue, &event, sizeof event, 1, GUARD_NS, &count));
  CHECK(count == 1);
  return event;
}

static MAYBE_UNUSED void release_event(linkspan_event *event) {
  OK(linkspan_events_release(event, sizeof *event, 1));
}

/* Live handles of the process. */
static MAYBE_UNUSED uint64_t handles_live(linkspan_engine engine) {
  linkspan_metrics metrics;
  memset(&metrics, 0, sizeof metrics);
  metrics.struct_size = sizeof metrics;
  OK(linkspan_engine_metrics(engine, &metrics));
  return metrics.handles_live;
}

#endif
