/* The same cases in every language: parity FILE. Prints one JSON line per case; tests/parity compares them. */
#include "check.h"
#include "how.h"
#include "json_text.h"

#define LINE 65536
#define LARGEST_REQUEST (1 << 20)
#define COLUMNS 7

/* The last refusal as the log hook has it: in full, and also of functions that return nothing but a result. */
static char refusal[4096];

static void keep_refusal(void *user_data, int32_t level, const char *target, size_t target_len, const char *text,
                         size_t text_len) {
  static const char functions[] = "linkspan_";
  (void)user_data, (void)level;
  if (target_len < strlen(functions) || memcmp(target, functions, strlen(functions)) != 0) return;
  snprintf(refusal, sizeof refusal, "%.*s", (int)text_len, text);
}

struct outcome {
  const char *error_at, *kind;
  char text[4096];
  /* 1 or 0; -1 where it is not known. */
  int unprocessed;
  char peer[256];
  const char *final_state;
  linkspan_buffer dump;
};

/* Core's name for what a set-up function refused; a bad option value and a bad target share a result. */
static const char *kind_of(linkspan_result result, const char *config_kind) {
  switch (result) {
    case LINKSPAN_ECONFIG: return config_kind;
    case LINKSPAN_EUNSUPPORTED: return "Unsupported";
    case LINKSPAN_ELIMIT: return "Limit";
    case LINKSPAN_ECLOSED: return "Closed";
    case LINKSPAN_ESYSTEM: return "System";
    default: return "Internal";
  }
}

static void tell(struct outcome *outcome, const char *error_at, const char *kind, const char *text, size_t len) {
  outcome->error_at = error_at;
  outcome->kind = kind;
  snprintf(outcome->text, sizeof outcome->text, "%.*s", (int)len, text);
}

/* A set-up function refused: its error holds at least the beginning of what the log holds in full. */
static void tell_refusal(struct outcome *outcome, const char *kind, const linkspan_error *error) {
  CHECK(error->message[0] != '\0' && strncmp(refusal, error->message, strlen(error->message)) == 0);
  tell(outcome, "create", kind, refusal, strlen(refusal));
}

/* One "key=TYPE:VALUE"; 1 if it was taken. */
static int set_option(linkspan_options options, char *setting, struct outcome *outcome) {
  char *equals = strchr(setting, '='), *value;
  linkspan_error error = no_error();
  linkspan_result result;
  CHECK(equals != NULL && equals[1] != '\0' && equals[2] == ':');
  *equals = '\0';
  value = equals + 3;
  switch (equals[1]) {
    case 'i': result = linkspan_options_set_int(options, setting, LINKSPAN_NUL, strtoll(value, NULL, 10), &error); break;
    case 'b': result = linkspan_options_set_int(options, setting, LINKSPAN_NUL, strcmp(value, "true") == 0, &error); break;
    default: result = linkspan_options_set_text(options, setting, LINKSPAN_NUL, value, LINKSPAN_NUL, &error); break;
  }
  if (result != LINKSPAN_OK) tell_refusal(outcome, kind_of(result, "BadOption"), &error);
  return result == LINKSPAN_OK;
}

/* What is wrong with a value's inside is found where the channel is made, as what is wrong with its target is. */
static int is_about_an_option(const linkspan_error *error) {
  return strncmp(error->message, "option ", strlen("option ")) == 0;
}

static int set_options(linkspan_options options, char *settings, struct outcome *outcome) {
  char preset[] = "linkspan.preset=s:resilient";
  char *setting;
  for (setting = strtok(settings, " "); setting != NULL; setting = strtok(NULL, " "))
    if (!set_option(options, setting, outcome)) return 0;
  /* The first setting of a key holds, so a case may choose another. */
  return set_option(options, preset, outcome);
}

static size_t from_hex(const char *hex, uint8_t *bytes) {
  size_t len = 0;
  unsigned byte;
  for (; hex[0] != '\0' && hex[1] != '\0' && sscanf(hex, "%2x", &byte) == 1; hex += 2) bytes[len++] = (uint8_t)byte;
  return len;
}

struct run {
  linkspan_channel channel;
  linkspan_queue queue;
  const struct how *how;
  const char *method;
  int64_t timeout_ns;
  const uint8_t *message;
  size_t message_len;
};

/* 0 would be the channel's default. */
static int64_t parse_timeout(const char *timeout_ms) {
  int64_t timeout = strtoll(timeout_ms, NULL, 10) * 1000000;
  return strcmp(timeout_ms, "-") == 0 ? 0 : timeout == 0 ? -1 : timeout;
}

