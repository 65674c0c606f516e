/*
 * linkspan.h: a gRPC client connection engine, as C sees it.
 *
 * The shape in one page
 *
 *   An engine does the I/O of its channels on one background thread. A channel keeps up connections to a target. A call is
 *   started on a channel and ends with exactly one final event, which goes to a queue the host drains in batches, or to a
 *   callback. linkspan_channel_unary_wait is a call that blocks instead.
 *
 *   The order of a program: linkspan_engine_new (pass LINKSPAN_ABI), linkspan_queue_new, linkspan_credentials_insecure or
 *   _tls, linkspan_channel_new, calls; linkspan_handle_close for everything at the end, in any order.
 *
 * Handles
 *
 *   Every object is a 64-bit checked id, not a pointer. 0, a random number, a handle of another kind, one that was closed and
 *   one that is closed twice are results (LINKSPAN_EHANDLE, LINKSPAN_ECLOSED), never undefined behaviour, and cancelling a call
 *   that has just ended is harmless. linkspan_handle_close closes any kind.
 *
 * Ownership
 *
 *   Inputs (text, metadata, structs, certificates) are copied before a function returns.
 *   Message bytes are copied too, unless `release` is set: then they are borrowed, and release(user_data) runs exactly once, on
 *   any thread, also when the function refuses (LINKSPAN_EAGAIN included). The one exception is a struct that could not be
 *   read at all: NULL, misaligned or LINKSPAN_EABI. With `buffer` set, one hold of the buffer moves to the library on LINKSPAN_OK.
 *   Pointers in an event are valid until linkspan_events_release; in a callback until it returns. One owner keeps all of them
 *   alive; linkspan_buffer_retain(owner) extends that, and linkspan_handle_close(owner) ends it.
 *   Options and credentials may be closed as soon as something was built from them. Never free() memory of the library.
 *   The user_data of hooks and notify functions is released once, after the last use has returned; if the function that takes
 *   them refuses, they stay the caller's. The user_data of a call's callback is the host's: nothing is released.
 *
 * Threads
 *
 *   Any function may be called from any thread, and concurrently on one handle. Events of one queue may be drained by several
 *   threads; each goes to one. linkspan_queue_next (with a timeout), linkspan_channel_unary_wait and linkspan_engine_join
 *   block, so inside a callback they are LINKSPAN_EREENTRANT.
 *
 * NULL, lengths and text
 *
 *   Inputs are (pointer, len); LINKSPAN_NUL as len means NUL-terminated. NULL is allowed where a function says so, and where len
 *   is 0. Text is UTF-8, on output not NUL-terminated unless said. Out-parameters are written only on LINKSPAN_OK. Times are
 *   relative nanoseconds; LINKSPAN_FOREVER is none, and less than 0 is already past. Reserved fields must be zero, and flags a
 *   function does not know are LINKSPAN_EINVAL. A pointer that does not point where it says is the one mistake that cannot be
 *   checked.
 *   Structs that begin with struct_size grow at their end: set it to sizeof. Smaller than in version 0.1 is LINKSPAN_EABI; larger
 *   than the library knows is fine while the bytes behind are zero, else LINKSPAN_EUNSUPPORTED.
 *
 * Errors
 *
 *   A linkspan_result says that a request was refused or a wait ended; a linkspan_code in an event is the status of an RPC. They
 *   are never mixed. A negative result means that no event will come. Set-up functions explain themselves in an optional
 *   linkspan_error; what other functions refuse is explained by one line of the log hook at level 4 (debug).
 *   A panic inside the library becomes LINKSPAN_EPANIC or code 13; the process lives.
 *
 * Callbacks
 *
 *   Callbacks, notify, log and release functions run on the engine's thread, or on a thread that is inside a function of this
 *   library when something is released or logged there. No lock of the library is held meanwhile, so they may start, cancel and
 *   close what they like, the engine included. They must not block, unwind or longjmp out.
 *
 * Shutdown
 *
 *   Closing a channel or an engine ends its calls at once with code 1 (CANCELLED); linkspan_channel_shutdown and
 *   linkspan_engine_shutdown give them a grace. Final events are delivered in any case: drain the queue until
 *   LINKSPAN_EVENT_SHUTDOWN, which is the last event after an engine was shut down. Closing a queue cancels its calls and drops what
 *   it holds. linkspan_engine_join waits until the engine's thread is gone; nothing waits at exit.
 *
 * Fork
 *
 *   A process may fork at any time, but not inside a callback. The parent goes on undisturbed. In the child every inherited handle
 *   is LINKSPAN_EFORKED, closing one does nothing and is LINKSPAN_OK, and a new engine may be made. The child writes nothing to the
 *   connections of its parent: they are closed there before fork returns. Nothing is called back or released for the parent's calls.
 */


#ifndef LINKSPAN_H
#define LINKSPAN_H

#include <stddef.h>
#include <stdint.h>

/* As the length of a text: it ends at its NUL. */
#define LINKSPAN_NUL ((size_t)-1)


