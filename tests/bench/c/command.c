#include "command.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000.0
#define LONGEST_PAYLOAD (64L << 20)

struct arguments read_arguments(int argc, char **argv, const char *usage) {
  struct arguments arguments;
  int at;
  memset(&arguments, 0, sizeof arguments);
  for (at = 1; at < argc; at++) {
    const char **value = NULL;
    if (strcmp(argv[at], "--start") == 0) {
      arguments.is_start = 1;
      continue;
    }
    if (strcmp(argv[at], "--echo") == 0) value = &arguments.echo;
    if (strcmp(argv[at], "--stream") == 0) value = &arguments.stream;
    if (strcmp(argv[at], "--tls") == 0) value = &arguments.tls;
    if (strcmp(argv[at], "--ca") == 0) value = &arguments.ca;
    if (value != NULL && at + 1 < argc) {
      *value = argv[++at];
    } else if (value == NULL && arguments.mode == NULL) {
      arguments.mode = argv[at];
    } else {
      arguments.echo = NULL;
      break;
    }
  }
  if (arguments.echo == NULL || arguments.stream == NULL || arguments.tls == NULL || arguments.ca == NULL) {
    fprintf(stderr, "usage: %s [--start] --echo HOST:PORT --stream HOST:PORT --tls HOST:PORT --ca PATH\n", usage);
    exit(2);
  }
  return arguments;
}

static const char *skip_space(const char *at) {
  while (isspace((unsigned char)*at)) at++;
  return at;
}

/* A JSON string without escapes: no name and no value of the protocol needs one. */
static const char *read_text(const char *at, char *out, size_t room) {
  size_t len;
  if (*at != '"') return NULL;
  len = strcspn(++at, "\"\\");
  if (at[len] != '"' || len >= room) return NULL;
  memcpy(out, at, len);
  out[len] = '\0';
  return at + len + 1;
}

static void take_number(struct command *command, const char *key, double value) {
  if (strcmp(key, "in_flight") == 0) command->in_flight = (long)value;
  if (strcmp(key, "size") == 0) command->size = (long)value;
  if (strcmp(key, "messages") == 0) command->messages = (long)value;
  if (strcmp(key, "channels") == 0) command->channels = (long)value;
  if (strcmp(key, "addresses") == 0) command->addresses = (long)value;
  if (strcmp(key, "warmup_s") == 0) command->warmup_s = value;
  if (strcmp(key, "seconds") == 0) command->seconds = value;
}

/* The value behind a key; NULL when it is none this protocol has. */
static const char *read_value(const char *at, const char *key, struct command *command) {
  char *end;
  double value;
  if (*at == '"') {
    char other[sizeof command->workload];
    return read_text(at, strcmp(key, "workload") == 0 ? command->workload : other, sizeof other);
  }
  value = strtod(at, &end);
  /* Beyond a billion nothing is meant, and a long on any machine holds that. */
  if (end == at || !(value >= 0 && value <= 1e9)) return NULL;
  take_number(command, key, value);
  return end;
}

static int read_command(const char *at, struct command *command) {
  char key[32];
  memset(command, 0, sizeof *command);
  command->in_flight = command->messages = command->channels = command->addresses = 1;
  command->size = DEFAULT_SIZE;
  at = skip_space(at);
  if (*at != '{') return 0;
  do {
    at = read_text(skip_space(at + 1), key, sizeof key);
    if (at == NULL || *(at = skip_space(at)) != ':') return 0;
    at = read_value(skip_space(at + 1), key, command);
    if (at == NULL) return 0;
    at = skip_space(at);
  } while (*at == ',');
  return *at == '}' && command->workload[0] != '\0';
}

int next_command(struct command *command) {
  char line[4096];
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (!read_command(line, command))
      answer_error("this command cannot be read");
    else if (command->in_flight < 1 || command->messages < 1 || command->channels < 1 || command->addresses < 1)
      answer_error("a number of this command is too small");
    else
      return 1;
  }
  return 0;
}

int is_workload(const struct command *command, const char *name) { return strcmp(command->workload, name) == 0; }

int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t nanoseconds_of(struct timeval time) { return (int64_t)time.tv_sec * 1000000000 + (int64_t)time.tv_usec * 1000; }

struct sample take_sample(long operations) {
  struct sample sample;
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  sample.wall_ns = now_ns();
  sample.user_ns = nanoseconds_of(usage.ru_utime);
  sample.system_ns = nanoseconds_of(usage.ru_stime);
  sample.operations = operations;
  return sample;
}

