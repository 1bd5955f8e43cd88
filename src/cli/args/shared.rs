//! Words that several commands have.

use std::path::PathBuf;

/// The GOPROXY that `go` has by itself.
pub(in crate::cli) const DEFAULT_UPSTREAM: &str = "https://proxy.golang.org,direct";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct StateArgs {
    /// The data folder: store, proofs and pins [default: sumgate in the platform's data folder]
    #[arg(long, value_name = "DIR", env = "SUMGATE_DATA")]
    pub(in crate::cli) data: Option<PathBuf>,

    #[command(flatten)]
    pub(in crate::cli) anchor: AnchorArgs,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct AnchorArgs {
    /// Signed tree head that the database must be consistent with, or `none`; repeatable [default: the built-in one of
    /// sum.golang.org]
    ///
    /// Without an anchor, a new installation trusts the first tree head that it gets. For a database of your own, save its
    /// /latest once and name that file.
    #[arg(long, value_name = "FILE|none", env = "SUMGATE_ANCHOR", value_delimiter = ';')]
    pub(in crate::cli) anchor: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct DatabaseArgs {
    /// Checksum database, in the syntax of GOSUMDB: NAME or NAME+HASH+KEY, with or without " URL"; repeatable
    ///
    /// The first one is also served at the root of the mirror. A module is proved by the first one that has it.
    #[arg(
        long,
        value_name = "GOSUMDB",
        env = "SUMGATE_SUMDB",
        default_value = "sum.golang.org",
        value_delimiter = ';'
    )]
    pub(in crate::cli) sumdb: Vec<String>,
}

/// The database as `go` finds it, unless it is named.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct GoSettingsArgs {
    /// Checksum database, in the syntax of GOSUMDB [default: the environment's GOSUMDB, through the proxies of GOPROXY
    /// that pass it on, as `go` does]; repeatable
    #[arg(long, value_name = "GOSUMDB", env = "SUMGATE_SUMDB", value_delimiter = ';')]
    pub(in crate::cli) sumdb: Vec<String>,

    /// Modules that are never looked up, besides those of GONOSUMDB and GOPRIVATE: comma-separated patterns
    #[arg(long, value_name = "PATTERNS", env = "SUMGATE_NOSUMDB", default_value = "")]
    pub(in crate::cli) nosumdb: String,
}

/// Which policy holds.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct PolicyArgs {
    /// The policy [default: the nearest sumgate.toml at or above the working folder]
    #[arg(long, value_name = "FILE", env = "SUMGATE_POLICY")]
    pub(in crate::cli) policy: Option<PathBuf>,

    /// Ignore --policy, SUMGATE_POLICY and sumgate.toml
    // No conflict with --policy: for that the variable would count as typed, and could not be overruled.
    #[arg(long)]
    pub(in crate::cli) no_policy: bool,

    /// Accept a policy that allows more than the one at --base
    ///
    /// Set it where the author of the change cannot. Without it, such a change is the finding policy-loosened.
    #[arg(long, env = "SUMGATE_ACCEPT_POLICY_CHANGE", value_parser = clap::builder::FalseyValueParser::new())]
    pub(in crate::cli) accept_policy_change: bool,
}
