//! The texts of a name: its TXT records.

use std::io;
use std::net::SocketAddr;

use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::RData;

use super::settings::Settings;
use super::{asking, words};
use crate::runtime::TextAnswer;

/// Asks `server`, or the system's servers; no file of the system has texts.
pub(in crate::runtime::tokio) async fn look_up_texts(name: &str, server: Option<SocketAddr>) -> io::Result<TextAnswer> {
    let settings = match server {
        Some(server) => Settings::of_server(server),
        None => of_system().await?,
    };
    let failed = |cause| io::Error::other(format!("{}; asked {}", words(&cause), settings.told()));
    let found = match asking::look_up_texts(&settings, name).await {
        Err(NetError::Dns(DnsError::NoRecordsFound(_))) => return Ok(TextAnswer::default()),
        found => found.map_err(failed)?,
    };
    let records = found.iter().filter_map(|record| match &record.data {
        RData::TXT(text) => Some(text.txt_data.clone()),
        _ => None,
    });
    Ok(TextAnswer { records: records.collect(), valid_for: asking::valid_for(&found) })
}

async fn of_system() -> io::Result<Settings> {
    #[expect(clippy::disallowed_methods, reason = "this is the driver")]
    let read = tokio::task::spawn_blocking(Settings::of_system);
    read.await.map_err(|_| io::Error::other("the look-up was given up"))?.map_err(io::Error::other)
}
