//! The words of `sumgate cache`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Subcommand;

use super::{DEFAULT_UPSTREAM, DatabaseArgs, StateArgs};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CacheCommand {
    /// Fetch what a go.sum needs, or module versions, into the store
    ///
    /// Each file is proved like a file that the mirror serves.
    #[command(
        after_long_help = "Examples:\n  sumgate cache fetch -m go.sum\n  sumgate cache fetch golang.org/x/text@v0.3.0"
    )]
    Fetch(Box<FetchArgs>),
    /// Export what a go.sum needs from the store, for a closed network
    ///
    /// Writes modules, their records, the tiles that prove the records, and the signed tree head into a folder or a
    /// .tar.zst. Makes no network requests.
    #[command(after_long_help = "Examples:\n  sumgate cache export --for go.sum modules.tar.zst")]
    Export(Box<ExportArgs>),
    /// Import an export, or a module cache
    ///
    /// Verifies everything again: the signature of the tree head, its consistency with the trusted head, the inclusion of
    /// each record, and the hash of each file. The import of an export makes no network requests.
    #[command(after_long_help = "Examples:\n  sumgate cache import modules.tar.zst")]
    Import(Box<ImportArgs>),
    /// List or forget the hashes that are pinned on first use
    #[command(subcommand)]
    Pins(PinsCommand),
    /// Make a key that seals the caches of `sumgate run` between jobs
    #[command(after_long_help = "Examples:\n  sumgate cache keygen ci.example.com --out cache.key")]
    Keygen(KeygenArgs),
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PinsCommand {
    /// Print the pinned hashes as lines of a go.sum
    #[command(after_long_help = "Examples:\n  sumgate cache pins list")]
    List {
        #[command(flatten)]
        data: DataArgs,
    },
    /// Forget the pinned hashes and the stored files of a version; its next bytes are pinned
    #[command(after_long_help = "Examples:\n  sumgate cache pins forget corp.example/tool@v1.2.3")]
    Forget {
        /// Module version, such as corp.example/tool@v1.2.3
        #[arg(value_name = "MODULE@VERSION")]
        module: String,
        #[command(flatten)]
        data: DataArgs,
    },
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct DataArgs {
    /// The data folder of the mirror [default: sumgate in the platform's data folder]
    #[arg(long, value_name = "DIR", env = "SUMGATE_DATA")]
    pub(in crate::cli) data: Option<PathBuf>,
}

/// Which store, and which database.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ClosedArgs {
    #[command(flatten)]
    pub(in crate::cli) state: StateArgs,
    #[command(flatten)]
    pub(in crate::cli) databases: DatabaseArgs,

    /// Modules that are never looked up in the database, in the syntax of GONOSUMDB: comma-separated patterns
    ///
    /// Where the database may be asked, GONOSUMDB and GOPRIVATE count as well.
    #[arg(long, value_name = "PATTERNS", env = "SUMGATE_NOSUMDB", default_value = "")]
    pub(in crate::cli) nosumdb: String,

    /// Private modules, in the syntax of GOPRIVATE: never sent to third parties, and pinned on first use
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

    /// The go.sum that says which zips and go.mod files are needed [default: go.sum]
    #[arg(long, short = 'm', value_name = "FILE", conflicts_with = "modules")]
    pub(in crate::cli) go_sum: Option<PathBuf>,

    /// The configuration file of `sumgate serve`: upstreams and private modules (see the README)
    ///
    /// Its [[upstream]] replace --upstream, and its [[private]] come before --private.
    #[arg(long, value_name = "FILE", env = "SUMGATE_CONFIG")]
    pub(in crate::cli) config: Option<PathBuf>,

    /// Where to fetch from, in the syntax of GOPROXY: urls with `,` (continue after 404) or `|` (continue after any failure)
    #[arg(long, value_name = "GOPROXY", env = "SUMGATE_UPSTREAM", default_value = DEFAULT_UPSTREAM)]
    pub(in crate::cli) upstream: String,

    /// The policy [default: none]
    #[arg(long, value_name = "FILE", env = "SUMGATE_POLICY")]
    pub(in crate::cli) policy: Option<PathBuf>,

    #[command(flatten)]
    pub(in crate::cli) closed: ClosedArgs,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ExportArgs {
    /// The go.sum that says what is needed [default: go.sum]
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
    /// The exported folder or .tar.zst
    #[arg(value_name = "IN", required_unless_present = "modcache", conflicts_with = "modcache")]
    pub(in crate::cli) input: Option<PathBuf>,

    /// Import a module cache instead: every zip and go.mod in it that the database proves [default: GOMODCACHE]
    ///
    /// A module cache has no proofs, so the database is asked. Modules that `go` would not look up (GONOSUMDB, GOPRIVATE)
    /// are skipped and never sent anywhere, unless --nosumdb names them.
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "")]
    pub(in crate::cli) modcache: Option<OsString>,

    /// Make no network requests; import from a module cache only what the store has proofs of
    #[arg(long, env = "SUMGATE_OFFLINE", value_parser = clap::builder::FalseyValueParser::new())]
    pub(in crate::cli) offline: bool,

    #[command(flatten)]
    pub(in crate::cli) closed: ClosedArgs,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct KeygenArgs {
    /// Name of the key, such as ci.example.com/cache, without white space and `+`
    #[arg(value_name = "NAME")]
    pub(in crate::cli) name: String,

    /// New file for the secret key; the public key is printed
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) out: PathBuf,
}
