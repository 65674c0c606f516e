/* What the interop cases are made of: calls of the service's methods, and what is expected of them. */
#ifndef LINKSPAN_TESTS_INTEROP_STEPS_H
#define LINKSPAN_TESTS_INTEROP_STEPS_H

#include "check.h"
#include "messages.h"

#define SERVICE "/grpc.testing.TestService/"

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

#endif
