/* What a case of tests/parity and tests/causes does beside one plain call: words with blanks between them, see core/examples/parity.rs. */
#ifndef LINKSPAN_TESTS_HOW_H
#define LINKSPAN_TESTS_HOW_H

#include "check.h"
#include <time.h>

struct how {
  const char *roots, *certificate, *key;
  int wait_for_ready;
  size_t metadata;
  /* -1: the request of the case. */
  long request_size;
  int earlier, beside;
  const char *start_once, *cancel_once, *close_once;
};

static const char *value_of(const char *word, const char *name) {
  size_t len = strlen(name);
  return strncmp(word, name, len) == 0 && word[len] == '=' ? word + len + 1 : NULL;
}

static void take_word(struct how *how, const char *word) {
  const char *value;
  if ((value = value_of(word, "roots")) != NULL) how->roots = value;
  else if ((value = value_of(word, "certificate")) != NULL) how->certificate = value;
  else if ((value = value_of(word, "key")) != NULL) how->key = value;
  else if (strcmp(word, "wait_for_ready") == 0) how->wait_for_ready = 1;
  else if ((value = value_of(word, "metadata")) != NULL) how->metadata = strtoul(value, NULL, 10);
  else if ((value = value_of(word, "request_size")) != NULL) how->request_size = strtol(value, NULL, 10);
  else if ((value = value_of(word, "earlier")) != NULL) how->earlier = atoi(value);
  else if ((value = value_of(word, "beside")) != NULL) how->beside = atoi(value);
  else if ((value = value_of(word, "start_once")) != NULL) how->start_once = value;
  else if ((value = value_of(word, "cancel_once")) != NULL) how->cancel_once = value;
  else if ((value = value_of(word, "close_once")) != NULL) how->close_once = value;
  else fail_at(__FILE__, __LINE__, "unknown word \"%s\"", word);
}

static struct how parse_how(char *words) {
  struct how how;
  const char *word;
  memset(&how, 0, sizeof how);
  how.request_size = -1;
  for (word = strtok(words, " "); word != NULL; word = strtok(NULL, " ")) take_word(&how, word);
  return how;
}

/* A whole file; empty without a path. The bytes stay where they are: a case has few. */
static linkspan_slice file_of(const char *path) {
  enum { MOST = 1 << 16 };
  linkspan_slice slice;
  uint8_t *bytes;
  FILE *file;
  memset(&slice, 0, sizeof slice);
  if (path == NULL) return slice;
  bytes = (uint8_t *)malloc(MOST);
  file = fopen(path, "rb");
  CHECK(bytes != NULL && file != NULL);
  slice.bytes = bytes;
  slice.len = fread(bytes, 1, MOST, file);
  fclose(file);
  return slice;
}

static linkspan_credentials credentials_of(const struct how *how) {
  linkspan_credentials credentials;
  linkspan_tls_options tls;
  if (how->roots == NULL) {
    OK(linkspan_credentials_insecure(&credentials));
    return credentials;
  }
  memset(&tls, 0, sizeof tls);
  tls.struct_size = sizeof tls;
  tls.roots_pem = file_of(how->roots);
  tls.certificate_pem = file_of(how->certificate);
  tls.key_pem = file_of(how->key);
  OK(linkspan_credentials_tls(&tls, &credentials, NULL));
  free((void *)tls.roots_pem.bytes);
  free((void *)tls.certificate_pem.bytes);
  free((void *)tls.key_pem.bytes);
  return credentials;
}

static void wait_for_file(const char *path) {
  struct timespec a_moment = {0, 1000000};
  while (access(path, F_OK) != 0) nanosleep(&a_moment, NULL);
}

#endif
