//! The words of the commands for closed networks.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{DEFAULT_UPSTREAM, DatabaseArgs, StateArgs};

/// Whose store, and who vouches.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ClosedArgs {
    #[command(flatten)]
    pub(in crate::cli) state: StateArgs,
    #[command(flatten)]
    pub(in crate::cli) databases: DatabaseArgs,

    /// Modules that the database is never asked about, in the syntax of GONOSUMDB: comma-separated patterns
    ///
    /// Where the database may be asked, those of GONOSUMDB and GOPRIVATE count as well.
    #[arg(long, value_name = "PATTERNS", env = "SUMGATE_NOSUMDB", default_value = "")]
    pub(in crate::cli) nosumdb: String,

    /// Private modules, in the syntax of GOPRIVATE: named to no upstream and no database, and pinned
    ///
    /// `fetch` gets them `direct`, by the `go` command with git.
    #[arg(long, value_name = "PATTERNS", env = "SUMGATE_PRIVATE", default_value = "")]
    pub(in crate::cli) private: String,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct FetchArgs {
    /// Module versions, such as golang.org/x/text@v0.3.0 [default: what go.sum needs]
    #[arg(value_name = "MODULE@VERSION")]
    pub(in crate::cli) modules: Vec<String>,

    /// The go.sum whose lines say what is needed: the zip and go.mod of each [default: go.sum]
    #[arg(long, short = 'm', value_name = "FILE", conflicts_with = "modules")]
    pub(in crate::cli) go_sum: Option<PathBuf>,

    /// Upstreams and private modules in a file, as for `sumgate serve` (see the README)
    ///
    /// Its [[upstream]] replace --upstream, and its [[private]] come before --private.
    #[arg(long, value_name = "FILE", env = "SUMGATE_CONFIG")]
    pub(in crate::cli) config: Option<PathBuf>,

    /// Where to fetch from, in the syntax of GOPROXY: urls with `,` (go on after 404) or `|` (go on after any failure)
    #[arg(long, value_name = "GOPROXY", env = "SUMGATE_UPSTREAM", default_value = DEFAULT_UPSTREAM)]
    pub(in crate::cli) upstream: String,

    /// The policy; without this flag there is none
    #[arg(long, value_name = "FILE", env = "SUMGATE_POLICY")]
    pub(in crate::cli) policy: Option<PathBuf>,

    #[command(flatten)]
    pub(in crate::cli) closed: ClosedArgs,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ExportArgs {
    /// The go.sum whose lines say what is needed [default: go.sum]
    #[arg(long = "for", value_name = "FILE")]
    pub(in crate::cli) go_sum: Option<PathBuf>,

    /// A name that ends in .tar.zst for one file, else a new folder
    #[arg(value_name = "OUT")]
    pub(in crate::cli) out: PathBuf,

    #[command(flatten)]
    pub(in crate::cli) closed: ClosedArgs,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ImportArgs {
    /// The folder or .tar.zst that was exported
    #[arg(value_name = "IN", required_unless_present = "modcache", conflicts_with = "modcache")]
    pub(in crate::cli) input: Option<PathBuf>,

    /// Take up a module cache instead: every zip and go.mod of it that the database vouches for [default: GOMODCACHE]
    ///
    /// A module cache has no proofs, so the database is asked. What `go` would not ask about (GONOSUMDB, GOPRIVATE) is
    /// passed over, and named to nobody, unless --nosumdb names it.
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "")]
    pub(in crate::cli) modcache: Option<OsString>,

    /// Take up of a module cache what was proved here before, and ask nothing of any network
    #[arg(long, env = "SUMGATE_OFFLINE", value_parser = clap::builder::FalseyValueParser::new())]
    pub(in crate::cli) offline: bool,

    #[command(flatten)]
    pub(in crate::cli) closed: ClosedArgs,
}
