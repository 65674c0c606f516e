/* The C client of the demo: demo_client --name NAME --target TARGET --seconds N [--wait-for-ready]. Four loops of blocking calls
   on one channel; prints state changes, totals, errors and the end as JSON lines. */
#include <pthread.h>
#include <time.h>

#include "check.h"
#include "json_text.h"
#include "messages.h"

#define LOOPS 4
#define SERVERS 16
#define CODES 17
#define PAUSE_NS 10000000
#define RING_NS 75000000
#define TOTALS_EVERY_MS 500

struct server {
  char name[64];
  long calls;
};

/* What the loops count, guarded by lock, which also keeps printed lines whole. */
static struct {
  pthread_mutex_t lock;
  const char *name;
  linkspan_channel channel;
  uint32_t flags;
  int64_t end_ms;
  long ok, failed, codes[CODES];
  struct server servers[SERVERS];
} demo = {PTHREAD_MUTEX_INITIALIZER, "c", 0, 0, 0, 0, 0, {0}, {{"", 0}}};

static int64_t milliseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_for(long nanoseconds) {
  struct timespec length = {0, 0};
  length.tv_nsec = nanoseconds;
  nanosleep(&length, NULL);
}

/* The beginning of every line; the rest follows, with demo.lock held. */
static void begin_line(const char *kind) {
  printf("{\"t\":%lld,\"client\":", (long long)milliseconds(CLOCK_REALTIME));
  print_json_text(demo.name, strlen(demo.name));
  printf(",\"kind\":\"%s\"", kind);
}

static void end_line(void) {
  printf("}\n");
  fflush(stdout);
}

static void print_totals(void) {
  size_t at;
  int is_first = 1;
  printf(",\"ok\":%ld,\"failed\":%ld,\"servers\":{", demo.ok, demo.failed);
  for (at = 0; at < SERVERS && demo.servers[at].calls > 0; at++, is_first = 0) {
    if (!is_first) putchar(',');
    print_json_text(demo.servers[at].name, strlen(demo.servers[at].name));
    printf(":%ld", demo.servers[at].calls);
  }
  putchar('}');
}

static void print_codes(void) {
  int code, is_first = 1;
  printf(",\"codes\":{");
  for (code = 0; code < CODES; code++) {
    if (demo.codes[code] == 0) continue;
    printf("%s\"%s\":%ld", is_first ? "" : ",", linkspan_code_text(code), demo.codes[code]);
    is_first = 0;
  }
  putchar('}');
}

/* The server that answered: SimpleResponse.server_id, or else the peer's address. */
static void count_server(const linkspan_event *event) {
  struct field id;
  char name[64];
  size_t at;
  if (find_field(event->message, event->message_len, 4, &id) == 1 && id.bytes != NULL)
    snprintf(name, sizeof name, "%.*s", (int)id.len, (const char *)id.bytes);
  else
    snprintf(name, sizeof name, "%.*s", (int)event->peer_len, event->peer);
  for (at = 0; at < SERVERS - 1 && demo.servers[at].calls > 0 && strcmp(demo.servers[at].name, name) != 0; at++) continue;
  strcpy(demo.servers[at].name, name);
  demo.servers[at].calls++;
}

static void count(const linkspan_event *event) {
  pthread_mutex_lock(&demo.lock);
  demo.codes[event->code]++;
  if (event->code == LINKSPAN_CODE_OK) {
    demo.ok++;
    count_server(event);
  } else {
    demo.failed++;
    begin_line("error");
    printf(",\"code\":\"%s\",\"text\":", linkspan_code_text(event->code));
    print_json_text(event->text, event->text_len);
    end_line();
  }
  pthread_mutex_unlock(&demo.lock);
}

static void *call_until_the_end(void *unused) {
  struct message request = {0};
  linkspan_call_options options = call_options("/grpc.testing.TestService/UnaryCall");
  (void)unused;
  put_number(&request, 2, 16); /* response_size */
  put_number(&request, 9, 1);  /* fill_server_id */
  options.message = bytes_message(request.bytes, request.len);
  options.timeout_ns = 5000000000;
  options.flags = demo.flags;
  while (milliseconds(CLOCK_MONOTONIC) < demo.end_ms) {
    linkspan_event event;
    OK(linkspan_channel_unary_wait(demo.channel, &options, &event, sizeof event));
    count(&event);
    release_event(&event);
    pause_for(PAUSE_NS);
  }
  message_free(&request);
  return NULL;
}