// Changes with every incompatible release; before 1.0 the minor number counts too.
#define LINKSPAN_ABI_MAJOR 0

// Counts additions.
#define LINKSPAN_ABI_MINOR 1

// What a program passes to say which header it was compiled with.
#define LINKSPAN_ABI ((LINKSPAN_ABI_MAJOR << 16) | LINKSPAN_ABI_MINOR)

// As a time: no limit.
#define LINKSPAN_FOREVER INT64_MAX

// Set with `linkspan_options_set_int`.
#define LINKSPAN_OPTION_INT 0

// Set with `linkspan_options_set_int`, 0 or 1.
#define LINKSPAN_OPTION_BOOL 1

// Set with `linkspan_options_set_text`.
#define LINKSPAN_OPTION_TEXT 2

// A decimal number; its digits are set with `linkspan_options_set_text`.
#define LINKSPAN_OPTION_FLOAT 3

// An option of `linkspan_engine_new`.
#define LINKSPAN_SCOPE_ENGINE 0

// An option of `linkspan_queue_new`.
#define LINKSPAN_SCOPE_QUEUE 1

// An option of `linkspan_channel_new`.
#define LINKSPAN_SCOPE_CHANNEL 2

// The status was made by this library, not by the peer.
#define LINKSPAN_EVENT_F_LOCAL 1

// The peer never processed the call: it is safe to send it again.
#define LINKSPAN_EVENT_F_UNPROCESSED 2

// A watch ended by its timeout.
#define LINKSPAN_EVENT_F_TIMEOUT 4

// Trust the system's roots; what happens when neither flags nor `roots_pem` say otherwise. Roots that are asked for in several ways are
// all trusted.
#define LINKSPAN_TLS_SYSTEM_ROOTS 1

// Trust the roots built into the library.
#define LINKSPAN_TLS_BUNDLED_ROOTS 2

// Append the secrets of connections to the file that the environment variable SSLKEYLOGFILE names, for tools that look into captured traffic.
#define LINKSPAN_TLS_KEY_LOG 4

// Trust anybody. Only in a library built with the feature `skip-verification`; EUNSUPPORTED in others.
#define LINKSPAN_TLS_SKIP_VERIFICATION 8

// `roots_pem`, `certificate_pem` and `key_pem` are paths, in UTF-8, of files with PEM. They are read again before each new connection, and as often as
// the option linkspan.tls_reload_interval_ms says: new connections use what is there, those there are get successors, and what cannot be used changes
// nothing and is an event of the channel.
#define LINKSPAN_TLS_FILES 16

// Speak TLS 1.3 or newer; without it 1.2 will do.
#define LINKSPAN_TLS_1_3 32

// For `linkspan_channel_state`: start connecting if the channel is idle.
#define LINKSPAN_CHANNEL_TRY_CONNECT 1

// For `linkspan_channel_nudge`: try to connect now, backoff or not.
#define LINKSPAN_NUDGE_RESET_BACKOFF 1

// The network changed. Not in this version.
#define LINKSPAN_NUDGE_NETWORK_CHANGED 2

// Give up connections that carry no call. Not in this version.
#define LINKSPAN_NUDGE_GO_IDLE 4

// Wait for a connection instead of failing while there is none.
#define LINKSPAN_CALL_WAIT_FOR_READY 1

// Neither retry nor hedge, whatever the service config says. What a server did not process is sent again all the same.
#define LINKSPAN_CALL_NO_RETRY 2

// Do not report initial metadata.
#define LINKSPAN_CALL_SKIP_INITIAL 4

// A hint: bytes may wait for the next un-corked start. (This version sends them soon anyway.)
#define LINKSPAN_CALL_CORK 8

// Stream: the message is the last one; half-close with it, or at once when there is none.
#define LINKSPAN_CALL_LAST 16

// The message goes as it is, whatever the call compresses: what mixes secrets with what others choose must not be compressed.
#define LINKSPAN_CALL_UNCOMPRESSED 32

// As the channel does (`grpc.default_compression_algorithm`).
#define LINKSPAN_COMPRESSION_OF_CHANNEL 0

// Messages go as they are.
#define LINKSPAN_COMPRESSION_IDENTITY 1

// The zlib format (RFC 1950), which gRPC calls deflate.
#define LINKSPAN_COMPRESSION_DEFLATE 2

// RFC 1952.
#define LINKSPAN_COMPRESSION_GZIP 3

// Zero or negative: misuse, set-up and wait errors only, never the status of an RPC.
typedef int32_t linkspan_result;

// Any object of this library. 0 is never valid; what the bits mean is private.
typedef uint64_t linkspan_handle;

// The status of an RPC: gRPC's numbers, 0 to 16.
typedef int32_t linkspan_code;

// One option. The texts are static and NUL-terminated.
typedef struct linkspan_option_doc {
  // sizeof(linkspan_option_doc).
  uint32_t struct_size;
  // LINKSPAN_OPTION_*.
  uint32_t kind;
  // LINKSPAN_SCOPE_*.
  uint32_t scope;
  // Zero.
  uint32_t reserved;
  // The key.
  const char *key;
  // Unit, default, what it does and what breaks if it is set badly.
  const char *text;
  // The default of numbers and booleans.
  int64_t default_value;
} linkspan_option_doc;

