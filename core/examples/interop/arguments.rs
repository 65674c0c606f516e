//! The command line: flags as `--name=value`, with the names gRPC's interop clients have, then cases.

use std::path::PathBuf;
use std::time::Duration;

use linkspan_core::{Channel, ChannelOptions, Credentials, OptionValue, Roots, TlsOptions};

/// Whom to call, and how.
pub(crate) struct Arguments {
    pub(crate) target: String,
    pub(crate) cases: Vec<String>,
    pub(crate) soak: Soak,
    credentials: Credentials,
    host_override: Option<String>,
}

/// What the soak cases are to do.
pub(crate) struct Soak {
    pub(crate) iterations: u64,
    pub(crate) max_failures: u64,
    /// Of one iteration.
    pub(crate) max_latency: Duration,
    /// None: what all iterations may take, each of them as long as it may.
    pub(crate) overall_timeout: Option<Duration>,
    pub(crate) min_time_between: Duration,
    pub(crate) request_size: usize,
    pub(crate) response_size: u64,
    pub(crate) threads: u64,
    /// Where the line of each iteration goes; standard output without it.
    pub(crate) log: Option<PathBuf>,
}

impl Default for Soak {
    fn default() -> Self {
        Self {
            iterations: 10,
            max_failures: 0,
            max_latency: Duration::from_secs(1),
            overall_timeout: None,
            min_time_between: Duration::ZERO,
            request_size: 271_828,
            response_size: 314_159,
            threads: 1,
            log: None,
        }
    }
}

impl Arguments {
    pub(crate) fn read(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut read = Self {
            target: String::new(),
            cases: Vec::new(),
            soak: Soak::default(),
            credentials: Credentials::insecure(),
            host_override: None,
        };
        let mut words = Vec::new();
        for argument in arguments {
            match argument.strip_prefix("--") {
                None => words.push(argument),
                Some(flag) => read.take(flag).map_err(|what| format!("{argument}: {what}"))?,
            }
        }
        let mut words = words.into_iter();
        read.target = words.next().ok_or("the server's address is missing")?;
        read.cases = words.collect();
        Ok(read)
    }

    fn take(&mut self, flag: &str) -> Result<(), String> {
        let (name, value) = flag.split_once('=').ok_or("a flag is --name=value")?;
        let number = || value.parse::<u64>().map_err(|cause| cause.to_string());
        let soak = &mut self.soak;
        match name {
            "server_host_override" => self.host_override = Some(value.to_owned()),
            "ca_file" => {
                let roots = Roots::Pem(std::fs::read(value).map_err(|cause| cause.to_string())?);
                let tls = Credentials::tls(TlsOptions { roots, ..TlsOptions::default() });
                self.credentials = tls.map_err(|cause| cause.to_string())?;
            }
            "soak_iterations" => soak.iterations = number()?,
            "soak_max_failures" => soak.max_failures = number()?,
            "soak_per_iteration_max_acceptable_latency_ms" => soak.max_latency = Duration::from_millis(number()?),
            "soak_overall_timeout_seconds" => soak.overall_timeout = Some(Duration::from_secs(number()?)),
            "soak_min_time_ms_between_rpcs" => soak.min_time_between = Duration::from_millis(number()?),
            "soak_request_size" => soak.request_size = usize::try_from(number()?).map_err(|cause| cause.to_string())?,
            "soak_response_size" => soak.response_size = number()?,
            "soak_num_threads" => soak.threads = number()?.max(1),
            "soak_log" => soak.log = Some(value.into()),
            _ => return Err("there is no such flag".to_owned()),
        }
        Ok(())
    }

    /// A new channel, with these options besides.
    pub(crate) fn channel(&self, options: &[(&str, OptionValue)]) -> Result<Channel, String> {
        let mut all = ChannelOptions::new();
        let host = self.host_override.iter().map(|host| ("grpc.ssl_target_name_override", host.as_str().into()));
        for (key, value) in options.iter().cloned().chain(host) {
            all.set(key, value).map_err(|cause| cause.to_string())?;
        }
        Channel::new(&self.target, &self.credentials, &all).map_err(|cause| cause.to_string())
    }
}
