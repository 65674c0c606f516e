/* The runner's protocol, spoken by both programs of this folder: ../README.md. A command comes as one line of flat JSON, an answer
   goes as one; what is measured in between is a window. */
#ifndef LINKSPAN_BENCH_COMMAND_H
#define LINKSPAN_BENCH_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The size of a unary message where no command names one. */
#define DEFAULT_SIZE 64
/* What the `stream` server sends. */
#define STREAM_MESSAGE_SIZE 64

/* What the program was started with. */
struct arguments {
  /* The words before the addresses, `--start` excepted; NULL when there is none. */
  const char *mode;
  const char *echo, *stream, *tls, *ca;
  int is_start;
};

/* Ends the program with `usage` when the arguments are not understood. */
struct arguments read_arguments(int argc, char **argv, const char *usage);

struct command {
  char workload[32];
  long in_flight, size, messages, channels, addresses;
  double warmup_s, seconds;
};

/* Reads the next command; 0 when there is none any more. One that makes no sense is answered here. */
int next_command(struct command *command);
int is_workload(const struct command *command, const char *name);

/* One point in time. */
struct sample {
  int64_t wall_ns, user_ns, system_ns;
  long operations;
};

/* Warm-up, measurement, end. `operations` is counted up from the start; the difference of two samples is the answer. */
struct window {
  int64_t measure_at_ns, measure_for_ns, over_at_ns;
  struct sample first, last;
  long operations;
  enum { WARMING_UP, MEASURING, OVER } stage;
};

int64_t now_ns(void);
struct sample take_sample(long operations);
/* Starts the warm-up. */
void window_open(struct window *window, const struct command *command);
/* To be called after every completion or batch: takes the samples when it is time. 0 once the window is over. */
int window_goes_on(struct window *window);

/* The answers. */
void answer_hello(const char *client, const char *version);
void answer_window(const struct window *window);
/* For `memory` and `idle`. A negative `open_s` is left out. */
void answer_channels(const struct sample *first, const struct sample *last, int64_t bytes, double open_s);
void answer_start(const struct sample *first, const struct sample *last);
void answer_error(const char *text);
void answer_unsupported(const char *text);

/* The resident set. */
int64_t resident_bytes(void);
/* A connection is a descriptor; allows as many as the system lets this process have. */
void allow_descriptors(void);
/* `size` bytes that stay as they are until the next call; NULL when it is more than there are. */
const uint8_t *payload_of(long size);
/* A file's content, ended by a NUL; NULL when it cannot be read. To be freed. */
char *read_file(const char *path);
/* The target of `pick`: the echo server's address first, then others of this machine that nobody answers on. To be freed. */
char *pick_target(const char *echo, long addresses);

#ifdef __cplusplus
}
#endif

#endif