// Options being collected. What is built from them keeps its own copy, so they may be closed at once.
typedef linkspan_handle linkspan_options;

// Where a set-up function writes why it refused. The caller provides it, sets `struct_size`, and may pass NULL instead.
// Written only when the function fails; `message` is NUL-terminated, cut at a character if it is too long, and holds no secrets.
typedef struct linkspan_error {
  // sizeof(linkspan_error) as the caller compiled it.
  uint32_t struct_size;
  // What the function returned.
  linkspan_result code;
  // The operating system's error number; 0 when it was not the cause.
  int32_t os_error;
  // Zero.
  uint32_t reserved;
  // What was wrong, where, and what to do.
  char message[240];
} linkspan_error;

// Receives one log line. `target` names the room it comes from; neither text is NUL-terminated. Called on any thread.
typedef void (*linkspan_log_fn)(void *user_data,
                                int32_t level,
                                const char *target,
                                size_t target_len,
                                const char *text,
                                size_t text_len);

// Called without news of its own: events wait, or a thread begins or ends.
typedef void (*linkspan_notify_fn)(void *user_data);

// Gives something back to the host; runs exactly once, on any thread. It must not block.
typedef void (*linkspan_release_fn)(void *user_data);

// What an engine tells its host. Copied; `release` runs once, after the last use of `user_data`.
typedef struct linkspan_hooks {
  // sizeof(linkspan_hooks).
  uint32_t struct_size;
  // 0 off, 1 error, 2 warn, 3 info, 4 debug, 5 trace.
  int32_t log_level;
  // Receives log lines; may be NULL.
  linkspan_log_fn log;
  // Runs first on the engine's thread; may be NULL.
  linkspan_notify_fn thread_start;
  // Runs last on the engine's thread; may be NULL. A thread may end and another begin while an engine lives.
  linkspan_notify_fn thread_stop;
  // Passed to all of these.
  void *user_data;
  // Runs once when the hooks are no longer needed; may be NULL.
  linkspan_release_fn release;
} linkspan_hooks;

// What does the I/O of its channels.
typedef linkspan_handle linkspan_engine;

// Counters of an engine. Set `struct_size`; the library writes the smaller of the two sizes.
typedef struct linkspan_metrics {
  // sizeof(linkspan_metrics).
  uint32_t struct_size;
  // Zero.
  uint32_t reserved;
  // Calls started.
  uint64_t calls_started;
  // Calls that ended with OK.
  uint64_t calls_ok;
  // Calls that ended otherwise.
  uint64_t calls_failed;
  // Calls under way.
  uint64_t calls_active;
  // Attempts beyond the first.
  uint64_t retries;
  // Bytes written to connections.
  uint64_t bytes_sent;
  // Bytes read from connections.
  uint64_t bytes_received;
  // Connections opened.
  uint64_t connects;
  // Connections that could not be opened.
  uint64_t connects_failed;
  // GOAWAY frames received.
  uint64_t goaways;
  // Connections given up because nothing was read after a PING.
  uint64_t keepalives_failed;
  // Live handles of the whole process.
  uint64_t handles_live;
  // Completions waiting in queues.
  uint64_t events_queued;
  // Live buffer handles of the whole process.
  uint64_t buffers_held;
  // Calls of `linkspan_engine_process`; 0 with a thread.
  uint64_t process_calls;
  // Time spent in them; 0 with a thread.
  uint64_t process_ns;
} linkspan_metrics;

// Where completions wait.
typedef linkspan_handle linkspan_queue;

// What happened. Hosts ignore, and release, kinds they do not know.
typedef uint32_t linkspan_event_kind;

// Memory of the library: what an event's pointers point into, or what `linkspan_buffer_new` made.
typedef linkspan_handle linkspan_buffer;

// Bytes somebody else owns. This layout never changes.
typedef struct linkspan_slice {
  // May be NULL when `len` is 0.
  const uint8_t *bytes;
  // How many bytes; LINKSPAN_NUL for NUL-terminated text.
  size_t len;
} linkspan_slice;

// One key and one value. This layout never changes. Keys are lower-case; values of keys that end in `-bin` are raw bytes.
typedef struct linkspan_metadata_entry {
  // Lower-case ASCII.
  struct linkspan_slice key;
  // Printable ASCII, or any bytes for a `-bin` key.
  struct linkspan_slice value;
  // Zero.
  uint32_t flags;
  // Zero.
  uint32_t reserved;
} linkspan_metadata_entry;

