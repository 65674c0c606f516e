//! Addresses from a file, read again when it changes. The target is the file: `file:///etc/servers` or `file:servers`.
//!
//! One endpoint a line; further addresses of the same server follow on the line. What follows `#` is a comment.

use std::path::Path;
use std::time::{Duration, SystemTime};
use std::{fs, io, thread};

use linkspan_core::{Resolver, ResolverAddress, ResolverFactory, ResolverSender, ResolverTarget, ResolverUpdate};

/// How often the file is looked at.
const EVERY: Duration = Duration::from_millis(100);

pub(crate) struct FileResolver;

impl ResolverFactory for FileResolver {
    fn start(&self, target: &ResolverTarget, results: ResolverSender) -> Result<Box<dyn Resolver>, String> {
        let path = target.path().to_owned();
        let watcher = thread::Builder::new().name("file-resolver".into());
        watcher.spawn(move || watch(Path::new(&path), &results)).map_err(|cause| format!("no thread: {cause}"))?;
        Ok(Box::new(Watched))
    }

    fn default_authority(&self, _: &ResolverTarget) -> String {
        "localhost".to_owned()
    }
}

/// The thread sees every change by itself, so nothing is to be done when the channel asks.
struct Watched;

impl Resolver for Watched {}

/// Says what the file says, until nobody listens any more.
fn watch(path: &Path, results: &ResolverSender) {
    let mut seen = None;
    while !results.is_closed() {
        // Before it is read: a change in between shows the next time.
        let stamp = stamp(path);
        if seen.as_ref() != Some(&stamp) {
            match read(path) {
                Ok(update) => results.update(update),
                Err(why) => results.error(format!("{}: {why}", path.display())),
            };
            seen = Some(stamp);
        }
        thread::sleep(EVERY);
    }
}

/// What tells one content from another; the text of the error where there is none.
fn stamp(path: &Path) -> Result<(SystemTime, u64), String> {
    let read = || -> io::Result<_> {
        let about = fs::metadata(path)?;
        Ok((about.modified()?, about.len()))
    };
    read().map_err(|cause| cause.to_string())
}

fn read(path: &Path) -> Result<ResolverUpdate, String> {
    let text = fs::read_to_string(path).map_err(|cause| cause.to_string())?;
    let mut update = ResolverUpdate::default();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let addresses: Result<Vec<ResolverAddress>, _> = line.split_whitespace().map(str::parse).collect();
        let addresses = addresses.map_err(|wrong| wrong.to_string())?;
        if !addresses.is_empty() {
            update.endpoints.push(addresses);
        }
    }
    Ok(update)
}
