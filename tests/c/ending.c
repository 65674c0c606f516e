/* Whatever is cancelled or closed, in whatever order and from whichever thread: each started operation ends exactly once, and
   each lent message is given back exactly once. Peers that never answer, that reset, that are not there. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include "check.h"

#define STARTERS 4
#define CALLS 300
#define BODY 20000

struct lent {
  int released;
};

/* One storm: its peer's target, its objects, and what it counts. */
struct storm {
  struct client client;
  struct lent lent[STARTERS][CALLS];
  /* Indexed by tag: how many final events a call had, and whether it started. */
  int started[STARTERS * CALLS], ended[STARTERS * CALLS];
  uint64_t seed;
};

struct starter {
  pthread_t thread;
  struct storm *storm;
  int number;
};

static const uint8_t body[BODY];

static void release(void *user_data) {
  __sync_fetch_and_add(&((struct lent *)user_data)->released, 1);
}

static uint64_t next_random(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static void callback(void *user_data, const linkspan_event *event) {
  struct storm *storm = (struct storm *)user_data;
  if (event->kind == LINKSPAN_EVENT_UNARY || event->kind == LINKSPAN_EVENT_STATUS)
    __sync_fetch_and_add(&storm->ended[event->tag], 1);
}

/* Starts calls of every sort and ends some of them in some way. */
static void *start(void *argument) {
  struct starter *starter = (struct starter *)argument;
  struct storm *storm = starter->storm;
  uint64_t state = storm->seed * 31 + (uint64_t)starter->number * 7919 + 1;
  int at;
  for (at = 0; at < CALLS; at++) {
    uint64_t dice = next_random(&state);
    linkspan_call_options options = call_options("/a/b");
    linkspan_call call;
    linkspan_result result;
    options.tag = (uint64_t)(starter->number * CALLS + at);
    if (dice % 4 == 0) {
      options.callback = callback;
      options.user_data = storm;
    } else {
      options.queue = storm->client.queue;
    }
    if (dice % 7 == 0) options.timeout_ns = (int64_t)(dice % 1000000);
    if (dice % 3 == 0) options.flags = LINKSPAN_CALL_WAIT_FOR_READY;
    if (dice % 41 == 0) options.method = "refused";
    options.message = bytes_message(body, dice % BODY);
    options.message.release = release;
    options.message.user_data = &storm->lent[starter->number][at];
    result = dice % 2 == 0 ? linkspan_channel_unary(storm->client.channel, &options, &call)
                           : linkspan_channel_stream(storm->client.channel, &options, &call);
    if (result != LINKSPAN_OK) {
      CHECK(result == LINKSPAN_ECLOSED || (result == LINKSPAN_EINVAL && dice % 41 == 0));
      continue;
    }
    storm->started[options.tag] = 1;
    switch ((dice >> 32) % 4) {
      case 0: result = linkspan_call_cancel(call, LINKSPAN_CODE_CANCELLED, NULL, 0); break;
      case 1: result = linkspan_handle_close(call); break;
      case 2: result = linkspan_call_send(call, NULL, LINKSPAN_CALL_LAST); break;
      default: break;
    }
    CHECK(result == LINKSPAN_OK || result == LINKSPAN_ECLOSED || result == LINKSPAN_ESTATE);
  }
  return NULL;
}

/* Drains until the SHUTDOWN event. */
static void *drain(void *argument) {
  struct storm *storm = (struct storm *)argument;
  for (;;) {
    linkspan_event events[32];
    size_t count, at;
    OK(linkspan_queue_next(storm->client.queue, events, sizeof *events, 32, GUARD_NS, &count));
    for (at = 0; at < count; at++) {
      if (events[at].kind == LINKSPAN_EVENT_SHUTDOWN) {
        CHECK(at + 1 == count);
        return NULL;
      }
      callback(storm, &events[at]);
    }
    OK(linkspan_events_release(events, sizeof *events, count));
  }
}

/* Returns how many calls had started. */
static int run(const char *target, uint64_t seed) {
  static struct storm storm;
  int started = 0;
  struct starter starters[STARTERS];
  pthread_t drainer;
  int at, call;
  memset(&storm, 0, sizeof storm);
  storm.seed = seed;
  storm.client = open_client(target);
  CHECK(pthread_create(&drainer, NULL, drain, &storm) == 0);
  for (at = 0; at < STARTERS; at++) {
    starters[at].storm = &storm;
    starters[at].number = at;
    CHECK(pthread_create(&starters[at].thread, NULL, start, &starters[at]) == 0);
  }
  /* Every other storm is interrupted while it rages. */
  if (seed % 2 == 0) OK(linkspan_channel_shutdown(storm.client.channel, 0));
  for (at = 0; at < STARTERS; at++) CHECK(pthread_join(starters[at].thread, NULL) == 0);
  OK(linkspan_engine_shutdown(storm.client.engine, 0));
  CHECK(pthread_join(drainer, NULL) == 0);
  OK(linkspan_engine_join(storm.client.engine, GUARD_NS));
  OK(linkspan_handle_close(storm.client.channel));
  OK(linkspan_handle_close(storm.client.queue));
  OK(linkspan_handle_close(storm.client.engine));
  for (at = 0; at < STARTERS; at++)
    for (call = 0; call < CALLS; call++) {
      int tag = at * CALLS + call;
      started += storm.started[tag];
      if (storm.ended[tag] != storm.started[tag])
        fail_at(__FILE__, __LINE__, "%s, seed %lu: call %d ended %d times", target, (unsigned long)seed, tag, storm.ended[tag]);
      if (storm.lent[at][call].released != 1)
        fail_at(__FILE__, __LINE__, "%s, seed %lu: the message of call %d was released %d times", target, (unsigned long)seed,
                tag, storm.lent[at][call].released);
    }
  return started;
}

/* A listening socket on a free port of loopback. */
static int listen_somewhere(char *target, size_t room) {
  struct sockaddr_in address;
  socklen_t len = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 64) == 0);
  CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
  snprintf(target, room, "127.0.0.1:%d", ntohs(address.sin_port));
  return fd;
}