// One thing that happened. Pointers are valid until `linkspan_events_release`, in a callback until it returns, and as long as
// `owner` is retained. A NULL message means there is none; an empty one is not NULL. Texts are not NUL-terminated.
typedef struct linkspan_event {
  // One of LINKSPAN_EVENT_*.
  linkspan_event_kind kind;
  // The status of the RPC, or what the kind says.
  linkspan_code code;
  // As given when the operation was started.
  uint64_t tag;
  // The call, or what the kind says. A final event's call handle is closed already.
  linkspan_handle handle;
  // Keeps every pointer below alive; 0: nothing to release.
  linkspan_buffer owner;
  // The message, or NULL.
  const uint8_t *message;
  // Its length.
  size_t message_len;
  // Status message or other text, or NULL.
  const char *text;
  // Its length.
  size_t text_len;
  // Initial metadata.
  const struct linkspan_metadata_entry *initial;
  // How many entries.
  size_t initial_count;
  // Trailing metadata.
  const struct linkspan_metadata_entry *trailing;
  // How many entries.
  size_t trailing_count;
  // The address of the peer, or NULL while there is none.
  const char *peer;
  // Its length.
  size_t peer_len;
  // Of a final event: how long the call took.
  int64_t elapsed_ns;
  // LINKSPAN_EVENT_F_*; ignore the ones you do not know.
  uint32_t flags;
  // Zero.
  uint32_t reserved;
} linkspan_event;

// Receives the events of one call, on the engine's thread. The event is valid during the call only, unless its owner is
// retained. It must not block, unwind or jump out.
typedef void (*linkspan_callback)(void *user_data, const struct linkspan_event *event);

// A service the host supplies: requests arrive on `queue`, or through `callback` when it is set.
typedef struct linkspan_provider {
  // sizeof(linkspan_provider).
  uint32_t struct_size;
  // Zero.
  uint32_t flags;
  // Where requests arrive.
  linkspan_queue queue;
  // Returned in every request.
  uint64_t tag;
  // Receives requests instead of the queue; may be NULL.
  linkspan_callback callback;
  // Passed to `callback`.
  void *user_data;
  // Runs once, after the last use of `user_data`.
  linkspan_release_fn release;
} linkspan_provider;

// How a channel proves who it talks to. May be closed as soon as the channel is made.
typedef linkspan_handle linkspan_credentials;

// Something the engine asks its host. Closing it without an answer fails what it was asked for.
typedef linkspan_handle linkspan_request;

// What TLS needs to know. Everything is copied; zero bytes mean: verify against the system's roots, show no certificate.
typedef struct linkspan_tls_options {
  // sizeof(linkspan_tls_options).
  uint32_t struct_size;
  // LINKSPAN_TLS_*.
  uint32_t flags;
  // Roots to trust, in PEM; instead of the system's, unless a flag asks for those too.
  struct linkspan_slice roots_pem;
  // The client's certificate chain, in PEM; goes with `key_pem`.
  struct linkspan_slice certificate_pem;
  // The client's private key, in PEM.
  struct linkspan_slice key_pem;
  // The name to expect in the server's certificate instead of the target's.
  struct linkspan_slice server_name;
} linkspan_tls_options;

// One address a name stands for.
typedef struct linkspan_address {
  // "127.0.0.1:443", "[::1]:443" or "unix:/path".
  struct linkspan_slice text;
  // Its share of the load; 0 is 1.
  uint32_t weight;
  // Zero.
  uint32_t flags;
  // The name to expect in the server's certificate; may be empty.
  struct linkspan_slice server_name;
} linkspan_address;

// A connection to a target, kept up by the engine.
typedef linkspan_handle linkspan_channel;

// A connectivity state.
typedef int32_t linkspan_state;

// One message on its way in. This layout never changes.
//
// Copied by default. With `release` set the bytes are borrowed: they must stay as they are until `release(user_data)` runs,
// which happens exactly once, on any thread, also when the function that took the message fails. With `buffer` set the message
// is that buffer, or the part of it that `bytes` and `len` name; one hold of the buffer moves to the library when the function
// returns LINKSPAN_OK.
typedef struct linkspan_message {
  // NULL: no message, or all of `buffer`.
  const uint8_t *bytes;
  // How many bytes.
  size_t len;
  // A buffer instead of host memory, or 0. Cannot be combined with `release`.
  linkspan_buffer buffer;
  // Set to lend the bytes instead of having them copied.
  linkspan_release_fn release;
  // Passed to `release`.
  void *user_data;
} linkspan_message;

// One call. Start from zero bytes and set `struct_size`. Everything is copied, except a message that is lent.
typedef struct linkspan_call_options {
  // sizeof(linkspan_call_options).
  uint32_t struct_size;
  // LINKSPAN_CALL_*.
  uint32_t flags;
  // Where events go; may be 0 with a callback, which has precedence.
  linkspan_queue queue;
  // Returned in every event of the call.
  uint64_t tag;
  // "/package.Service/Method".
  const char *method;
  // Its length, or LINKSPAN_NUL.
  size_t method_len;
  // More than 0; 0: the channel's default; LINKSPAN_FOREVER: none; less than 0: already past, nothing is sent.
  int64_t timeout_ns;
  // Request metadata; `-bin` values raw.
  const struct linkspan_metadata_entry *metadata;
  // How many entries.
  size_t metadata_count;
  // The request message; for a stream the first one, which is optional.
  struct linkspan_message message;
  // Receives the events instead of a queue; may be NULL.
  linkspan_callback callback;
  // Passed to `callback`.
  void *user_data;
  // Stream: MESSAGE events allowed at first.
  uint32_t read_credit;
  // LINKSPAN_COMPRESSION_*: how the call's messages are compressed, where the server has not said that it cannot read it.
  uint32_t compression;
  // Longest response message accepted; 0: the channel's limit.
  uint64_t max_receive_bytes;
  // Replaces :authority; may be NULL.
  const char *authority;
  // Its length, or LINKSPAN_NUL.
  size_t authority_len;
  // Credentials of this call, behind those of its channel, or 0. On an insecure channel it ends UNAUTHENTICATED.
  linkspan_credentials credentials;
} linkspan_call_options;

