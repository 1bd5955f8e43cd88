//! The arguments of the commands that run a mirror.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{DatabaseArgs, DatabaseTimeoutArgs, EventLogArgs, ExemptArgs, StateArgs, UpstreamArgs, WarnArgs};
use crate::mirror::ListenAddress;
use crate::settings::duration;

/// Below the 60 seconds after which most proxies in front of a mirror give up.
const HOLD: &str = "45s";
/// Above the 60 seconds after which most load balancers close an idle connection.
const IDLE: &str = "75s";

/// A quarter of it is the shortest time between two requests for a head (`readiness`).
const LEAST_HEAD_AGE: Duration = Duration::from_secs(60);

/// Where a mirror is.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ListenArgs {
    /// Address and port to listen on; `:8080` is port 8080 of all interfaces, port 0 selects a free port
    #[arg(long, value_name = "ADDR:PORT", env = "SUMGATE_LISTEN", default_value = "127.0.0.1:8080")]
    pub(in crate::cli) listen: ListenAddress,

    /// Path prefix of all URLs, such as /go
    #[arg(long, value_name = "PATH", env = "SUMGATE_BASE_PATH", default_value = "")]
    pub(in crate::cli) base_path: String,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct AddressArgs {
    #[command(flatten)]
    pub(in crate::cli) at: ListenArgs,
    #[command(flatten)]
    pub(in crate::cli) exempt: ExemptArgs,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ServeArgs {
    #[command(flatten)]
    pub(in crate::cli) address: AddressArgs,
    /// Host name of this mirror, besides its IP addresses and localhost; repeatable
    ///
    /// A request for another host gets status 421: otherwise a web page could read what the mirror serves, by DNS rebinding.
    /// A proxy in front of the mirror must pass on the host name that clients use.
    #[arg(long, value_name = "NAME", env = "SUMGATE_HOST", value_delimiter = ',')]
    pub(in crate::cli) host: Vec<String>,
    /// Network of trusted proxies in front of the mirror, whose X-Forwarded-For is used; repeatable
    ///
    /// Under load, one client gets at most a quarter of the capacity for requests. Behind a proxy all requests come from one
    /// address, unless its X-Forwarded-For names the client. The header of any other address is ignored.
    #[arg(long, value_name = "CIDR", env = "SUMGATE_TRUSTED_PROXY", value_delimiter = ',', value_parser = network)]
    pub(in crate::cli) trusted_proxy: Vec<ipnet::IpNet>,

    /// How long an idle connection of a client stays open
    ///
    /// Keep it above the idle time-out of a load balancer in front of the mirror, often 60s: the side that sends the next request
    /// should close first.
    #[arg(long = "idle-for", value_name = "TIME", env = "SUMGATE_IDLE_FOR", default_value = IDLE, value_parser = duration)]
    pub(in crate::cli) idle: Duration,

    #[command(flatten)]
    pub(in crate::cli) page: PageArgs,

    #[command(flatten)]
    pub(in crate::cli) state: StateArgs,
    #[command(flatten)]
    pub(in crate::cli) databases: DatabaseArgs,
    #[command(flatten)]
    pub(in crate::cli) timeout: DatabaseTimeoutArgs,

    /// The policy [default: none]
    #[arg(long, value_name = "FILE", env = "SUMGATE_POLICY")]
    pub(in crate::cli) policy: Option<PathBuf>,

    #[command(flatten)]
    pub(in crate::cli) warn: WarnArgs,

    /// Serve only from the local store; make no network requests
    ///
    /// A `file://` upstream is not read either. What is not in the store gets status 502, never 404: an offline mirror does
    /// not know which versions exist.
    #[arg(long, env = "SUMGATE_OFFLINE", value_parser = clap::builder::FalseyValueParser::new())]
    pub(in crate::cli) offline: bool,

    /// Let every user of this machine read the store: modes 0755 and 0644 instead of 0700 and 0600
    ///
    /// For `GOPROXY=file://DATA/proxy` of other users. Existing files, and files that other commands make, keep their modes.
    /// Cannot be used with private modules.
    #[arg(long, env = "SUMGATE_SHARED", value_parser = clap::builder::FalseyValueParser::new())]
    pub(in crate::cli) shared: bool,

    #[command(flatten)]
    pub(in crate::cli) upstreams: UpstreamArgs,

    /// The form of the log on stderr: text, or JSON with a line for each event and each request
    ///
    /// SUMGATE_LOG sets the level. Text has no lines of requests at the level info: SUMGATE_LOG=info,access=debug adds them.
    #[arg(long, value_name = "FORMAT", env = "SUMGATE_LOG_FORMAT", value_enum, default_value = "text")]
    pub(in crate::cli) log_format: LogFormat,

    /// How long a database may show no tree head before /readyz answers 503, at least 1m
    ///
    /// A request for /readyz or /metrics asks for a newer head once the present one has a quarter of this age.
    #[arg(long, value_name = "TIME", env = "SUMGATE_MAX_HEAD_AGE", default_value = "1h", value_parser = head_age)]
    pub(in crate::cli) max_head_age: Duration,

    /// Validate flags, files, keys and the data folder, and exit with 0 or 2; do not listen, write or make requests
    #[arg(long)]
    pub(in crate::cli) check: bool,

    /// How long a version list, `@latest` or a query is cached before an upstream is asked again
    #[arg(long = "fresh-for", value_name = "TIME", env = "SUMGATE_FRESH_FOR", default_value = "60s", value_parser = duration)]
    pub(in crate::cli) fresh: Duration,

    /// How long these answers are served while no upstream answers
    #[arg(long = "stale-for", value_name = "TIME", env = "SUMGATE_STALE_FOR", default_value = "24h", value_parser = duration)]
    pub(in crate::cli) stale: Duration,

    /// How long a 404 of an upstream is cached
    #[arg(long = "absent-for", value_name = "TIME", env = "SUMGATE_ABSENT_FOR", default_value = "60s", value_parser = duration)]
    pub(in crate::cli) absent: Duration,

    #[command(flatten)]
    pub(in crate::cli) hold: HoldArgs,

    #[command(flatten)]
    pub(in crate::cli) events: EventLogArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum LogFormat {
    Text,
    Json,
}

/// What the page shows.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct PageArgs {
    /// Show private modules on the page and in its API, to the users of this machine
    ///
    /// Needs a listener on a loopback address, and cannot be used with --host or --trusted-proxy. A request that a proxy passed
    /// on, with `Forwarded` or `X-Forwarded-*`, gets the page without them.
    #[arg(long, env = "SUMGATE_SHOW_PRIVATE", value_parser = clap::builder::FalseyValueParser::new())]
    pub(in crate::cli) show_private: bool,
}

fn head_age(text: &str) -> Result<Duration, String> {
    let age = duration(text).map_err(|error| error.to_string())?;
    if age < LEAST_HEAD_AGE { Err("expected at least 1m".to_owned()) } else { Ok(age) }
}

/// A network in CIDR notation.
fn network(text: &str) -> Result<ipnet::IpNet, String> {
    let example =
        text.parse().map_or_else(|_| "10.0.0.0/8".to_owned(), |one: IpAddr| ipnet::IpNet::from(one).to_string());
    text.parse().map_err(|_| format!("expected a network in CIDR notation, such as {example}"))
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct HoldArgs {
    /// How long a request waits for a new version that the checksum database does not show yet
    ///
    /// The database shows a new version some minutes after the first request for it. After this time the answer is status 502,
    /// with Retry-After. Keep it below the time-out of a proxy in front of the mirror.
    #[arg(long = "hold-for", value_name = "TIME", env = "SUMGATE_HOLD_FOR", default_value = HOLD, value_parser = duration)]
    pub(in crate::cli) hold: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_a_head_has_a_lower_bound() {
        assert_eq!(head_age("1m"), Ok(LEAST_HEAD_AGE));
        assert!(head_age("59s").is_err_and(|error| error.contains("1m")) && head_age("soon").is_err());
    }
}