/* Prints a field of a dump as it stands in its JSON, under its own name. */
static void print_field(const char *event, const char *key) {
  const char *value = find_value(event, key);
  CHECK(value != NULL);
  printf(",\"%s\":%.*s", key, (int)(end_of_value(value) - value), value);
}

/* Prints the state changes after the one with number seen; returns the number of the newest. */
static long print_states(long seen) {
  const uint8_t *bytes;
  const char *event;
  char *text;
  size_t len;
  linkspan_buffer dump;
  OK(linkspan_handle_json(demo.channel, 0, &dump));
  OK(linkspan_buffer_view(dump, &bytes, &len));
  text = (char *)malloc(len + 1);
  CHECK(text != NULL);
  memcpy(text, bytes, len);
  text[len] = '\0';
  OK(linkspan_handle_close(dump));
  pthread_mutex_lock(&demo.lock);
  for (event = text; (event = find_value(event, "sequence")) != NULL;) {
    long number = strtol(event, NULL, 10);
    if (number <= seen) continue;
    seen = number;
    begin_line("state");
    print_field(event, "from");
    print_field(event, "to");
    print_field(event, "cause");
    print_field(event, "address");
    end_line();
  }
  pthread_mutex_unlock(&demo.lock);
  free(text);
  return seen;
}

static void print_calls(void) {
  pthread_mutex_lock(&demo.lock);
  begin_line("calls");
  print_totals();
  end_line();
  pthread_mutex_unlock(&demo.lock);
}

static void print_done(void) {
  begin_line("done");
  print_totals();
  print_codes();
  end_line();
}

static int read_arguments(int argc, char **argv, const char **target, long *seconds) {
  int at;
  for (at = 1; at < argc; at++) {
    if (strcmp(argv[at], "--wait-for-ready") == 0) {
      demo.flags |= LINKSPAN_CALL_WAIT_FOR_READY;
      continue;
    }
    if (at + 1 == argc) return 0;
    if (strcmp(argv[at], "--name") == 0) demo.name = argv[++at];
    else if (strcmp(argv[at], "--target") == 0) *target = argv[++at];
    else if (strcmp(argv[at], "--seconds") == 0) *seconds = strtol(argv[++at], NULL, 10);
    else return 0;
  }
  demo.end_ms = milliseconds(CLOCK_MONOTONIC) + *seconds * 1000;
  return *target != NULL && *seconds > 0;
}

int main(int argc, char **argv) {
  pthread_t loops[LOOPS];
  const char *target = NULL;
  int64_t totals_at;
  long seen = 0, seconds = 0;
  int at;
  struct client client;
  if (!read_arguments(argc, argv, &target, &seconds)) {
    fprintf(stderr, "usage: demo_client --name NAME --target TARGET --seconds N [--wait-for-ready]\n");
    return 2;
  }
  guard((unsigned)seconds + GUARD_SECONDS);
  client = open_client(target);
  demo.channel = client.channel;
  for (at = 0; at < LOOPS; at++) CHECK(pthread_create(&loops[at], NULL, call_until_the_end, NULL) == 0);
  totals_at = milliseconds(CLOCK_MONOTONIC) + TOTALS_EVERY_MS;
  while (milliseconds(CLOCK_MONOTONIC) < demo.end_ms) {
    seen = print_states(seen);
    if (milliseconds(CLOCK_MONOTONIC) >= totals_at) {
      print_calls();
      totals_at += TOTALS_EVERY_MS;
    }
    pause_for(RING_NS);
  }
  for (at = 0; at < LOOPS; at++) CHECK(pthread_join(loops[at], NULL) == 0);
  OK(linkspan_channel_shutdown(client.channel, 0));
  OK(linkspan_engine_shutdown(client.engine, 0));
  OK(linkspan_engine_join(client.engine, GUARD_NS));
  print_states(seen);
  print_done();
  close_client(&client);
  return 0;
}