// A call under way. Closes itself when its final event is queued or delivered.
typedef linkspan_handle linkspan_call;

// Done.
#define LINKSPAN_OK 0

// A NULL or out-of-range argument, an unknown flag, a nonzero reserved field, text that is not UTF-8.
#define LINKSPAN_EINVAL (-1)

// Never was a handle of this kind.
#define LINKSPAN_EHANDLE (-2)

// Was valid; closed or finished since.
#define LINKSPAN_ECLOSED (-3)

// Not allowed now: send after the last message, read on a unary call.
#define LINKSPAN_ESTATE (-4)

// A blocking or driving function was called from inside a callback.
#define LINKSPAN_EREENTRANT (-5)

// A HOST engine is being driven by another thread right now.
#define LINKSPAN_ETHREAD (-6)

// Back-pressure: nothing was taken, an event will say when to retry.
#define LINKSPAN_EAGAIN (-7)

// The wait timed out. (A call's deadline is status code 4 in its event.)
#define LINKSPAN_ETIMEDOUT (-8)

// `linkspan_queue_wake` was called.
#define LINKSPAN_EINTERRUPTED (-9)

// An unknown `linkspan.*` option or struct field, a feature that is not built, or not on this platform.
#define LINKSPAN_EUNSUPPORTED (-10)

// Out of memory.
#define LINKSPAN_ENOMEM (-11)

// A handle, queue or size limit was reached; the end of an enumeration.
#define LINKSPAN_ELIMIT (-12)

// Belongs to the parent of a fork.
#define LINKSPAN_EFORKED (-13)

// Header and library disagree, or a struct_size or stride is too small.
#define LINKSPAN_EABI (-14)

// A bad target, certificate, key, service config or option value.
#define LINKSPAN_ECONFIG (-15)

// The operating system refused; see `os_error`.
#define LINKSPAN_ESYSTEM (-16)

// A bug in the library; the process lives.
#define LINKSPAN_EPANIC (-17)

// The call succeeded.
#define LINKSPAN_CODE_OK 0

// The call was cancelled, usually by the caller.
#define LINKSPAN_CODE_CANCELLED 1

// A failure nobody classified.
#define LINKSPAN_CODE_UNKNOWN 2

// The server refused an argument.
#define LINKSPAN_CODE_INVALID_ARGUMENT 3

// The deadline passed before the call ended.
#define LINKSPAN_CODE_DEADLINE_EXCEEDED 4

// The server did not find what was asked for.
#define LINKSPAN_CODE_NOT_FOUND 5

// What was to be created exists.
#define LINKSPAN_CODE_ALREADY_EXISTS 6

// The caller may not do this.
#define LINKSPAN_CODE_PERMISSION_DENIED 7

// A limit was reached, here or at the server.
#define LINKSPAN_CODE_RESOURCE_EXHAUSTED 8

// The server is not in the state the call needs.
#define LINKSPAN_CODE_FAILED_PRECONDITION 9

// The server gave up, usually over a conflict.
#define LINKSPAN_CODE_ABORTED 10

// The call reached past a valid range.
#define LINKSPAN_CODE_OUT_OF_RANGE 11

// The server does not offer this method.
#define LINKSPAN_CODE_UNIMPLEMENTED 12

// A rule of the protocol was broken, or there is a bug.
#define LINKSPAN_CODE_INTERNAL 13

// The service cannot be reached now.
#define LINKSPAN_CODE_UNAVAILABLE 14

// Data was lost for good.
#define LINKSPAN_CODE_DATA_LOSS 15

// The call carried no valid credentials.
#define LINKSPAN_CODE_UNAUTHENTICATED 16

// Final, of a unary call: code, text = status message, message = response, initial, trailing.
#define LINKSPAN_EVENT_UNARY 1

// Stream: initial metadata.
#define LINKSPAN_EVENT_HEADERS 2

// Stream: one message; uses one unit of read credit.
#define LINKSPAN_EVENT_MESSAGE 3

// Stream: once after an EAGAIN from `linkspan_call_send`.
#define LINKSPAN_EVENT_WRITABLE 4

// Final, of a stream: like UNARY without a message.
#define LINKSPAN_EVENT_STATUS 5

// handle = channel, code = the state now.
#define LINKSPAN_EVENT_CONNECTIVITY 6

