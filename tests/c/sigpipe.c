/* A peer that resets while we write must not kill a program that left SIGPIPE at its default. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "check.h"

#define ROUNDS 40
#define IN_FLIGHT 16
#define BODY (1 << 20)

static int resets;

/* Accepts, reads until the client has begun to write its messages, and resets. */
static void *reset_everybody(void *argument) {
  int listener = *(int *)argument, fd;
  while ((fd = accept(listener, NULL, NULL)) >= 0) {
    struct linger now = {1, 0};
    char some[4096];
    long seen = 0, count;
    /* SETTINGS and WINDOW_UPDATE with room for everything: the client goes on writing while the reset is on its way. */
    static const unsigned char frames[] = {0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x70, 0, 0, 0, 0, 0, 4, 8, 0, 0, 0, 0, 0, 0x70, 0, 0, 0};
    CHECK(write(fd, frames, sizeof frames) == (long)sizeof frames);
    while (seen < 100000 && (count = read(fd, some, sizeof some)) > 0) seen += count;
    /* A reset that follows an end makes the next write fail with EPIPE instead of ECONNRESET. */
    shutdown(fd, SHUT_WR);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
    __sync_fetch_and_add(&resets, 1);
  }
  return NULL;
}

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

int main(void) {
  static const uint8_t body[BODY];
  char target[32];
  int listener = listen_somewhere(target, sizeof target), round, at;
  pthread_t peer;
  struct client client;
  guard(GUARD_SECONDS);
  signal(SIGPIPE, SIG_DFL);
  CHECK(pthread_create(&peer, NULL, reset_everybody, &listener) == 0);
  client = open_client(target);
  for (round = 0; round < ROUNDS; round++) {
    for (at = 0; at < IN_FLIGHT; at++) {
      linkspan_call_options options = call_options("/a/b");
      options.queue = client.queue;
      options.message = bytes_message(body, sizeof body);
      options.timeout_ns = 5000000000;
      options.flags = LINKSPAN_CALL_WAIT_FOR_READY;
      OK(linkspan_channel_unary(client.channel, &options, NULL));
    }
    for (at = 0; at < IN_FLIGHT; at++) {
      linkspan_event event = next_event(client.queue);
      CHECK(event.kind == LINKSPAN_EVENT_UNARY && event.code != LINKSPAN_CODE_OK);
      release_event(&event);
    }
    OK(linkspan_channel_nudge(client.channel, LINKSPAN_NUDGE_RESET_BACKOFF));
  }
  close_client(&client);
  shutdown(listener, SHUT_RDWR);
  CHECK(pthread_join(peer, NULL) == 0);
  close(listener);
  CHECK(resets > ROUNDS / 2);
  return 0;
}
