/* TLS against a server that shows a certificate of its own: tls HOST:PORT ROOTS.pem. */
#include "check.h"

static linkspan_slice slice(const void *bytes, size_t len) {
  linkspan_slice slice;
  slice.bytes = (const uint8_t *)bytes;
  slice.len = len;
  return slice;
}

/* How a call ends on a channel with these credentials; its text contains words, unless NULL. */
static linkspan_code call_with(linkspan_engine engine, const char *target, const linkspan_tls_options *tls,
                               const char *words) {
  linkspan_call_options options = call_options("/grpc.testing.TestService/EmptyCall");
  linkspan_credentials credentials;
  linkspan_channel channel;
  linkspan_event event;
  linkspan_code code;
  char text[2048];
  options.timeout_ns = GUARD_NS;
  OK(linkspan_credentials_tls(tls, &credentials, NULL));
  OK(linkspan_channel_new(engine, target, LINKSPAN_NUL, credentials, 0, &channel, NULL));
  OK(linkspan_handle_close(credentials));
  OK(linkspan_channel_unary_wait(channel, &options, &event, sizeof event));
  snprintf(text, sizeof text, "%.*s", (int)event.text_len, event.text);
  if (words != NULL && strstr(text, words) == NULL) fail_at(__FILE__, __LINE__, "expected \"%s\" in: %s", words, text);
  code = event.code;
  release_event(&event);
  OK(linkspan_handle_close(channel));
  return code;
}

int main(int argc, char **argv) {
  static char pem[65536];
  linkspan_engine engine;
  linkspan_tls_options tls;
  size_t len;
  FILE *file = argc == 3 ? fopen(argv[2], "rb") : NULL;
  if (file == NULL) {
    fprintf(stderr, "usage: tls HOST:PORT ROOTS.pem\n");
    return 2;
  }
  len = fread(pem, 1, sizeof pem, file);
  fclose(file);
  guard(GUARD_SECONDS);
  OK(linkspan_engine_new(LINKSPAN_ABI, 0, &engine, NULL));
  memset(&tls, 0, sizeof tls);
  tls.struct_size = sizeof tls;
  /* A certificate nobody vouched for. */
  tls.flags = LINKSPAN_TLS_BUNDLED_ROOTS;
  CHECK(call_with(engine, argv[1], &tls, "certificate") == LINKSPAN_CODE_UNAVAILABLE);
  tls.flags = 0;
  tls.roots_pem = slice(pem, len);
  CHECK(call_with(engine, argv[1], &tls, NULL) == LINKSPAN_CODE_OK);
  tls.server_name = slice("localhost", LINKSPAN_NUL);
  CHECK(call_with(engine, argv[1], &tls, NULL) == LINKSPAN_CODE_OK);
  tls.server_name = slice("somebody.example", LINKSPAN_NUL);
  CHECK(call_with(engine, argv[1], &tls, "certificate") == LINKSPAN_CODE_UNAVAILABLE);
  /* The same roots in a file, and beside others. */
  tls.server_name = slice(NULL, 0);
  tls.roots_pem = slice(argv[2], LINKSPAN_NUL);
  tls.flags = LINKSPAN_TLS_FILES | LINKSPAN_TLS_BUNDLED_ROOTS | LINKSPAN_TLS_1_3 | LINKSPAN_TLS_KEY_LOG;
  CHECK(call_with(engine, argv[1], &tls, NULL) == LINKSPAN_CODE_OK);
  OK(linkspan_engine_shutdown(engine, 0));
  OK(linkspan_engine_join(engine, GUARD_NS));
  OK(linkspan_handle_close(engine));
  return 0;
}
