//! Options of the worlds' channels.

use crate::channel::options::{ChannelOptions, OptionValue, Preset};

/// A preset and what is set beside it.
pub(crate) fn options<const N: usize>(preset: Preset, set: [(&str, OptionValue); N]) -> ChannelOptions {
    let mut options = ChannelOptions::new();
    options.set_preset(preset);
    // Every state change is checked.
    options.set("linkspan.events_capacity", 65_536).expect("in range");
    for (key, value) in set {
        options.set(key, value).expect(key);
    }
    // The first of two settings holds: several connections only where the world is about them.
    options.set("linkspan.connections_per_subchannel", 1).expect("in range");
    options
}
