//! What the fuzz targets of `core/fuzz` run: bytes in, nothing out, and what must hold of them is asserted here.
//!
//! This room is built for fuzzing and for tests, which replay the seeds; it stands above every other, and nothing of it is in a library.
//! A function may take any bytes. What the bytes mean to it is in its comment, so that a seed can be written by hand.

mod compression;
mod configs;
mod credentials;
mod input;
mod places;
mod requests;
mod response;
mod wire;

pub use compression::compressed;
pub use configs::{service_config, service_config_choices};
pub use credentials::tls_options;
pub use places::{connect_answer, proxy, target};
pub use requests::request;
pub use response::response;
pub use wire::{headers, load_report, message, retry_advice};

/// A target: its name, which is also that of its folder of seeds, and what it runs.
pub type Target = (&'static str, fn(&[u8]));

/// Every target there is.
pub const TARGETS: &[Target] = &[
    ("message", message),
    ("compressed", compressed),
    ("headers", headers),
    ("load_report", load_report),
    ("retry_advice", retry_advice),
    ("request", request),
    ("service_config", service_config),
    ("service_config_choices", service_config_choices),
    ("target", target),
    ("proxy", proxy),
    ("connect_answer", connect_answer),
    ("tls_options", tls_options),
    ("response", response),
];

#[cfg(test)]
mod tests;