// handle = request, text = target; answer with `linkspan_resolver_update`. Not in this version.
#define LINKSPAN_EVENT_RESOLVE 7

// handle = request, text = audience, message = method path; answer once with `linkspan_auth_reply`.
#define LINKSPAN_EVENT_AUTH 8

// handle = a request no longer wanted; replies are ECLOSED now.
#define LINKSPAN_EVENT_GONE 9

// code = level, text = line. Not in this version.
#define LINKSPAN_EVENT_LOG 10

// The engine has shut down; the last event of the queue.
#define LINKSPAN_EVENT_SHUTDOWN 11

// No connection and no work on one; a call or TRY_CONNECT leaves it.
#define LINKSPAN_STATE_IDLE 0

// Resolving or connecting.
#define LINKSPAN_STATE_CONNECTING 1

// There is a usable connection.
#define LINKSPAN_STATE_READY 2

// The last efforts failed; the next follow after a backoff.
#define LINKSPAN_STATE_TRANSIENT_FAILURE 3

// Shut down for good.
#define LINKSPAN_STATE_SHUTDOWN 4

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// LINKSPAN_ABI of the library.
uint32_t linkspan_abi_version(void);

// OK: a program compiled with that header may use this library. EABI: it may not.
linkspan_result linkspan_abi_check(uint32_t header_abi);

// Version and features for people; static, NUL-terminated.
const char *linkspan_version_text(void);

// 1 if the library was built with a feature of this name ("tls-ring", "dns", "host-driver", "gzip"), else 0.
int32_t linkspan_feature_present(const char *name, size_t len);

// Closes a handle of any kind. Never blocks. 0 does nothing; a second close is ECLOSED. Closing a channel or an engine shuts it
// down with no grace; closing a queue cancels its calls and drops what was not delivered; closing a call cancels it. In a forked
// child closing a handle of the parent's does nothing and is OK.
linkspan_result linkspan_handle_close(linkspan_handle handle);

// The name of a result and what it means; static, NUL-terminated, never NULL.
const char *linkspan_result_text(linkspan_result result);

// The name of a status code, for example "UNAVAILABLE"; "UNKNOWN" for a number outside 0 to 16. Static, NUL-terminated.
const char *linkspan_code_text(linkspan_code code);

// Describes the option with this number; ELIMIT past the last. Numbers are not stable between versions, keys are.
linkspan_result linkspan_option_describe(uint32_t index, struct linkspan_option_doc *out);

// New, empty options.
linkspan_result linkspan_options_new(linkspan_options *out);

// Sets a whole number, or 0 or 1 for a boolean. ECONFIG: wrong type or out of range. EUNSUPPORTED: unknown `linkspan.*` key, the
// text names the nearest. Unknown `grpc.*` keys are accepted, with one warning per key through the log hook. Of two settings of
// one key the first holds.
linkspan_result linkspan_options_set_int(linkspan_options options,
                                         const char *key,
                                         size_t key_len,
                                         int64_t value,
                                         struct linkspan_error *error);

// Sets text; for an option that is a decimal number, its digits. Results as for `linkspan_options_set_int`.
linkspan_result linkspan_options_set_text(linkspan_options options,
                                          const char *key,
                                          size_t key_len,
                                          const char *text,
                                          size_t len,
                                          struct linkspan_error *error);

// Sets the hooks of an engine, replacing earlier ones. On a result other than OK the hooks stay the caller's and `release` does
// not run.
linkspan_result linkspan_options_set_hooks(linkspan_options options,
                                           const struct linkspan_hooks *hooks);

// A new engine. `abi` is LINKSPAN_ABI as the caller compiled it; `options` may be 0. The engine's thread starts with the first
// connection.
linkspan_result linkspan_engine_new(uint32_t abi,
                                    linkspan_options options,
                                    linkspan_engine *out,
                                    struct linkspan_error *error);

// Ends an engine: no new calls; running ones get the grace, then end CANCELLED. Returns at once. FOREVER waits for all calls.
linkspan_result linkspan_engine_shutdown(linkspan_engine engine,
                                         int64_t grace_ns);

// Blocks until shutdown is complete and the thread is gone; ETIMEDOUT if that takes longer.
linkspan_result linkspan_engine_join(linkspan_engine engine, int64_t timeout_ns);

// A snapshot of an engine's counters. Those of calls and connections are sums over the channels that exist.
linkspan_result linkspan_engine_metrics(linkspan_engine engine, struct linkspan_metrics *out);

// HOST driver: a descriptor that is readable when `linkspan_engine_process` has work. Not in this version: EUNSUPPORTED.
linkspan_result linkspan_engine_fd(linkspan_engine engine,
                                   int64_t *out);

// HOST driver: the time until process is next needed. Not in this version: EUNSUPPORTED.
linkspan_result linkspan_engine_timeout(linkspan_engine engine, int64_t *out_ns);

// HOST driver: does what can be done without blocking. Not in this version: EUNSUPPORTED.
linkspan_result linkspan_engine_process(linkspan_engine engine, uint32_t flags, uint32_t *out_events);

