/* A bidirectional stream in which neither side drowns: stream_backpressure TARGET MESSAGES.
   Sending stops at LINKSPAN_EAGAIN and goes on at WRITABLE; receiving is one message at a time, by read credit. */
#include <linkspan.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* StreamingOutputCallRequest { response_parameters { size: 1000 }, payload { body: 16 KiB of zeroes } }, encoded by hand. */
static const unsigned char parameters[] = {0x12, 0x03, 0x08, 0xe8, 0x07, 0x1a, 0x84, 0x80, 0x01, 0x12, 0x80, 0x80, 0x01};
#define BODY 16384

struct stream {
  linkspan_call call;
  linkspan_message request;
  long to_send, to_receive, waits;
};

/* Sends as long as the stream takes it. */
static linkspan_result send_some(struct stream *stream) {
  linkspan_result result = LINKSPAN_OK;
  while (stream->to_send > 0 && result == LINKSPAN_OK) {
    result = linkspan_call_send(stream->call, &stream->request, stream->to_send == 1 ? LINKSPAN_CALL_LAST : 0);
    if (result == LINKSPAN_OK) stream->to_send--;
  }
  if (result == LINKSPAN_EAGAIN) stream->waits++;
  return result == LINKSPAN_EAGAIN || result == LINKSPAN_ECLOSED ? LINKSPAN_OK : result;
}

/* 1 when the stream is over; *code is its status. */
static int handle(struct stream *stream, const linkspan_event *event, linkspan_code *code) {
  switch (event->kind) {
    case LINKSPAN_EVENT_MESSAGE:
      stream->to_receive--;
      /* Worked off; allow the next one. ECLOSED would mean that the end is on its way. */
      linkspan_call_read(stream->call, 1);
      return 0;
    case LINKSPAN_EVENT_WRITABLE:
      return send_some(stream) != LINKSPAN_OK;
    case LINKSPAN_EVENT_STATUS:
      *code = event->code;
      if (*code != LINKSPAN_CODE_OK) fprintf(stderr, "%.*s\n", (int)event->text_len, event->text);
      return 1;
    default:
      return 0; /* headers, and kinds of newer versions */
  }
}

int main(int argc, char **argv) {
  static uint8_t bytes[sizeof parameters + BODY];
  linkspan_engine engine = 0;
  linkspan_queue queue = 0;
  linkspan_credentials credentials = 0;
  linkspan_channel channel = 0;
  linkspan_call_options options;
  linkspan_event event;
  linkspan_code code = LINKSPAN_CODE_UNKNOWN;
  struct stream stream;
  size_t count;
  int is_over = 0;

  memset(&stream, 0, sizeof stream);
  stream.to_send = stream.to_receive = argc == 3 ? atol(argv[2]) : 0;
  if (stream.to_send <= 0) {
    fprintf(stderr, "usage: stream_backpressure TARGET MESSAGES\n");
    return 2;
  }
  if (linkspan_engine_new(LINKSPAN_ABI, 0, &engine, NULL) != LINKSPAN_OK ||
      linkspan_queue_new(engine, 0, &queue, NULL) != LINKSPAN_OK ||
      linkspan_credentials_insecure(&credentials) != LINKSPAN_OK ||
      linkspan_channel_new(engine, argv[1], LINKSPAN_NUL, credentials, 0, &channel, NULL) != LINKSPAN_OK) {
    fprintf(stderr, "no channel to %s\n", argv[1]);
    return 1;
  }
  memcpy(bytes, parameters, sizeof parameters);
  stream.request.bytes = bytes;
  stream.request.len = sizeof bytes;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.queue = queue;
  options.method = "/grpc.testing.TestService/FullDuplexCall";
  options.method_len = LINKSPAN_NUL;
  options.read_credit = 1;
  if (linkspan_channel_stream(channel, &options, &stream.call) != LINKSPAN_OK || send_some(&stream) != LINKSPAN_OK)
    is_over = 1;
  while (!is_over && linkspan_queue_next(queue, &event, sizeof event, 1, LINKSPAN_FOREVER, &count) == LINKSPAN_OK) {
    is_over = handle(&stream, &event, &code);
    linkspan_events_release(&event, sizeof event, 1);
  }
  printf("%s; %ld not sent, %ld not received, waited %ld times to send\n", linkspan_code_text(code), stream.to_send,
         stream.to_receive, stream.waits);
  linkspan_handle_close(channel);
  linkspan_handle_close(credentials);
  linkspan_handle_close(queue);
  linkspan_handle_close(engine);
  return code == LINKSPAN_CODE_OK && stream.to_send == 0 && stream.to_receive == 0 ? 0 : 1;
}
