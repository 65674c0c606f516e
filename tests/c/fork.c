/* Processes that fork while engines run: fork HOST:PORT [CHILDREN]. In the child every inherited handle says EFORKED, closing one is
   silent, and a new engine works; the parent notices nothing. */
#include <pthread.h>
#include <sys/wait.h>

#include "check.h"
#include "messages.h"

#define EMPTY_CALL "/grpc.testing.TestService/EmptyCall"
#define DUPLEX_CALL "/grpc.testing.TestService/FullDuplexCall"
#define THREADS 4

/* What a child inherits; 0 where a mode has none. */
struct inherited {
  struct client client;
  linkspan_call call;
  linkspan_buffer buffer;
  linkspan_options options;
  linkspan_credentials credentials;
};

static const char *target;

static void good_call(linkspan_channel channel) {
  linkspan_call_options options = call_options(EMPTY_CALL);
  linkspan_event event;
  OK(linkspan_channel_unary_wait(channel, &options, &event, sizeof event));
  if (event.code != LINKSPAN_CODE_OK)
    fail_at(__FILE__, __LINE__, "%s: %.*s", linkspan_code_text(event.code), (int)event.text_len, event.text);
  release_event(&event);
}

static void silent_close(linkspan_handle handle) {
  OK(linkspan_handle_close(handle));
  OK(linkspan_handle_close(handle));
}

static void nothing_inherited_works(const struct inherited *inherited) {
  const struct client *client = &inherited->client;
  linkspan_call_options options = call_options(EMPTY_CALL);
  linkspan_error error = no_error();
  linkspan_metrics metrics;
  linkspan_event event;
  linkspan_handle made;
  linkspan_state state;
  const uint8_t *bytes;
  size_t count;
  int64_t fd;
  metrics.struct_size = sizeof metrics;

  EXPECT(LINKSPAN_EFORKED, linkspan_engine_metrics(client->engine, &metrics));
  EXPECT(LINKSPAN_EFORKED, linkspan_engine_shutdown(client->engine, 0));
  EXPECT(LINKSPAN_EFORKED, linkspan_engine_join(client->engine, LINKSPAN_FOREVER));
  EXPECT(LINKSPAN_EFORKED, linkspan_queue_new(client->engine, 0, &made, &error));
  CHECK(error.code == LINKSPAN_EFORKED && strstr(error.message, "parent") != NULL);
  EXPECT(LINKSPAN_EFORKED, linkspan_queue_next(client->queue, &event, sizeof event, 1, LINKSPAN_FOREVER, &count));
  EXPECT(LINKSPAN_EFORKED, linkspan_queue_fd(client->queue, &fd));
  EXPECT(LINKSPAN_EFORKED, linkspan_queue_wake(client->queue));
  EXPECT(LINKSPAN_EFORKED, linkspan_queue_notify(client->queue, NULL, NULL, NULL));
  EXPECT(LINKSPAN_EFORKED, linkspan_channel_state(client->channel, LINKSPAN_CHANNEL_TRY_CONNECT, &state));
  EXPECT(LINKSPAN_EFORKED, linkspan_channel_unary_wait(client->channel, &options, &event, sizeof event));
  EXPECT(LINKSPAN_EFORKED, linkspan_channel_shutdown(client->channel, 0));
  if (inherited->call != 0) {
    EXPECT(LINKSPAN_EFORKED, linkspan_call_read(inherited->call, 1));
    EXPECT(LINKSPAN_EFORKED, linkspan_call_send(inherited->call, NULL, LINKSPAN_CALL_LAST));
    EXPECT(LINKSPAN_EFORKED, linkspan_call_cancel(inherited->call, LINKSPAN_CODE_CANCELLED, "", 0));
    silent_close(inherited->call);
  }
  if (inherited->buffer != 0) {
    EXPECT(LINKSPAN_EFORKED, linkspan_buffer_view(inherited->buffer, &bytes, &count));
    silent_close(inherited->buffer);
  }
  if (inherited->options != 0) {
    EXPECT(LINKSPAN_EFORKED, linkspan_engine_new(LINKSPAN_ABI, inherited->options, &made, NULL));
    silent_close(inherited->options);
  }
  if (inherited->credentials != 0) silent_close(inherited->credentials);
  silent_close(client->channel);
  silent_close(client->queue);
  silent_close(client->engine);
}

static void a_new_engine_works(void) {
  struct client own = open_client(target);
  linkspan_call_options options = call_options(EMPTY_CALL);
  linkspan_event event;
  good_call(own.channel);
  options.queue = own.queue;
  OK(linkspan_channel_unary(own.channel, &options, NULL));
  event = next_event(own.queue);
  CHECK(event.kind == LINKSPAN_EVENT_UNARY && event.code == LINKSPAN_CODE_OK);
  release_event(&event);
  close_client(&own);
}