// HOST driver: makes the descriptor readable. Not in this version: EUNSUPPORTED.
linkspan_result linkspan_engine_wake(linkspan_engine engine);

// A new queue of an engine; `options` may be 0.
linkspan_result linkspan_queue_new(linkspan_engine engine,
                                   linkspan_options options,
                                   linkspan_queue *out,
                                   struct linkspan_error *error);

// Waits for up to `max` events and writes them at `stride` bytes from each other; `stride` is sizeof(linkspan_event) as the
// caller compiled it. Any number of threads may wait; each event goes to one. With timeout 0 or less it only takes what is
// there and never blocks. ETIMEDOUT when nothing came; EINTERRUPTED after `linkspan_queue_wake`; ECLOSED after the SHUTDOWN
// event or the queue's close. Release the events afterwards.
linkspan_result linkspan_queue_next(linkspan_queue queue,
                                    struct linkspan_event *events,
                                    size_t stride,
                                    size_t max,
                                    int64_t timeout_ns,
                                    size_t *out_count);

// Calls `notify` once per change from empty to not empty, on the engine's thread; NULL removes it. Once called, drain until
// ETIMEDOUT. If events wait already it is called before this returns. `release` runs once after the last use of `user_data`,
// and only if this returns OK.
linkspan_result linkspan_queue_notify(linkspan_queue queue,
                                      linkspan_notify_fn notify,
                                      void *user_data,
                                      linkspan_release_fn release);

// A file descriptor that is readable (level) while events wait, for a host's own event loop. It is the queue's: constant for
// its life, never read or closed by the host. Linux only in this version.
linkspan_result linkspan_queue_fd(linkspan_queue queue,
                                  int64_t *out);

// Makes one `linkspan_queue_next`, blocked or the next, return EINTERRUPTED. From any thread.
linkspan_result linkspan_queue_wake(linkspan_queue queue);

// Releases what events own and sets their owners to 0, so that releasing twice is harmless. `stride` is sizeof(linkspan_event).
linkspan_result linkspan_events_release(struct linkspan_event *events,
                                        size_t stride,
                                        size_t count);

// Memory to serialise a message into and send without a copy. `*bytes` may be written for `len` bytes until the buffer is sent
// or closed. Close what is not sent with `linkspan_handle_close`.
linkspan_result linkspan_buffer_new(size_t len,
                                    linkspan_buffer *out,
                                    uint8_t **bytes);

// Keeps a buffer, and with it every pointer of its event, past `linkspan_events_release` or the end of the callback. Each
// retain takes one more `linkspan_handle_close`.
linkspan_result linkspan_buffer_retain(linkspan_buffer buffer);

// Where a buffer's bytes are: the message of an event, the text of a dump, or what `linkspan_buffer_new` made. They stay valid
// while the buffer is held.
linkspan_result linkspan_buffer_view(linkspan_buffer buffer,
                                     const uint8_t **bytes,
                                     size_t *len);

// Credentials of calls that the host supplies: every attempt of a call is an AUTH event on the provider's queue or to its callback, answered once
// with `linkspan_auth_reply`. GONE follows if its call ends first. Use them for all calls of a channel, see
// `linkspan_credentials_combine`, or for one call. The provider's `release` runs after the last use, and only if this returns OK.
linkspan_result linkspan_credentials_call(linkspan_engine engine,
                                          const struct linkspan_provider *provider,
                                          linkspan_credentials *out,
                                          struct linkspan_error *error);

// These channel credentials, and those of calls for every call. Both may be closed afterwards. ECONFIG for insecure ones, which would show them
// to everybody. Two credentials of calls combine to credentials of calls.
linkspan_result linkspan_credentials_combine(linkspan_credentials channel,
                                             linkspan_credentials call,
                                             linkspan_credentials *out);

// Answers an AUTH request, from any thread. Code 0: the call is sent with this metadata too. Else the attempt fails with code and text; codes that only
// servers may use become INTERNAL. EINVAL: the metadata or the code cannot be used, and the request stays open. ECLOSED: it was answered, or its
// call has ended.
linkspan_result linkspan_auth_reply(linkspan_request request,
                                    linkspan_code code,
                                    const char *text,
                                    size_t len,
                                    const struct linkspan_metadata_entry *metadata,
                                    size_t count);

// Plaintext.
linkspan_result linkspan_credentials_insecure(linkspan_credentials *out);

// TLS. ECONFIG names the field that cannot be used, never its content.
linkspan_result linkspan_credentials_tls(const struct linkspan_tls_options *tls,
                                         linkspan_credentials *out,
                                         struct linkspan_error *error);

// Registers a name resolver of the host's. Not in this version: EUNSUPPORTED, the provider stays the caller's.
linkspan_result linkspan_resolver_register(linkspan_engine engine,
                                           const char *scheme,
                                           size_t len,
                                           const struct linkspan_provider *provider,
                                           struct linkspan_error *error);

