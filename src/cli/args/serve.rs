//! The words of the commands that run a mirror.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{DEFAULT_UPSTREAM, DatabaseArgs, StateArgs};
use crate::settings::duration;
use crate::upstream::Ttls;

/// Below the 60 seconds after which most proxies in front of a mirror give up.
const HOLD: &str = "45s";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct AddressArgs {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", env = "SUMGATE_LISTEN", default_value = "127.0.0.1:8080")]
    pub(in crate::cli) listen: SocketAddr,

    /// Path below which everything is served, such as /go
    #[arg(long, value_name = "PATH", env = "SUMGATE_BASE_PATH", default_value = "")]
    pub(in crate::cli) base_path: String,

    /// Modules that the database is never asked about, in the syntax of GONOSUMDB: comma-separated patterns
    ///
    /// They are released unproved; the first bytes seen are pinned.
    #[arg(long, value_name = "PATTERNS", env = "SUMGATE_NOSUMDB", default_value = "")]
    pub(in crate::cli) nosumdb: String,

    /// Private modules, in the syntax of GOPRIVATE: fetched `direct`, by the `go` command with git, pinned, and named to no
    /// upstream and no database
    ///
    /// The mirror needs `go` and git on its PATH, and logins where git finds them. `golang.org/toolchain` is never private.
    #[arg(long, value_name = "PATTERNS", env = "SUMGATE_PRIVATE", default_value = "")]
    pub(in crate::cli) private: String,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ServeArgs {
    #[command(flatten)]
    pub(in crate::cli) address: AddressArgs,
    /// Name that this mirror goes by, besides its IP addresses and localhost; repeatable
    ///
    /// A request for another host gets status 421: a page in a browser could otherwise read what the mirror serves, by a name
    /// of its own that leads here. A proxy in front of the mirror passes on the name that clients use.
    #[arg(long, value_name = "NAME", env = "SUMGATE_HOST", value_delimiter = ',')]
    pub(in crate::cli) host: Vec<String>,
    /// Network of proxies in front of the mirror, whose X-Forwarded-For counts; repeatable
    ///
    /// When places are short, the requests of one client get a quarter of them. Behind a proxy all requests come from one
    /// address, unless its header says whose they are. Anybody else's header is not believed.
    #[arg(long, value_name = "CIDR", env = "SUMGATE_TRUSTED_PROXY", value_delimiter = ',')]
    pub(in crate::cli) trusted_proxy: Vec<ipnet::IpNet>,

    #[command(flatten)]
    pub(in crate::cli) state: StateArgs,
    #[command(flatten)]
    pub(in crate::cli) databases: DatabaseArgs,

    /// The policy; without this flag there is none
    #[arg(long, value_name = "FILE", env = "SUMGATE_POLICY")]
    pub(in crate::cli) policy: Option<PathBuf>,

    /// Serve what is there and ask nothing of any network; a `file://` upstream is not read either
    ///
    /// What is not there is refused with status 502, never with 404: an offline mirror does not know what exists.
    #[arg(long, env = "SUMGATE_OFFLINE", value_parser = clap::builder::FalseyValueParser::new())]
    pub(in crate::cli) offline: bool,

    /// Let every user of this machine read what is kept: 0755 and 0644 instead of 0700 and 0600
    ///
    /// For `GOPROXY=file://DATA/proxy` of other users. What is there already, and what other commands make, keeps its modes.
    /// Refused together with private modules.
    #[arg(long, env = "SUMGATE_SHARED", value_parser = clap::builder::FalseyValueParser::new())]
    pub(in crate::cli) shared: bool,

    /// Upstreams and private modules in a file: credentials, patterns, time-outs, weights (see the README)
    ///
    /// Its [[upstream]] replace --upstream, and its [[private]] come before --private.
    #[arg(long, value_name = "FILE", env = "SUMGATE_CONFIG")]
    pub(in crate::cli) config: Option<PathBuf>,

    /// Where to fetch from, in the syntax of GOPROXY: urls with `,` (go on after 404) or `|` (go on after any failure)
    #[arg(long, value_name = "GOPROXY", env = "SUMGATE_UPSTREAM", default_value = DEFAULT_UPSTREAM)]
    pub(in crate::cli) upstream: String,

    #[command(flatten)]
    pub(in crate::cli) waits: WaitsArgs,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct WaitsArgs {
    /// How long a version list, `@latest` or a query is believed before an upstream is asked whether it changed
    #[arg(long = "fresh-for", value_name = "TIME", env = "SUMGATE_FRESH_FOR", default_value = "60s", value_parser = duration)]
    fresh: Duration,

    /// How long the same goes out while no upstream answers
    #[arg(long = "stale-for", value_name = "TIME", env = "SUMGATE_STALE_FOR", default_value = "24h", value_parser = duration)]
    stale: Duration,

    /// How long an upstream's 404 is believed
    #[arg(long = "absent-for", value_name = "TIME", env = "SUMGATE_ABSENT_FOR", default_value = "60s", value_parser = duration)]
    absent: Duration,

    #[command(flatten)]
    hold: HoldArgs,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct HoldArgs {
    /// How long a request waits for a version that an upstream has and the checksum database does not show yet
    ///
    /// The database shows new versions some minutes after they were first asked for. After that time the answer is status 502,
    /// with Retry-After. Keep it below the time-out of a proxy in front of the mirror.
    #[arg(long = "hold-for", value_name = "TIME", env = "SUMGATE_HOLD_FOR", default_value = HOLD, value_parser = duration)]
    pub(in crate::cli) hold: Duration,
}

impl WaitsArgs {
    pub(in crate::cli) fn get(&self) -> Ttls {
        Ttls { absent: self.absent, fresh: self.fresh, stale: self.stale, hold: Some(self.hold.hold) }
    }
}