/* Has that many children, one after the other, do all of it; every other one ends by exit and its handlers. */
static void have_children(const struct inherited *inherited, int children) {
  while (children-- > 0) {
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      guard(GUARD_SECONDS);
      nothing_inherited_works(inherited);
      a_new_engine_works();
      if (children % 2 == 0) exit(0);
      _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    if (status != 0) fail_at(__FILE__, __LINE__, "a child ended with status %#x", status);
  }
}

static void idle(int children) {
  struct inherited inherited;
  uint8_t *bytes;
  memset(&inherited, 0, sizeof inherited);
  inherited.client = open_client(target);
  OK(linkspan_buffer_new(10, &inherited.buffer, &bytes));
  OK(linkspan_options_new(&inherited.options));
  OK(linkspan_credentials_insecure(&inherited.credentials));
  /* Also of an engine that has no thread yet. */
  have_children(&inherited, 1);
  good_call(inherited.client.channel);
  have_children(&inherited, children);
  good_call(inherited.client.channel);
  OK(linkspan_handle_close(inherited.buffer));
  OK(linkspan_handle_close(inherited.options));
  OK(linkspan_handle_close(inherited.credentials));
  close_client(&inherited.client);
}

static void count_notice(void *user_data) { __sync_fetch_and_add((int *)user_data, 1); }

/* A stream that waits, by a queue with a notify function and a descriptor. */
static void with_an_open_stream(int children) {
  struct inherited inherited;
  linkspan_call_options options = call_options(DUPLEX_CALL);
  linkspan_event event;
  int notices = 0;
  int64_t fd;
  memset(&inherited, 0, sizeof inherited);
  inherited.client = open_client(target);
  OK(linkspan_queue_notify(inherited.client.queue, count_notice, &notices, NULL));
  OK(linkspan_queue_fd(inherited.client.queue, &fd));
  good_call(inherited.client.channel);
  options.queue = inherited.client.queue;
  OK(linkspan_channel_stream(inherited.client.channel, &options, &inherited.call));
  have_children(&inherited, children);
  CHECK(__sync_fetch_and_add(&notices, 0) <= 1);
  OK(linkspan_call_send(inherited.call, NULL, LINKSPAN_CALL_LAST));
  do {
    event = next_event(inherited.client.queue);
    release_event(&event);
  } while (event.kind != LINKSPAN_EVENT_STATUS);
  CHECK(event.code == LINKSPAN_CODE_OK);
  close_client(&inherited.client);
}

static int is_over;

static void *calls(void *channel) {
  while (!__sync_fetch_and_add(&is_over, 0)) good_call(*(linkspan_channel *)channel);
  return NULL;
}

static void answered(void *user_data, const linkspan_event *event) {
  if (event->code != LINKSPAN_CODE_OK) fail_at(__FILE__, __LINE__, "%s", linkspan_code_text(event->code));
  __sync_fetch_and_add((int *)user_data, 1);
}

/* Threads that make blocking calls, and calls that end in callbacks. */
static void under_traffic(int children) {
  struct inherited inherited;
  pthread_t threads[THREADS];
  int at, ended = 0, started = 0;
  memset(&inherited, 0, sizeof inherited);
  inherited.client = open_client(target);
  for (at = 0; at < THREADS; at++) CHECK(pthread_create(&threads[at], NULL, calls, &inherited.client.channel) == 0);
  while (children-- > 0) {
    linkspan_call_options options = call_options(EMPTY_CALL);
    options.callback = answered;
    options.user_data = &ended;
    OK(linkspan_channel_unary(inherited.client.channel, &options, NULL));
    started++;
    have_children(&inherited, 1);
  }
  __sync_fetch_and_add(&is_over, 1);
  for (at = 0; at < THREADS; at++) CHECK(pthread_join(threads[at], NULL) == 0);
  OK(linkspan_engine_shutdown(inherited.client.engine, LINKSPAN_FOREVER));
  close_client(&inherited.client);
  CHECK(ended == started);
}

int main(int argc, char **argv) {
  int children = argc > 2 ? atoi(argv[2]) : 10;
  if (argc < 2) {
    fprintf(stderr, "usage: fork HOST:PORT [CHILDREN]\n");
    return 2;
  }
  target = argv[1];
  guard(2 * GUARD_SECONDS);
  idle(children);
  with_an_open_stream(children);
  under_traffic(children);
  return 0;
}
