//! Arguments that several commands share.

use std::path::PathBuf;
use std::time::Duration;

use crate::policy::Policy;
use crate::settings::positive_duration;
use crate::sumdb::Database;
use gomodule::module::ModulePath;

/// The default GOPROXY of `go`.
pub(in crate::cli) const DEFAULT_UPSTREAM: &str = "https://proxy.golang.org,direct";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct StateArgs {
    /// The data folder: store, proofs and pins [default: sumgate in the platform's data folder]
    #[arg(long, value_name = "DIR", env = "SUMGATE_DATA")]
    pub(in crate::cli) data: Option<PathBuf>,

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
    /// The mirror serves the first one at its root. A module is proved by the first database that has a record of it.
    #[arg(
        long,
        value_name = "GOSUMDB",
        env = "SUMGATE_SUMDB",
        default_value = "sum.golang.org",
        value_delimiter = ';'
    )]
    pub(in crate::cli) sumdb: Vec<String>,
}

/// How long a database may take.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct DatabaseTimeoutArgs {
    /// How long one exchange with the checksum database may take: a lookup with its tiles
    ///
    /// Not the whole command. Many lookups at once end when nothing arrives for 10 seconds. The wait for a new version
    /// (--hold-for) is not limited by this.
    #[arg(long, value_name = "TIME", env = "SUMGATE_DATABASE_TIMEOUT", default_value = "15s", value_parser = positive_duration)]
    pub(in crate::cli) database_timeout: Duration,
}

impl DatabaseTimeoutArgs {
    /// The databases with this limit.
    pub(in crate::cli) fn limit(&self, databases: Vec<Database>) -> Vec<Database> {
        databases.into_iter().map(|database| database.within(self.database_timeout)).collect()
    }
}

/// Modules that no database covers.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ExemptArgs {
    /// Modules that are never looked up in the database, in the syntax of GONOSUMDB: comma-separated patterns
    ///
    /// They are not proved, but pinned on first use.
    #[arg(long, value_name = "PATTERNS", env = "SUMGATE_NOSUMDB", default_value = "")]
    pub(in crate::cli) nosumdb: String,

    /// Private modules, in the syntax of GOPRIVATE: never sent to third parties, and pinned on first use
    ///
    /// `serve` and `cache fetch` fetch them `direct`, with the `go` and git on the PATH and the credentials that git has.
    /// `golang.org/toolchain` is never private.
    #[arg(long, value_name = "PATTERNS", env = "SUMGATE_PRIVATE", default_value = "")]
    pub(in crate::cli) private: String,

    #[command(flatten)]
    pub(in crate::cli) case: CaseArgs,
}

/// Where upper and lower case are the same.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CaseArgs {
    /// Hosts whose private modules are private in upper and lower case; separated by commas
    ///
    /// With `--private github.com/our-org`, github.com/Our-Org is private, too, because it is the same organisation. `go` has no
    /// such rule: its GONOSUMDB needs each spelling that is used.
    #[arg(
        long,
        value_name = "HOSTS",
        env = "SUMGATE_IGNORE_CASE_ON",
        default_value = "bitbucket.org,github.com,gitlab.com",
        value_delimiter = ',',
        value_parser = host
    )]
    pub(in crate::cli) ignore_case_on: Vec<String>,
}

/// A host name that module paths can begin with, or nothing.
fn host(text: &str) -> Result<String, String> {
    let is_host = !text.contains('/') && ModulePath::parse(&format!("{text}/x.v1")).is_ok();
    if is_host || text.is_empty() { Ok(text.to_owned()) } else { Err("expected a host, such as github.com".to_owned()) }
}

/// Where files come from.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct UpstreamArgs {
    /// The configuration file: upstreams, private modules, and flags of `sumgate serve` (see docs/settings.md)
    ///
    /// Its [[upstream]] replace --upstream, and its [[private]] come before --private. Its [serve] has flags by their long
    /// names, such as `listen = "127.0.0.1:8080"`; each command uses those that it has. A flag takes precedence over its
    /// variable, the variable over the file, and the file over the default.
    #[arg(long, value_name = "FILE", env = "SUMGATE_CONFIG")]
    pub(in crate::cli) config: Option<PathBuf>,

    /// Where to fetch from, in the syntax of GOPROXY: URLs with `,` (continue after 404) or `|` (continue after any failure)
    #[arg(long, value_name = "GOPROXY", env = "SUMGATE_UPSTREAM", default_value = DEFAULT_UPSTREAM)]
    pub(in crate::cli) upstream: String,
}

/// The database that `go` uses, unless one is named.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct GoSettingsArgs {
    /// Checksum database, in the syntax of GOSUMDB [default: the environment's GOSUMDB, through the proxies of GOPROXY
    /// that pass it on, as `go` does]; repeatable
    #[arg(long, value_name = "GOSUMDB", env = "SUMGATE_SUMDB", value_delimiter = ';')]
    pub(in crate::cli) sumdb: Vec<String>,

    /// Modules that are never looked up, in addition to GONOSUMDB and GOPRIVATE: comma-separated patterns
    #[arg(long, value_name = "PATTERNS", env = "SUMGATE_NOSUMDB", default_value = "")]
    pub(in crate::cli) nosumdb: String,
}

/// Whether the policy denies.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct WarnArgs {
    /// Let pass what the rules of the policy deny, and warn of it
    ///
    /// What cannot be proved is refused as without it: wrong bytes, a version without a record, a fork.
    #[arg(long, env = "SUMGATE_WARN", value_parser = clap::builder::FalseyValueParser::new())]
    pub(in crate::cli) warn: bool,
}

impl WarnArgs {
    /// The policy, which only warns with `--warn`.
    pub(in crate::cli) fn applied_to(&self, policy: Policy) -> Policy {
        if self.warn { policy.only_warning() } else { policy }
    }
}

/// The policy that applies.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct PolicyArgs {
    /// The policy [default: the nearest sumgate.toml at or above the working folder]
    #[arg(long, value_name = "FILE", env = "SUMGATE_POLICY")]
    pub(in crate::cli) policy: Option<PathBuf>,

    /// Ignore --policy, SUMGATE_POLICY and sumgate.toml
    // Not a conflict with --policy: then SUMGATE_POLICY would conflict, too, and could not be overridden.
    #[arg(long)]
    pub(in crate::cli) no_policy: bool,

    #[command(flatten)]
    pub(in crate::cli) warn: WarnArgs,

    /// Accept a policy that allows more than the one at --base
    ///
    /// Set it where the author of the change cannot. Without it, such a change is the finding policy-loosened.
    #[arg(long, env = "SUMGATE_ACCEPT_POLICY_CHANGE", value_parser = clap::builder::FalseyValueParser::new())]
    pub(in crate::cli) accept_policy_change: bool,
}
