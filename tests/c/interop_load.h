/* The cases in which the server tells its load: at the end of a call, [IT-23], and beside the calls, [IT-24]. */
#ifndef LINKSPAN_TESTS_INTEROP_LOAD_H
#define LINKSPAN_TESTS_INTEROP_LOAD_H

#include <time.h>

#include "interop_steps.h"

#define OUT_OF_BAND_GUARD_NS ((int64_t)30000000000)
#define REPORTED_WITHIN_SECONDS 10

/* The server tells its load with the call; here it is read from the trailers, where policies read it too. cpu 0.8210, memory 0.5847, request cost
   {cost: 3456.32}, utilization {util: 0.30499}: a TestOrcaReport, which differs from an OrcaLoadReport in the numbers of the two maps. */
static int orca_per_rpc(const struct client *client) {
  uint8_t report[] = {0x09, 0x12, 0x83, 0xc0, 0xca, 0xa1, 0x45, 0xea, 0x3f, 0x11, 0x12, 0x14, 0x3f, 0xc6, 0xdc, 0xb5, 0xe2, 0x3f, 0x1a, 0x0f, 0x0a, 0x04, 0x63, 0x6f, 0x73, 0x74, 0x11, 0x71, 0x3d, 0x0a, 0xd7, 0xa3, 0x00, 0xab, 0x40, 0x22, 0x0f, 0x0a, 0x04, 0x75, 0x74, 0x69, 0x6c, 0x11, 0xbe, 0xd9, 0xe6, 0xc6, 0xf4, 0x84, 0xd3, 0x3f};
  struct message request = {0};
  linkspan_event event;
  size_t at, seen = 0;
  int good;
  put_bytes(&request, 11, report, sizeof report);
  report[18] = 0x22;
  report[35] = 0x2a;
  event = unary(client, SERVICE "UnaryCall", &request, NULL, 0);
  good = has_code(&event, LINKSPAN_CODE_OK);
  for (at = 0; at < event.trailing_count; at++) {
    const linkspan_metadata_entry *entry = &event.trailing[at];
    if (entry->key.len != strlen("endpoint-load-metrics-bin") || memcmp(entry->key.bytes, "endpoint-load-metrics-bin", entry->key.len) != 0) continue;
    seen += entry->value.len == sizeof report && memcmp(entry->value.bytes, report, sizeof report) == 0;
  }
  release_event(&event);
  return good && (seen == 1 || failed("expected the load once, got it %lu times", (unsigned long)seen));
}

/* Reads until a report is this one. Silence is ended by the call's deadline. */
static int is_reported(const struct client *listener, linkspan_call reports, const uint8_t *wanted, size_t len) {
  struct timespec started, now;
  CHECK(clock_gettime(CLOCK_MONOTONIC, &started) == 0);
  for (;;) {
    linkspan_event event;
    int has_come, is_wanted;
    read_one(reports);
    event = next_answer(listener);
    has_come = has_kind(&event, LINKSPAN_EVENT_MESSAGE);
    is_wanted = has_come && event.message_len == len && memcmp(event.message, wanted, len) == 0;
    release_event(&event);
    if (!has_come || is_wanted) return is_wanted;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    if (now.tv_sec - started.tv_sec > REPORTED_WITHIN_SECONDS)
      return failed("after %d s the reports still had another load than the server was told", REPORTED_WITHIN_SECONDS);
  }
}

/* cpu 0.8210, memory 0.5847, utilization {util: 0.30499}; then 0.29309, 0.2 and {util: 0.2039}. As above, the map's number differs. */
static int are_reported(const struct client *client, const struct client *listener, linkspan_call reports) {
  uint8_t loads[2][35] = {
    {0x09, 0x12, 0x83, 0xc0, 0xca, 0xa1, 0x45, 0xea, 0x3f, 0x11, 0x12, 0x14, 0x3f, 0xc6, 0xdc, 0xb5, 0xe2, 0x3f, 0x22, 0x0f, 0x0a, 0x04, 0x75, 0x74, 0x69, 0x6c, 0x11, 0xbe, 0xd9, 0xe6, 0xc6, 0xf4, 0x84, 0xd3, 0x3f},
    {0x09, 0x8b, 0x37, 0x32, 0x8f, 0xfc, 0xc1, 0xd2, 0x3f, 0x11, 0x9a, 0x99, 0x99, 0x99, 0x99, 0x99, 0xc9, 0x3f, 0x22, 0x0f, 0x0a, 0x04, 0x75, 0x74, 0x69, 0x6c, 0x11, 0x61, 0xc3, 0xd3, 0x2b, 0x65, 0x19, 0xca, 0x3f},
  };
  linkspan_call call = start_stream(client, SERVICE "FullDuplexCall", OUT_OF_BAND_GUARD_NS, NULL, 0);
  int at;
  for (at = 0; at < 2; at++) {
    struct message request = {0};
    put_response_size(&request, 1);
    put_bytes(&request, 8, loads[at], sizeof loads[at]);
    send_message(call, &request, 0);
    loads[at][18] = 0x2a;
    if (!answers_with(client, call, 1) || !is_reported(listener, reports, loads[at], sizeof loads[at])) return 0;
  }
  half_close(call);
  return ends_with(client, LINKSPAN_CODE_OK, NULL);
}

/* The server tells its load beside the calls. The engine's policies do not read such reports yet, so the listener is this program's own: a stream
   of them on the same channel, with a queue for itself. */
static int orca_oob(const struct client *client) {
  /* An OrcaLoadReportRequest: a report each second. */
  static const uint8_t every_second[] = {0x0a, 0x02, 0x08, 0x01};
  struct client listener = *client;
  struct message request = {0};
  linkspan_call reports;
  int good;
  OK(linkspan_queue_new(client->engine, 0, &listener.queue, NULL));
  reports = start_stream(&listener, "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics", OUT_OF_BAND_GUARD_NS, NULL, 0);
  put_raw(&request, every_second, sizeof every_second);
  send_message(reports, &request, LINKSPAN_CALL_LAST);
  good = are_reported(client, &listener, reports);
  /* Where something went wrong, the stream may have ended already. */
  if (good) {
    OK(linkspan_call_cancel(reports, LINKSPAN_CODE_CANCELLED, "both loads were reported", LINKSPAN_NUL));
    good = ends_with(&listener, LINKSPAN_CODE_CANCELLED, NULL);
  }
  OK(linkspan_handle_close(listener.queue));
  return good;
}

#endif