static linkspan_result start_call(const struct run *run, int64_t timeout_ns, uint64_t tag, linkspan_call *call) {
  static const char key[] = "k", value[] = "v";
  linkspan_call_options options = call_options(run->method);
  linkspan_metadata_entry *metadata = (linkspan_metadata_entry *)calloc(run->how->metadata + 1, sizeof *metadata);
  linkspan_result result;
  size_t i;
  CHECK(metadata != NULL);
  for (i = 0; i < run->how->metadata; i++) {
    metadata[i].key.bytes = (const uint8_t *)key, metadata[i].key.len = 1;
    metadata[i].value.bytes = (const uint8_t *)value, metadata[i].value.len = 1;
  }
  options.queue = run->queue;
  options.tag = tag;
  options.flags = run->how->wait_for_ready ? LINKSPAN_CALL_WAIT_FOR_READY : 0;
  options.message = bytes_message(run->message, run->message_len);
  options.timeout_ns = timeout_ns;
  options.metadata = metadata;
  options.metadata_count = run->how->metadata;
  result = linkspan_channel_unary(run->channel, &options, call);
  free(metadata);
  return result;
}

/* The end of the call that is told, after what is to happen meanwhile; its tag is 1. */
static linkspan_result call_told(const struct run *run, linkspan_event *event) {
  linkspan_call call;
  linkspan_result result;
  refusal[0] = '\0';
  result = start_call(run, run->timeout_ns, 1, &call);
  if (result != LINKSPAN_OK) return result;
  if (run->how->cancel_once != NULL) {
    wait_for_file(run->how->cancel_once);
    OK(linkspan_call_cancel(call, LINKSPAN_CODE_CANCELLED, "cancelled by the caller", LINKSPAN_NUL));
  }
  if (run->how->close_once != NULL) {
    wait_for_file(run->how->close_once);
    OK(linkspan_channel_shutdown(run->channel, 0));
  }
  for (*event = next_event(run->queue); event->tag != 1; *event = next_event(run->queue)) release_event(event);
  return LINKSPAN_OK;
}

static void tell_end(struct outcome *outcome, const linkspan_event *event) {
  if (event->code == LINKSPAN_CODE_OK) {
    tell(outcome, "", "OK", "", 0);
    return;
  }
  tell(outcome, "status", linkspan_code_text(event->code), event->text, event->text_len);
  outcome->unprocessed = (event->flags & LINKSPAN_EVENT_F_UNPROCESSED) != 0;
  snprintf(outcome->peer, sizeof outcome->peer, "%.*s", (int)event->peer_len, event->peer == NULL ? "" : event->peer);
}

static void make_calls(const struct run *run, struct outcome *outcome) {
  linkspan_event event;
  linkspan_result result;
  int i;
  for (i = 0; i < run->how->earlier; i++) {
    OK(call_told(run, &event));
    release_event(&event);
  }
  for (i = 0; i < run->how->beside; i++) OK(start_call(run, LINKSPAN_FOREVER, 0, NULL));
  if (run->how->start_once != NULL) wait_for_file(run->how->start_once);
  result = call_told(run, &event);
  if (result != LINKSPAN_OK) {
    /* The options above are sound, so EINVAL is about the method, which core calls a question of state. */
    tell(outcome, "call", result == LINKSPAN_EINVAL ? "State" : kind_of(result, "BadOption"), refusal, strlen(refusal));
    return;
  }
  tell_end(outcome, &event);
  release_event(&event);
}

static const char *state_name(linkspan_channel channel) {
  static const char *names[] = {"IDLE", "CONNECTING", "READY", "TRANSIENT_FAILURE", "SHUTDOWN"};
  linkspan_state state;
  OK(linkspan_channel_state(channel, 0, &state));
  CHECK(state >= 0 && state < 5);
  return names[state];
}

