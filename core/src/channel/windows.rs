//! A channel's receive windows, from its options.

use super::options::{ChannelOptions, Preset};

/// How much a server may send before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Windows {
    pub(crate) stream: u32,
    /// What a stream's may grow to.
    pub(crate) max_stream: u32,
    pub(crate) connection: u32,
}

impl Windows {
    /// gRPC's names count where ours are not set. A stream's window grows to half of the connection's at most: credit of both comes back
    /// together, so one stalled reader with all of it would hold up everybody.
    pub(super) fn new(options: &ChannelOptions, preset: Preset) -> Self {
        // No smaller than HTTP/2 begins with; the registry's ranges keep the rest.
        let bytes = |value: i64| u32::try_from(value.max(65_535)).unwrap_or(u32::MAX);
        let set = |key| options.int(key).map(bytes);
        let default = |key| bytes(options.number(key, preset));
        let fixed = set("grpc-node.flow_control_window");
        let stream = set("linkspan.stream_window_bytes")
            .or(fixed)
            .or_else(|| set("grpc.http2.lookahead_bytes"))
            .unwrap_or_else(|| default("linkspan.stream_window_bytes"));
        let connection = set("linkspan.connection_window_bytes")
            .unwrap_or_else(|| default("linkspan.connection_window_bytes").max(fixed.unwrap_or(0)));
        let grows = options.flag("grpc.http2.bdp_probe").unwrap_or(true)
            && (fixed.is_none() || options.int("linkspan.max_stream_window_bytes").is_some());
        let most = default("linkspan.max_stream_window_bytes").min(connection / 2);
        Self { stream, max_stream: if grows { most.max(stream) } else { stream }, connection }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(set: &[(&str, i64)]) -> Windows {
        let mut options = ChannelOptions::new();
        for (key, value) in set {
            options.set(key, *value).expect(key);
        }
        Windows::new(&options, Preset::Grpc)
    }

    /// [WIRE-230]
    #[test]
    fn stream_windows_grow_to_half_of_the_connections_or_are_pinned() {
        const KIB: u32 = 1 << 10;
        let windows = |set: &[(&str, i64)]| {
            let Windows { stream, max_stream, connection } = of(set);
            (stream, max_stream, connection)
        };
        assert_eq!(windows(&[]), (256 * KIB, 8_192 * KIB, 16_384 * KIB));
        assert_eq!(windows(&[("linkspan.connection_window_bytes", 32 << 20)]), (256 * KIB, 16_384 * KIB, 32_768 * KIB));
        assert_eq!(windows(&[("linkspan.max_stream_window_bytes", 1 << 20)]), (256 * KIB, 1_024 * KIB, 16_384 * KIB));
        let pinned = (256 * KIB, 256 * KIB, 16_384 * KIB);
        assert_eq!(windows(&[("linkspan.max_stream_window_bytes", 256 << 10)]), pinned);
        assert_eq!(windows(&[("linkspan.max_stream_window_bytes", 65_535)]), pinned);
        assert_eq!(windows(&[("grpc.http2.bdp_probe", 0)]), pinned);
    }

    #[test]
    fn grpcs_names_of_the_windows_count_and_ours_win() {
        let windows = |set: &[(&str, i64)]| of(set);
        assert_eq!(windows(&[("grpc.http2.lookahead_bytes", 100_000)]).stream, 100_000);
        assert_eq!(windows(&[("grpc.http2.lookahead_bytes", 0)]).stream, 65_535);
        let ours = [("grpc.http2.lookahead_bytes", 100_000), ("linkspan.stream_window_bytes", 200_000)];
        assert_eq!(windows(&ours).stream, 200_000);
        let fixed = 100 << 20;
        let wanted = Windows { stream: fixed, max_stream: fixed, connection: fixed };
        assert_eq!(windows(&[("grpc-node.flow_control_window", i64::from(fixed))]), wanted);
        assert_eq!(windows(&[("grpc-node.flow_control_window", 100_000)]).connection, 16 << 20);
    }
}
