/* Reading and writing the little JSON these programs need: text out, and fields of a channel's dump in. */
#ifndef LINKSPAN_TESTS_JSON_TEXT_H
#define LINKSPAN_TESTS_JSON_TEXT_H

#include <stdio.h>
#include <string.h>

/* Prints text as a JSON string. */
static void print_json_text(const char *text, size_t len) {
  size_t at;
  putchar('"');
  for (at = 0; at < len; at++) {
    unsigned char byte = (unsigned char)text[at];
    if (byte == '"' || byte == '\\') printf("\\%c", byte);
    else if (byte < 0x20) printf("\\u%04x", byte);
    else putchar(byte);
  }
  putchar('"');
}

/* The end of the JSON value that starts at text: of a string, a number or a word. */
static const char *end_of_value(const char *text) {
  if (*text != '"') return text + strcspn(text, ",}]");
  for (text++; *text != '"' && *text != '\0'; text++)
    if (*text == '\\' && text[1] != '\0') text++;
  return *text == '"' ? text + 1 : text;
}

/* The value behind "key": after text, as it stands in the JSON; NULL when there is none. */
static const char *find_value(const char *text, const char *key) {
  char name[64];
  const char *at;
  snprintf(name, sizeof name, "\"%s\":", key);
  at = strstr(text, name);
  return at == NULL ? NULL : at + strlen(name);
}

#endif