// Answers a RESOLVE request. This version makes none: EHANDLE.
linkspan_result linkspan_resolver_update(linkspan_request request,
                                         const struct linkspan_address *addresses,
                                         size_t stride,
                                         size_t count,
                                         const char *service_config,
                                         size_t service_config_len,
                                         struct linkspan_error *error);

// Answers a RESOLVE request with a failure. This version makes none: EHANDLE.
linkspan_result linkspan_resolver_fail(linkspan_request request, linkspan_code code, const char *text, size_t len);

// A new channel. Nothing is connected before the first call or TRY_CONNECT. `options` may be 0; options and credentials may be
// closed afterwards. ECONFIG: the target, an option or the credentials cannot be used; the text says what to do.
linkspan_result linkspan_channel_new(linkspan_engine engine,
                                     const char *target,
                                     size_t len,
                                     linkspan_credentials credentials,
                                     linkspan_options options,
                                     linkspan_channel *out,
                                     struct linkspan_error *error);

// The state now. With TRY_CONNECT an idle channel starts to connect; the state written is the one before.
linkspan_result linkspan_channel_state(linkspan_channel channel, uint32_t flags, linkspan_state *out);

// Flag 1 ends a running backoff, so that the next attempt to connect starts now.
linkspan_result linkspan_channel_nudge(linkspan_channel channel, uint32_t flags);

// Ends a channel: no new calls, running ones get the grace, then end CANCELLED. Returns at once; the handle stays open until
// `linkspan_handle_close`.
linkspan_result linkspan_channel_shutdown(linkspan_channel channel,
                                          int64_t grace_ns);

// One CONNECTIVITY event once the state is not `last` any more, or with LINKSPAN_EVENT_F_TIMEOUT when the time is over. Arm
// again for more; what happens between two watches is seen as one change.
linkspan_result linkspan_channel_watch(linkspan_channel channel,
                                       linkspan_state last,
                                       int64_t timeout_ns,
                                       linkspan_queue queue,
                                       uint64_t tag);

// Starts a unary call; its one event, UNARY, goes to the queue or the callback. `out` may be NULL; its only use is cancelling.
linkspan_result linkspan_channel_unary(linkspan_channel channel,
                                       const struct linkspan_call_options *options,
                                       linkspan_call *out);

// Starts `count` unary calls; `options[0].struct_size` is the stride and every element names the same size. Stops at the first
// one that is refused and returns its result. `*out_started` is written in any case: so many calls have started, and so many
// handles were written to `out`, which may be NULL. Messages behind the refused one were not touched.
linkspan_result linkspan_channel_unary_many(linkspan_channel channel,
                                            const struct linkspan_call_options *options,
                                            size_t count,
                                            linkspan_call *out,
                                            size_t *out_started);

// Makes a unary call and blocks until it has ended; its event is written to `out`, which has `out_size` bytes. Release it
// afterwards. Set neither a queue nor a callback. Not from inside a callback.
linkspan_result linkspan_channel_unary_wait(linkspan_channel channel,
                                            const struct linkspan_call_options *options,
                                            struct linkspan_event *out,
                                            size_t out_size);

// Starts a stream: HEADERS, MESSAGE and WRITABLE events, then one STATUS. The first message is optional. A server's messages
// come as `read_credit` and `linkspan_call_read` allow.
linkspan_result linkspan_channel_stream(linkspan_channel channel,
                                        const struct linkspan_call_options *options,
                                        linkspan_call *out);

// Sends a message of a stream. Flags: LINKSPAN_CALL_LAST half-closes with it, LINKSPAN_CALL_UNCOMPRESSED has it go as it is,
// LINKSPAN_CALL_CORK is a hint. NULL with LAST half-closes alone. EAGAIN: too much is waiting, nothing was taken (a lent message has
// been released), and one WRITABLE event follows when it is worth trying again. ESTATE after the last message or on a unary call.
linkspan_result linkspan_call_send(linkspan_call call,
                                   const struct linkspan_message *message,
                                   uint32_t flags);

// Allows a stream that many more MESSAGE events.
linkspan_result linkspan_call_read(linkspan_call call, uint32_t credit);

// Cancels a call: it ends with this code (1 to 16) and text unless it has ended already. The final event still comes. From any
// thread, at any time; ECLOSED after the end is harmless.
linkspan_result linkspan_call_cancel(linkspan_call call,
                                     linkspan_code code,
                                     const char *text,
                                     size_t len);

// What an engine or a channel looks like now as JSON text, UTF-8, without secrets; look at it with `linkspan_buffer_view` and close it.
// `flags` must be 0. An engine's has its channels that are in use in `channels`. A channel's has its addresses in `subchannels`, each with
// state, last error, time of the next attempt and connections, and its newest state changes with their causes in `data.trace.events`.
// Times are in nanoseconds. A limit that is `null` is not set, and all else that is `null` is not known.
// Waits for the engine's thread, some microseconds and a second at most. Where that cannot be asked, as in a callback or after the channel was
// closed, `isPartial` is true and what only the thread knows is missing.
linkspan_result linkspan_handle_json(linkspan_handle handle,
                                     uint32_t flags,
                                     linkspan_buffer *out);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* LINKSPAN_H */
