/* One blocking call: unary_blocking TARGET [METHOD]. The request is an empty message, which grpc's test service answers. */
#include <linkspan.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
  linkspan_engine engine = 0;
  linkspan_credentials credentials = 0;
  linkspan_channel channel = 0;
  linkspan_call_options options;
  linkspan_event event;
  linkspan_error error;
  int exit_code = 1;

  if (argc < 2) {
    fprintf(stderr, "usage: unary_blocking TARGET [METHOD]\n");
    return 2;
  }
  memset(&error, 0, sizeof error);
  error.struct_size = sizeof error;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.method = argc > 2 ? argv[2] : "/grpc.testing.TestService/EmptyCall";
  options.method_len = LINKSPAN_NUL;
  options.timeout_ns = 5000000000;

  if (linkspan_engine_new(LINKSPAN_ABI, 0, &engine, &error) != LINKSPAN_OK ||
      linkspan_credentials_insecure(&credentials) != LINKSPAN_OK ||
      linkspan_channel_new(engine, argv[1], LINKSPAN_NUL, credentials, 0, &channel, &error) != LINKSPAN_OK) {
    fprintf(stderr, "no channel to %s: %s\n", argv[1], error.message);
  } else if (linkspan_channel_unary_wait(channel, &options, &event, sizeof event) == LINKSPAN_OK) {
    printf("%s from %.*s: %lu bytes in %ld us\n", linkspan_code_text(event.code), (int)event.peer_len, event.peer,
           (unsigned long)event.message_len, (long)(event.elapsed_ns / 1000));
    if (event.code == LINKSPAN_CODE_OK) exit_code = 0;
    else fprintf(stderr, "%.*s\n", (int)event.text_len, event.text);
    linkspan_events_release(&event, sizeof event, 1);
  }
  linkspan_handle_close(channel);
  linkspan_handle_close(credentials);
  linkspan_handle_close(engine);
  return exit_code;
}
