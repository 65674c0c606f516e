/* The few messages of grpc.testing these programs need, encoded and decoded by hand, so that C needs no protobuf library. */
#ifndef LINKSPAN_TESTS_MESSAGES_H
#define LINKSPAN_TESTS_MESSAGES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__)
#define MAYBE_UNUSED __attribute__((unused))
#else
#define MAYBE_UNUSED
#endif

/* A message being written. Start from zero bytes; free with message_free. */
struct message {
  uint8_t *bytes;
  size_t len, room;
};

static void message_free(struct message *m) {
  free(m->bytes);
  memset(m, 0, sizeof *m);
}

/* Room for count more bytes; NULL bytes stand for zeroes. */
static void put_raw(struct message *m, const void *bytes, size_t count) {
  if (m->len + count > m->room) {
    m->room = 2 * (m->len + count) + 16;
    m->bytes = (uint8_t *)realloc(m->bytes, m->room);
    if (m->bytes == NULL) abort();
  }
  if (bytes == NULL) memset(m->bytes + m->len, 0, count);
  else if (count > 0) memcpy(m->bytes + m->len, bytes, count);
  m->len += count;
}

static void put_varint(struct message *m, uint64_t value) {
  do {
    uint8_t byte = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
    put_raw(m, &byte, 1);
    value >>= 7;
  } while (value > 0);
}

/* A number, unless it is 0, which is what absent means. */
static void put_number(struct message *m, uint32_t field, uint64_t value) {
  if (value == 0) return;
  put_varint(m, (uint64_t)field << 3);
  put_varint(m, value);
}

static void put_bytes(struct message *m, uint32_t field, const void *bytes, size_t len) {
  put_varint(m, (uint64_t)field << 3 | 2);
  put_varint(m, len);
  put_raw(m, bytes, len);
}

/* A nested message, which is freed. */
static void put_message(struct message *m, uint32_t field, struct message *nested) {
  put_bytes(m, field, nested->bytes, nested->len);
  message_free(nested);
}

/* Payload { body: so many zero bytes }. */
static void put_payload(struct message *m, uint32_t field, size_t size) {
  struct message payload = {0};
  put_bytes(&payload, 2, NULL, size);
  put_message(m, field, &payload);
}

/* EchoStatus { code, message }. */
static MAYBE_UNUSED void put_status(struct message *m, uint32_t field, int32_t code, const char *text) {
  struct message status = {0};
  put_number(&status, 1, (uint64_t)code);
  put_bytes(&status, 2, text, strlen(text));
  put_message(m, field, &status);
}

/* BoolValue { value }: a message, so that absent differs from false. */
static MAYBE_UNUSED void put_bool_value(struct message *m, uint32_t field, int value) {
  struct message nested = {0};
  put_number(&nested, 1, (uint64_t)value);
  put_message(m, field, &nested);
}

/* SimpleRequest { response_size, payload }. */
static MAYBE_UNUSED struct message simple_request(uint32_t response_size, size_t payload_size) {
  struct message m = {0};
  put_number(&m, 2, response_size);
  put_payload(&m, 3, payload_size);
  return m;
}

/* StreamingInputCallRequest { payload }. */
static MAYBE_UNUSED struct message input_request(size_t payload_size) {
  struct message m = {0};
  put_payload(&m, 1, payload_size);
  return m;
}

/* One more ResponseParameters { size } of a StreamingOutputCallRequest. */
static MAYBE_UNUSED void put_response_size(struct message *m, uint32_t size) {
  struct message parameters = {0};
  put_number(&parameters, 1, size);
  put_message(m, 2, &parameters);
}

/* What a decoder looks at: the fields of one message, one after the other. */
struct field {
  uint32_t number;
  uint64_t value;       /* of a number */
  const uint8_t *bytes; /* of bytes, text or a nested message; NULL for a number */
  size_t len;
};

static int take_varint(const uint8_t **at, const uint8_t *end, uint64_t *value) {
  unsigned shift;
  *value = 0;
  for (shift = 0; *at < end && shift < 64; shift += 7) {
    uint8_t byte = *(*at)++;
    *value |= (uint64_t)(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return 1;
  }
  return 0;
}

/* The field with this number, the last one if there are several. 1: found; 0: absent; -1: not a message. */
static int find_field(const uint8_t *bytes, size_t len, uint32_t number, struct field *found) {
  const uint8_t *end = bytes == NULL ? NULL : bytes + len;
  int result = 0;
  while (bytes != end) {
    struct field field = {0, 0, NULL, 0};
    uint64_t key;
    if (!take_varint(&bytes, end, &key) || !take_varint(&bytes, end, &field.value)) return -1;
    field.number = (uint32_t)(key >> 3);
    if ((key & 7) == 2) {
      if (field.value > (uint64_t)(end - bytes)) return -1;
      field.bytes = bytes;
      field.len = (size_t)field.value;
      bytes += field.len;
    } else if ((key & 7) != 0) {
      return -1;
    }
    if (field.number == number) {
      *found = field;
      result = 1;
    }
  }
  return result;
}

/* The size of the body of the Payload in field 1, which every response has there; -1 if it is not a message. */
static MAYBE_UNUSED long payload_size(const uint8_t *bytes, size_t len) {
  struct field payload, body;
  int found = find_field(bytes, len, 1, &payload);
  if (found <= 0 || payload.bytes == NULL) return found;
  found = find_field(payload.bytes, payload.len, 2, &body);
  return found <= 0 ? found : (long)body.len;
}

#endif
