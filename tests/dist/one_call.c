/* One unary call with the library and the header as they are handed out. */
#include <linkspan.h>
#include <stdio.h>
#include <string.h>

static int failed(linkspan_result result, const char *what, const char *text) {
  if (result == LINKSPAN_OK) return 0;
  fprintf(stderr, "%s: %s %s\n", what, linkspan_result_text(result), text);
  return 1;
}

int main(int argc, char **argv) {
  linkspan_error error;
  linkspan_engine engine = 0;
  linkspan_credentials credentials = 0;
  linkspan_channel channel = 0;
  linkspan_call_options call;
  linkspan_event answer;

  if (argc != 2) return fprintf(stderr, "usage: one_call TARGET\n"), 2;
  memset(&error, 0, sizeof error);
  memset(&call, 0, sizeof call);
  memset(&answer, 0, sizeof answer);
  error.struct_size = sizeof error;
  call.struct_size = sizeof call;

  if (failed(linkspan_engine_new(LINKSPAN_ABI, 0, &engine, &error), "engine", error.message)) return 1;
  if (failed(linkspan_credentials_insecure(&credentials), "credentials", "")) return 1;
  if (failed(linkspan_channel_new(engine, argv[1], LINKSPAN_NUL, credentials, 0, &channel, &error), "channel",
             error.message))
    return 1;

  call.method = "/grpc.testing.TestService/EmptyCall";
  call.method_len = LINKSPAN_NUL;
  call.timeout_ns = INT64_C(10000000000);
  if (failed(linkspan_channel_unary_wait(channel, &call, &answer, sizeof answer), "call", "")) return 1;
  printf("%s, %u bytes\n", linkspan_code_text(answer.code), (unsigned)answer.message_len);
  if (answer.code != LINKSPAN_CODE_OK) fprintf(stderr, "%.*s\n", (int)answer.text_len, answer.text);

  int exit_code = answer.code == LINKSPAN_CODE_OK ? 0 : 1;
  linkspan_events_release(&answer, sizeof answer, 1);
  linkspan_handle_close(channel);
  linkspan_handle_close(credentials);
  linkspan_handle_close(engine);
  return exit_code;
}
