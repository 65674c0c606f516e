//! linkspan's addon for Node.js: the crossing between `lib/*.cjs` and the engine, and nothing else.
//!
//! JavaScript holds three kinds of native object: one [`queue::Queue`] per environment (main thread or worker),
//! [`channel::NativeChannel`]s and [`options::NativeCredentials`]. A call is no object at all: it is a slot number,
//! chosen by JavaScript, under which [`queue::Environment`] keeps the engine's handle and under which the call's
//! events come back. Events wait in the engine's completion queue; one weak thread-safe function per environment
//! says that there are some, and JavaScript then takes them in batches (`Queue::drain`).
//!
//! No promise, closure or thread-safe function is made per call, and no thread is started here.

mod call;
mod channel;
mod errors;
mod events;
mod log;
mod metadata;
mod metrics;
mod options;
mod queue;

use napi_derive::napi;

/// The version of the addon, which the JavaScript beside it compares with its own.
#[napi]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Throws what the engine has against this metadata entry, if anything.
#[napi(catch_unwind)]
pub fn check_metadata(key: String, value: String) -> errors::Result<()> {
    metadata::check(&key, &value).map_err(|error| errors::to_js(&error))
}

/// The type the registry of options wants for a key ("int", "bool", "text" or "float"); null for a key it has not.
#[napi(catch_unwind)]
pub fn option_kind(key: String) -> Option<&'static str> {
    options::kind_name(&key)
}

/// Throws what the engine has against this option, if anything.
#[napi(catch_unwind)]
pub fn check_option(setting: options::Setting) -> errors::Result<()> {
    options::check(setting).map_err(|error| errors::to_js(&error))
}
