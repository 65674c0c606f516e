/* The header alone, as strict C99: layouts, constants, and that every function is there under its name. */
#include <linkspan.h>

#define IS(name, condition) typedef char assert_##name[(condition) ? 1 : -1]

#if UINTPTR_MAX == UINT64_MAX
IS(event_size, sizeof(linkspan_event) == 128);
IS(call_options_size, sizeof(linkspan_call_options) == 160);
IS(message_size, sizeof(linkspan_message) == 40);
IS(metadata_entry_size, sizeof(linkspan_metadata_entry) == 40);
IS(tls_options_size, sizeof(linkspan_tls_options) == 72);
IS(provider_size, sizeof(linkspan_provider) == 48);
IS(address_size, sizeof(linkspan_address) == 40);
IS(hooks_size, sizeof(linkspan_hooks) == 48);
IS(option_doc_size, sizeof(linkspan_option_doc) == 40);
IS(event_owner, offsetof(linkspan_event, owner) == 24);
IS(event_message, offsetof(linkspan_event, message) == 32);
IS(event_text, offsetof(linkspan_event, text) == 48);
IS(event_initial, offsetof(linkspan_event, initial) == 64);
IS(event_trailing, offsetof(linkspan_event, trailing) == 80);
IS(event_peer, offsetof(linkspan_event, peer) == 96);
IS(event_elapsed, offsetof(linkspan_event, elapsed_ns) == 112);
IS(event_flags, offsetof(linkspan_event, flags) == 120);
IS(options_queue, offsetof(linkspan_call_options, queue) == 8);
IS(options_method, offsetof(linkspan_call_options, method) == 24);
IS(options_metadata, offsetof(linkspan_call_options, metadata) == 48);
IS(options_message, offsetof(linkspan_call_options, message) == 64);
IS(options_callback, offsetof(linkspan_call_options, callback) == 104);
IS(options_credit, offsetof(linkspan_call_options, read_credit) == 120);
IS(options_authority, offsetof(linkspan_call_options, authority) == 136);
IS(options_credentials, offsetof(linkspan_call_options, credentials) == 152);
#endif
IS(error_size, sizeof(linkspan_error) == 256);
IS(metrics_size, sizeof(linkspan_metrics) == 136);
IS(handle_size, sizeof(linkspan_handle) == 8);
IS(result_size, sizeof(linkspan_result) == 4);
IS(abi, LINKSPAN_ABI == 1);
IS(first_result, LINKSPAN_EINVAL == -1);
IS(last_result, LINKSPAN_EPANIC == -17);
IS(last_code, LINKSPAN_CODE_UNAUTHENTICATED == 16);
IS(nul, LINKSPAN_NUL == SIZE_MAX);
IS(forever, LINKSPAN_FOREVER == INT64_MAX);

typedef void (*function)(void);

/* A missing symbol fails the link, a missing declaration the compilation. */
static const function functions[] = {
  (function)linkspan_abi_version,          (function)linkspan_abi_check,           (function)linkspan_version_text,
  (function)linkspan_feature_present,      (function)linkspan_result_text,         (function)linkspan_code_text,
  (function)linkspan_handle_close,         (function)linkspan_options_new,         (function)linkspan_options_set_int,
  (function)linkspan_options_set_text,     (function)linkspan_options_set_hooks,   (function)linkspan_option_describe,
  (function)linkspan_engine_new,           (function)linkspan_engine_shutdown,     (function)linkspan_engine_join,
  (function)linkspan_engine_fd,            (function)linkspan_engine_timeout,      (function)linkspan_engine_process,
  (function)linkspan_engine_wake,          (function)linkspan_queue_new,           (function)linkspan_queue_next,
  (function)linkspan_queue_notify,         (function)linkspan_queue_fd,            (function)linkspan_queue_wake,
  (function)linkspan_events_release,       (function)linkspan_buffer_new,          (function)linkspan_buffer_retain,
  (function)linkspan_buffer_view,          (function)linkspan_credentials_insecure, (function)linkspan_credentials_tls,
  (function)linkspan_credentials_call,     (function)linkspan_credentials_combine, (function)linkspan_auth_reply,
  (function)linkspan_resolver_register,    (function)linkspan_resolver_update,     (function)linkspan_resolver_fail,
  (function)linkspan_channel_new,          (function)linkspan_channel_state,       (function)linkspan_channel_watch,
  (function)linkspan_channel_nudge,        (function)linkspan_channel_shutdown,    (function)linkspan_channel_unary,
  (function)linkspan_channel_unary_many,   (function)linkspan_channel_unary_wait,  (function)linkspan_channel_stream,
  (function)linkspan_call_send,            (function)linkspan_call_read,           (function)linkspan_call_cancel,
  (function)linkspan_engine_metrics,       (function)linkspan_handle_json,
};

int main(void) {
  size_t at;
  for (at = 0; at < sizeof functions / sizeof *functions; at++)
    if (functions[at] == 0) return 1;
  return sizeof functions / sizeof *functions == 50 && linkspan_abi_version() == LINKSPAN_ABI ? 0 : 1;
}
