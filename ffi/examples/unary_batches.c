/* Many calls, drained in batches from a queue: unary_batches TARGET CALLS. One thread, at most 32 calls in flight. */
#include <linkspan.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IN_FLIGHT 32

int main(int argc, char **argv) {
  linkspan_engine engine = 0;
  linkspan_queue queue = 0;
  linkspan_credentials credentials = 0;
  linkspan_channel channel = 0;
  linkspan_call_options options[IN_FLIGHT];
  linkspan_event events[IN_FLIGHT];
  long calls = argc == 3 ? atol(argv[2]) : 0, started = 0, ended = 0, failed = 0, batches = 0;
  size_t at;

  if (calls <= 0) {
    fprintf(stderr, "usage: unary_batches TARGET CALLS\n");
    return 2;
  }
  if (linkspan_engine_new(LINKSPAN_ABI, 0, &engine, NULL) != LINKSPAN_OK ||
      linkspan_queue_new(engine, 0, &queue, NULL) != LINKSPAN_OK ||
      linkspan_credentials_insecure(&credentials) != LINKSPAN_OK ||
      linkspan_channel_new(engine, argv[1], LINKSPAN_NUL, credentials, 0, &channel, NULL) != LINKSPAN_OK) {
    fprintf(stderr, "no channel to %s\n", argv[1]);
    return 1;
  }
  memset(options, 0, sizeof options);
  for (at = 0; at < IN_FLIGHT; at++) {
    options[at].struct_size = sizeof *options;
    options[at].queue = queue;
    options[at].method = "/grpc.testing.TestService/EmptyCall";
    options[at].method_len = LINKSPAN_NUL;
    options[at].timeout_ns = 5000000000;
  }
  while (ended < calls) {
    long room = IN_FLIGHT - (started - ended);
    size_t count = (size_t)(room < calls - started ? room : calls - started), begun = 0;
    /* One crossing in for all of them, and one out for all that have ended. */
    if (linkspan_channel_unary_many(channel, options, count, NULL, &begun) != LINKSPAN_OK) break;
    started += (long)begun;
    if (linkspan_queue_next(queue, events, sizeof *events, IN_FLIGHT, LINKSPAN_FOREVER, &count) != LINKSPAN_OK) break;
    for (at = 0; at < count; at++) failed += events[at].code != LINKSPAN_CODE_OK;
    linkspan_events_release(events, sizeof *events, count);
    ended += (long)count;
    batches++;
  }
  printf("%ld calls in %ld batches, %ld failed\n", ended, batches, failed);
  linkspan_handle_close(channel);
  linkspan_handle_close(credentials);
  linkspan_handle_close(queue);
  linkspan_handle_close(engine);
  return ended == calls && failed == 0 ? 0 : 1;
}