static void run_case(linkspan_engine engine, char **columns, struct outcome *outcome) {
  static const char closed[] = "@closed ";
  const char *target = columns[1];
  int is_closed = strncmp(target, closed, strlen(closed)) == 0;
  static uint8_t message[LARGEST_REQUEST];
  struct how how = parse_how(columns[6]);
  struct run run;
  linkspan_options options;
  linkspan_credentials credentials;
  linkspan_channel channel;
  linkspan_error error = no_error();
  linkspan_result result;
  if (is_closed) target += strlen(closed);
  OK(linkspan_options_new(&options));
  if (set_options(options, columns[5], outcome)) {
    credentials = credentials_of(&how);
    result = linkspan_channel_new(engine, target, LINKSPAN_NUL, credentials, options, &channel, &error);
    OK(linkspan_handle_close(credentials));
    if (result != LINKSPAN_OK) {
      tell_refusal(outcome, kind_of(result, is_about_an_option(&error) ? "BadOption" : "BadTarget"), &error);
    } else {
      if (is_closed) OK(linkspan_channel_shutdown(channel, 0));
      memset(message, 0, sizeof message);
      run.channel = channel;
      run.how = &how;
      run.method = columns[2];
      run.timeout_ns = parse_timeout(columns[3]);
      run.message = message;
      run.message_len = how.request_size < 0 ? from_hex(columns[4], message) : (size_t)how.request_size;
      CHECK(run.message_len <= sizeof message);
      OK(linkspan_queue_new(engine, 0, &run.queue, NULL));
      make_calls(&run, outcome);
      outcome->final_state = state_name(channel);
      OK(linkspan_handle_json(channel, 0, &outcome->dump));
      OK(linkspan_handle_close(channel));
      OK(linkspan_handle_close(run.queue));
    }
  }
  OK(linkspan_handle_close(options));
}

/* Prints the descriptions of the state changes in a channel's dump, as they stand in its JSON. */
static void print_events(linkspan_buffer dump) {
  const uint8_t *bytes;
  char *text;
  const char *at;
  size_t len;
  int is_first = 1;
  if (dump == 0) return;
  OK(linkspan_buffer_view(dump, &bytes, &len));
  text = (char *)malloc(len + 1);
  CHECK(text != NULL);
  memcpy(text, bytes, len);
  text[len] = '\0';
  for (at = text; (at = find_value(at, "description")) != NULL; is_first = 0)
    printf("%s%.*s", is_first ? "" : ",", (int)(end_of_value(at) - at), at);
  free(text);
  OK(linkspan_handle_close(dump));
}

static void print_outcome(const char *name, const struct outcome *outcome) {
  printf("{\"case\":");
  print_json_text(name, strlen(name));
  printf(",\"error_at\":\"%s\",\"kind_or_code\":\"%s\",\"text\":", outcome->error_at, outcome->kind);
  print_json_text(outcome->text, strlen(outcome->text));
  printf(",\"unprocessed\":%s,\"peer\":", outcome->unprocessed < 0 ? "null" : outcome->unprocessed ? "true" : "false");
  print_json_text(outcome->peer, strlen(outcome->peer));
  printf(",\"final_state\":\"%s\",\"events\":[", outcome->final_state);
  print_events(outcome->dump);
  printf("]}\n");
  fflush(stdout);
}

/* Splits at tabs; an empty column stays a column. */
static int split(char *line, char **columns) {
  int count = 0;
  line[strcspn(line, "\r\n")] = '\0';
  for (; line != NULL && count < COLUMNS; count++) {
    char *tab = strchr(line, '\t');
    columns[count] = line;
    if (tab != NULL) *tab++ = '\0';
    line = tab;
  }
  return count;
}

static linkspan_engine engine_with_log(void) {
  linkspan_engine engine;
  linkspan_options options;
  linkspan_hooks hooks;
  memset(&hooks, 0, sizeof hooks);
  hooks.struct_size = sizeof hooks;
  hooks.log_level = 4;
  hooks.log = keep_refusal;
  OK(linkspan_options_new(&options));
  OK(linkspan_options_set_hooks(options, &hooks));
  OK(linkspan_engine_new(LINKSPAN_ABI, options, &engine, NULL));
  OK(linkspan_handle_close(options));
  return engine;
}

int main(int argc, char **argv) {
  static char line[LINE];
  linkspan_engine engine;
  FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
  if (file == NULL) {
    fprintf(stderr, "usage: parity FILE\n");
    return 2;
  }
  guard(GUARD_SECONDS);
  engine = engine_with_log();
  while (fgets(line, sizeof line, file) != NULL) {
    struct outcome outcome = {"", "OK", "", -1, "", "", 0};
    char *columns[COLUMNS];
    if (line[0] == '\n') continue;
    CHECK(split(line, columns) == COLUMNS);
    run_case(engine, columns, &outcome);
    print_outcome(columns[0], &outcome);
  }
  fclose(file);
  OK(linkspan_engine_shutdown(engine, 0));
  OK(linkspan_engine_join(engine, GUARD_NS));
  OK(linkspan_handle_close(engine));
  return 0;
}
