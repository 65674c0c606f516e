/* The soak cases, [SOAK-1] to [SOAK-7]: many large calls one after the other, on one channel or each on a channel of its own. */
#ifndef LINKSPAN_TESTS_INTEROP_SOAK_H
#define LINKSPAN_TESTS_INTEROP_SOAK_H

#include <pthread.h>
#include <time.h>

#include "interop_flags.h"
#include "messages.h"

#define MOST_WORKERS 64

/* What became of the iterations so far; the workers' lock is around it. */
struct soak {
  const struct client *client;
  int has_own_channels;
  int64_t started_ns;
  FILE *log;
  long done, failures;
  pthread_mutex_t lock;
};

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int soak_is_late(const struct soak *soak) {
  long timeout = flags.overall_timeout_seconds;
  int64_t longest = timeout < 0 ? (int64_t)flags.iterations * flags.max_latency_ms * 1000000 : (int64_t)timeout * 1000000000;
  return now_ns() - soak->started_ns > longest;
}

static void soak_note(struct soak *soak, const linkspan_event *event, int64_t elapsed_ns) {
  int is_slow = elapsed_ns > (int64_t)flags.max_latency_ms * 1000000;
  long size = event->code == LINKSPAN_CODE_OK ? payload_size(event->message, event->message_len) : -1;
  int is_good = size == flags.response_size && !is_slow;
  CHECK(pthread_mutex_lock(&soak->lock) == 0);
  fprintf(soak->log, "soak iteration: %ld elapsed_ms: %ld peer: %.*s server_uri: %s %s", soak->done,
          (long)((elapsed_ns + 500000) / 1000000), event->peer == NULL ? 4 : (int)event->peer_len,
          event->peer == NULL ? "none" : event->peer, flags.target, is_good ? "succeeded\n" : "failed: ");
  if (!is_good)
    fprintf(soak->log, "%s, a payload of %ld bytes%s: %.*s\n", linkspan_code_text(event->code), size, is_slow ? ", slow" : "",
            (int)event->text_len, event->text_len > 0 ? event->text : "");
  soak->done++;
  soak->failures += !is_good;
  CHECK(pthread_mutex_unlock(&soak->lock) == 0);
}

/* One worker's share. */
static void *soak_work(void *argument) {
  struct soak *soak = (struct soak *)argument;
  struct message request = simple_request((uint32_t)flags.response_size, (size_t)flags.request_size);
  long turn;
  for (turn = 0; turn < flags.iterations / flags.threads && !soak_is_late(soak); turn++) {
    linkspan_call_options options = call_options("/grpc.testing.TestService/UnaryCall");
    linkspan_channel channel = soak->client->channel;
    linkspan_event event;
    int64_t started = now_ns(), rest;
    /* Making a channel is part of its iteration, closing it is not. */
    if (soak->has_own_channels) channel = flagged_channel(soak->client->engine, NULL);
    options.message = bytes_message(request.bytes, request.len);
    options.timeout_ns = LINKSPAN_FOREVER;
    OK(linkspan_channel_unary_wait(channel, &options, &event, sizeof event));
    soak_note(soak, &event, now_ns() - started);
    release_event(&event);
    if (soak->has_own_channels) OK(linkspan_handle_close(channel));
    rest = (int64_t)flags.min_time_ms * 1000000 - (now_ns() - started);
    if (rest > 0) {
      struct timespec pause;
      pause.tv_sec = (time_t)(rest / 1000000000);
      pause.tv_nsec = (long)(rest % 1000000000);
      nanosleep(&pause, NULL);
    }
  }
  message_free(&request);
  return NULL;
}

/* Runs all iterations; what[] says what was wrong when it returns 0. */
static int run_soak(const struct client *client, int has_own_channels, char *what, size_t room) {
  pthread_t workers[MOST_WORKERS];
  struct soak soak;
  long at;
  memset(&soak, 0, sizeof soak);
  if (flags.threads < 1 || flags.threads > MOST_WORKERS || flags.iterations % flags.threads != 0) {
    snprintf(what, room, "%ld iterations cannot be shared equally by %ld workers", flags.iterations, flags.threads);
    return 0;
  }
  soak.client = client;
  soak.has_own_channels = has_own_channels;
  soak.log = flags.soak_log == NULL ? stdout : fopen(flags.soak_log, "a");
  CHECK(soak.log != NULL && pthread_mutex_init(&soak.lock, NULL) == 0);
  soak.started_ns = now_ns();
  for (at = 0; at < flags.threads; at++) CHECK(pthread_create(&workers[at], NULL, soak_work, &soak) == 0);
  for (at = 0; at < flags.threads; at++) CHECK(pthread_join(workers[at], NULL) == 0);
  CHECK(fflush(soak.log) == 0);
  if (flags.soak_log != NULL) fclose(soak.log);
  pthread_mutex_destroy(&soak.lock);
  snprintf(what, room, "%ld of %ld iterations ran and %ld of them failed", soak.done, flags.iterations, soak.failures);
  return soak.done == flags.iterations && soak.failures <= flags.max_failures;
}

#endif