void window_open(struct window *window, const struct command *command) {
  memset(window, 0, sizeof *window);
  window->measure_at_ns = now_ns() + (int64_t)(command->warmup_s * SECOND_NS);
  window->measure_for_ns = (int64_t)(command->seconds * SECOND_NS);
}

int window_goes_on(struct window *window) {
  int64_t now = now_ns();
  if (window->stage == WARMING_UP && now >= window->measure_at_ns) {
    window->first = take_sample(window->operations);
    window->over_at_ns = window->first.wall_ns + window->measure_for_ns;
    window->stage = MEASURING;
  } else if (window->stage == MEASURING && now >= window->over_at_ns) {
    window->last = take_sample(window->operations);
    window->stage = OVER;
  }
  return window->stage != OVER;
}

static void print_text(const char *text) {
  putchar('"');
  for (; *text != '\0'; text++) {
    if (*text == '"' || *text == '\\')
      printf("\\%c", *text);
    else if ((unsigned char)*text < 0x20)
      printf("\\u%04x", (unsigned)*text);
    else
      putchar(*text);
  }
  putchar('"');
}

static void print_field(const char *key, const char *text) {
  printf("\"%s\": ", key);
  print_text(text);
}

/* The runner waits for the line. */
static void end_answer(void) {
  printf("}\n");
  fflush(stdout);
}

static void answer_text(const char *key, const char *text) {
  putchar('{');
  print_field(key, text);
  end_answer();
}

static void print_difference(const struct sample *first, const struct sample *last) {
  printf("{\"operations\": %ld, \"wall_s\": %.6f, \"user_s\": %.6f, \"system_s\": %.6f", last->operations - first->operations,
         (double)(last->wall_ns - first->wall_ns) / SECOND_NS, (double)(last->user_ns - first->user_ns) / SECOND_NS,
         (double)(last->system_ns - first->system_ns) / SECOND_NS);
}

void answer_hello(const char *client, const char *version) {
  putchar('{');
  print_field("client", client);
  printf(", ");
  print_field("version", version);
  end_answer();
}

void answer_window(const struct window *window) {
  print_difference(&window->first, &window->last);
  end_answer();
}

void answer_channels(const struct sample *first, const struct sample *last, int64_t bytes, double open_s) {
  print_difference(first, last);
  printf(", \"bytes\": %lld", (long long)bytes);
  if (open_s >= 0) printf(", \"open_s\": %.6f", open_s);
  end_answer();
}

void answer_start(const struct sample *first, const struct sample *last) {
  printf("{\"import_s\": 0.0, \"first_call_s\": %.6f, \"user_s\": %.6f, \"system_s\": %.6f",
         (double)(last->wall_ns - first->wall_ns) / SECOND_NS, (double)(last->user_ns - first->user_ns) / SECOND_NS,
         (double)(last->system_ns - first->system_ns) / SECOND_NS);
  end_answer();
}

void answer_error(const char *text) { answer_text("error", text); }

void answer_unsupported(const char *text) { answer_text("unsupported", text); }

int64_t resident_bytes(void) {
  long size = 0, resident = 0;
  FILE *statm = fopen("/proc/self/statm", "r");
  if (statm == NULL) return 0;
  if (fscanf(statm, "%ld %ld", &size, &resident) != 2) resident = 0;
  fclose(statm);
  return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

void allow_descriptors(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

const uint8_t *payload_of(long size) {
  /* Touched as far as it is used. Pages never written would all be one page of zeroes, which no cache ever misses. */
  static uint8_t bytes[LONGEST_PAYLOAD];
  if (size > LONGEST_PAYLOAD) return NULL;
  memset(bytes, 'x', (size_t)size);
  return bytes;
}

char *read_file(const char *path) {
  enum { MOST = 1 << 20 };
  FILE *file = fopen(path, "rb");
  char *text = NULL;
  size_t len;
  if (file == NULL) return NULL;
  text = malloc(MOST + 1);
  if (text != NULL) {
    len = fread(text, 1, MOST, file);
    text[len] = '\0';
  }
  fclose(file);
  return text;
}

char *pick_target(const char *echo, long addresses) {
  size_t room = strlen(echo) + 32 + (size_t)addresses * 24, len;
  char *target = malloc(room);
  long number;
  if (target == NULL) return NULL;
  len = (size_t)sprintf(target, "ipv4:%s", echo);
  /* 127.0.1.1 to 127.0.1.254, then 127.0.2.1 and on. */
  for (number = 0; number < addresses - 1; number++)
    len += (size_t)sprintf(target + len, ",127.0.%ld.%ld:9", 1 + number / 254, 1 + number % 254);
  return target;
}
