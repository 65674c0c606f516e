/* Many calls must leave nothing behind: endurance HOST:PORT CALLS. One JSON line per phase. */
#include <dirent.h>
#include <time.h>

#include "check.h"
#include "messages.h"

#define WARM_UP 2000
#define IN_FLIGHT 64
#define BATCH 64
#define RSS_ROOM_KB 8192

static struct message request;

static linkspan_call_options echo_options(void) {
  linkspan_call_options options = call_options("/grpc.testing.TestService/UnaryCall");
  options.message = bytes_message(request.bytes, request.len);
  return options;
}

static int is_good(const linkspan_event *event) {
  if (event->code == LINKSPAN_CODE_OK && payload_size(event->message, event->message_len) == 64) return 1;
  fprintf(stderr, "%s: %.*s\n", linkspan_code_text(event->code), (int)event->text_len, event->text);
  return 0;
}

/* One call after the other, each blocking; returns how many failed. */
static long sequential(const struct client *client, long calls) {
  linkspan_call_options options = echo_options();
  long failed = 0;
  while (calls-- > 0) {
    linkspan_event event;
    OK(linkspan_channel_unary_wait(client->channel, &options, &event, sizeof event));
    failed += !is_good(&event);
    release_event(&event);
  }
  return failed;
}

/* As many in flight as allowed, started and drained in batches. */
static long concurrent(const struct client *client, long calls) {
  linkspan_call_options options[IN_FLIGHT];
  linkspan_event events[BATCH];
  long started = 0, ended = 0, failed = 0;
  size_t at;
  for (at = 0; at < IN_FLIGHT; at++) {
    options[at] = echo_options();
    options[at].queue = client->queue;
  }
  while (ended < calls) {
    long room = IN_FLIGHT - (started - ended);
    size_t count = (size_t)(room < calls - started ? room : calls - started), begun;
    OK(linkspan_channel_unary_many(client->channel, options, count, NULL, &begun));
    started += (long)begun;
    OK(linkspan_queue_next(client->queue, events, sizeof *events, BATCH, GUARD_NS, &count));
    for (at = 0; at < count; at++) failed += !is_good(&events[at]);
    OK(linkspan_events_release(events, sizeof *events, count));
    ended += (long)count;
  }
  return failed;
}

struct footprint {
  long rss_kb, fds, threads, handles;
};

static long entries_of(const char *folder) {
  DIR *opened = opendir(folder);
  struct dirent *entry;
  long count = 0;
  CHECK(opened != NULL);
  while ((entry = readdir(opened)) != NULL) count += entry->d_name[0] != '.';
  closedir(opened);
  return count;
}

static struct footprint measure(const struct client *client) {
  struct footprint now;
  long size, resident;
  FILE *statm = fopen("/proc/self/statm", "r");
  CHECK(statm != NULL && fscanf(statm, "%ld %ld", &size, &resident) == 2);
  fclose(statm);
  now.rss_kb = resident * (sysconf(_SC_PAGESIZE) / 1024);
  now.fds = entries_of("/proc/self/fd");
  now.threads = entries_of("/proc/self/task");
  now.handles = (long)handles_live(client->engine);
  return now;
}

static double seconds_since(const struct timespec *start) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

static int phase(const char *name, long (*run)(const struct client *, long), const struct client *client, long calls) {
  struct footprint before, after;
  struct timespec start;
  double seconds;
  long failed = run(client, WARM_UP);
  before = measure(client);
  clock_gettime(CLOCK_MONOTONIC, &start);
  failed += run(client, calls);
  seconds = seconds_since(&start);
  after = measure(client);
  printf("{\"language\":\"c\",\"phase\":\"%s\",\"calls\":%ld,\"failed\":%ld,\"seconds\":%.1f,\"rss_kb\":[%ld,%ld],"
         "\"fds\":[%ld,%ld],\"threads\":[%ld,%ld],\"handles\":[%ld,%ld]}\n",
         name, calls, failed, seconds, before.rss_kb, after.rss_kb, before.fds, after.fds, before.threads, after.threads,
         before.handles, after.handles);
  fflush(stdout);
  return failed == 0 && after.fds == before.fds && after.threads == before.threads && after.handles == before.handles &&
         after.rss_kb - before.rss_kb < RSS_ROOM_KB;
}

int main(int argc, char **argv) {
  struct client client;
  char *end;
  long calls = argc == 3 ? strtol(argv[2], &end, 10) : 0;
  int is_flat;
  if (argc != 3 || calls <= 0 || *end != '\0') {
    fprintf(stderr, "usage: endurance HOST:PORT CALLS\n");
    return 2;
  }
  guard(600);
  request = simple_request(64, 64);
  client = open_client(argv[1]);
  is_flat = phase("sequential", sequential, &client, calls);
  is_flat &= phase("concurrent", concurrent, &client, calls);
  close_client(&client);
  message_free(&request);
  return is_flat ? 0 : 1;
}