/* Accepts, reads a little and resets, until the socket is shut down. */
static void *reset_everybody(void *argument) {
  int listener = *(int *)argument, fd;
  while ((fd = accept(listener, NULL, NULL)) >= 0) {
    struct linger now = {1, 0};
    char some[100];
    CHECK(read(fd, some, sizeof some) >= 0);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
  }
  return NULL;
}

int main(void) {
  char silent[32], resetting[32], absent[32];
  int silent_fd = listen_somewhere(silent, sizeof silent), resetting_fd = listen_somewhere(resetting, sizeof resetting);
  pthread_t peer;
  linkspan_engine engine;
  uint64_t seed;
  guard(GUARD_SECONDS);
  close(listen_somewhere(absent, sizeof absent));
  CHECK(pthread_create(&peer, NULL, reset_everybody, &resetting_fd) == 0);
  for (seed = 1; seed <= 6; seed++) {
    int started = run(silent, seed) + run(resetting, seed) + run(absent, seed);
    /* All but the malformed ones, unless the storm was interrupted. */
    CHECK(seed % 2 == 0 || started > 3 * STARTERS * CALLS * 9 / 10);
  }
  /* Nothing was forgotten in a table: the engine that asks is the only handle. */
  OK(linkspan_engine_new(LINKSPAN_ABI, 0, &engine, NULL));
  CHECK(handles_live(engine) == 1);
  OK(linkspan_handle_close(engine));
  shutdown(resetting_fd, SHUT_RDWR);
  CHECK(pthread_join(peer, NULL) == 0);
  close(resetting_fd);
  close(silent_fd);
  return 0;
}
