/* The command line of the interop program: flags as --name=value, with the names gRPC's interop clients have, then cases. */
#ifndef LINKSPAN_TESTS_INTEROP_FLAGS_H
#define LINKSPAN_TESTS_INTEROP_FLAGS_H

#include "check.h"

#define LARGE_REQUEST 271828
#define LARGE_RESPONSE 314159

struct flags {
  const char *target, *ca_file, *host_override, *soak_log;
  long iterations, max_failures, max_latency_ms, overall_timeout_seconds, min_time_ms, request_size, response_size, threads;
};

static struct flags flags = {NULL, NULL, NULL, NULL, 10, 0, 1000, -1, 0, LARGE_REQUEST, LARGE_RESPONSE, 1};

/* Takes one --name=value; 0 when it means nothing. */
static int take_flag(const char *argument) {
  static const struct {
    const char *name;
    const char **text;
    long *number;
  } known[] = {
    {"ca_file", &flags.ca_file, NULL},
    {"server_host_override", &flags.host_override, NULL},
    {"soak_log", &flags.soak_log, NULL},
    {"soak_iterations", NULL, &flags.iterations},
    {"soak_max_failures", NULL, &flags.max_failures},
    {"soak_per_iteration_max_acceptable_latency_ms", NULL, &flags.max_latency_ms},
    {"soak_overall_timeout_seconds", NULL, &flags.overall_timeout_seconds},
    {"soak_min_time_ms_between_rpcs", NULL, &flags.min_time_ms},
    {"soak_request_size", NULL, &flags.request_size},
    {"soak_response_size", NULL, &flags.response_size},
    {"soak_num_threads", NULL, &flags.threads},
  };
  size_t at;
  for (at = 0; at < sizeof known / sizeof *known; at++) {
    size_t len = strlen(known[at].name);
    char *end;
    if (strncmp(argument + 2, known[at].name, len) != 0 || argument[2 + len] != '=') continue;
    if (known[at].text != NULL) {
      *known[at].text = argument + 3 + len;
      return 1;
    }
    *known[at].number = strtol(argument + 3 + len, &end, 10);
    return *end == '\0' && *known[at].number >= 0;
  }
  return 0;
}

/* Plaintext, or TLS with the roots of the file. */
static linkspan_credentials new_credentials(void) {
  static char pem[65536];
  linkspan_credentials credentials;
  linkspan_tls_options tls;
  FILE *file;
  if (flags.ca_file == NULL) {
    OK(linkspan_credentials_insecure(&credentials));
    return credentials;
  }
  file = fopen(flags.ca_file, "rb");
  CHECK(file != NULL);
  memset(&tls, 0, sizeof tls);
  tls.struct_size = sizeof tls;
  tls.roots_pem.bytes = (const uint8_t *)pem;
  tls.roots_pem.len = fread(pem, 1, sizeof pem, file);
  fclose(file);
  OK(linkspan_credentials_tls(&tls, &credentials, NULL));
  return credentials;
}

/* A channel to the target, with a service config or NULL. */
static linkspan_channel flagged_channel(linkspan_engine engine, const char *service_config) {
  linkspan_credentials credentials = new_credentials();
  linkspan_options options;
  linkspan_channel channel;
  linkspan_error error = no_error();
  OK(linkspan_options_new(&options));
  if (flags.host_override != NULL)
    OK(linkspan_options_set_text(options, "grpc.ssl_target_name_override", LINKSPAN_NUL, flags.host_override, LINKSPAN_NUL,
                                 NULL));
  if (service_config != NULL)
    OK(linkspan_options_set_text(options, "grpc.service_config", LINKSPAN_NUL, service_config, LINKSPAN_NUL, NULL));
  if (linkspan_channel_new(engine, flags.target, LINKSPAN_NUL, credentials, options, &channel, &error) != LINKSPAN_OK)
    fail_at(__FILE__, __LINE__, "channel to %s: %s", flags.target, error.message);
  OK(linkspan_handle_close(options));
  OK(linkspan_handle_close(credentials));
  return channel;
}

#endif
