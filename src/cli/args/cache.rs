//! The arguments of `sumgate cache`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Subcommand;

use super::{DatabaseArgs, DatabaseTimeoutArgs, ExemptArgs, StateArgs, UpstreamArgs};
use gomodule::module::ModuleVersion;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CacheCommand {
    /// Fetch what a go.sum needs, or module versions, into the store
    ///
    /// Each file is proved before it is stored, as by `sumgate serve`. Modules of GONOPROXY and GONOSUMDB are fetched only if
    /// --private or --nosumdb names them.
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
    #[command(
        after_long_help = "Examples:\n  sumgate cache import modules.tar.zst\n  sumgate cache import --modcache",
        override_usage = "sumgate cache import [OPTIONS] <IN>\n       sumgate cache import [OPTIONS] --modcache [<DIR>]"
    )]
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
    /// Forget the pinned hashes and the stored files of a version, so that it is pinned again on its next use
    #[command(after_long_help = "Examples:\n  sumgate cache pins forget corp.example/tool@v1.2.3")]
    Forget {
        /// Module version, such as corp.example/tool@v1.2.3
        #[arg(value_name = "MODULE@VERSION", value_parser = ModuleVersion::parse)]
        module: ModuleVersion,
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

/// The store, the databases, and the modules that they do not cover.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct AirgapArgs {
    #[command(flatten)]
    pub(in crate::cli) state: StateArgs,
    #[command(flatten)]
    pub(in crate::cli) databases: DatabaseArgs,
    #[command(flatten)]
    pub(in crate::cli) exempt: ExemptArgs,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct FetchArgs {
    /// Module versions, such as golang.org/x/text@v0.3.0 [default: what go.sum needs]
    #[arg(value_name = "MODULE@VERSION", value_parser = ModuleVersion::parse)]
    pub(in crate::cli) modules: Vec<ModuleVersion>,

    /// The go.sum that lists the zips and go.mod files to fetch [default: go.sum]
    #[arg(long, short = 'm', value_name = "FILE", conflicts_with = "modules")]
    pub(in crate::cli) go_sum: Option<PathBuf>,

    #[command(flatten)]
    pub(in crate::cli) upstreams: UpstreamArgs,

    /// The policy [default: none]
    #[arg(long, value_name = "FILE", env = "SUMGATE_POLICY")]
    pub(in crate::cli) policy: Option<PathBuf>,

    #[command(flatten)]
    pub(in crate::cli) timeout: DatabaseTimeoutArgs,
    #[command(flatten)]
    pub(in crate::cli) airgap: AirgapArgs,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ExportArgs {
    /// The go.sum that lists the zips and go.mod files to export [default: go.sum]
    #[arg(long = "for", value_name = "FILE")]
    pub(in crate::cli) go_sum: Option<PathBuf>,

    /// A new folder, or a file with a name that ends in .tar.zst
    #[arg(value_name = "OUT")]
    pub(in crate::cli) out: PathBuf,

    #[command(flatten)]
    pub(in crate::cli) airgap: AirgapArgs,
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

    /// Make no network requests; with --modcache, import only what the store has proofs of
    #[arg(long, env = "SUMGATE_OFFLINE", value_parser = clap::builder::FalseyValueParser::new())]
    pub(in crate::cli) offline: bool,

    #[command(flatten)]
    pub(in crate::cli) airgap: AirgapArgs,
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
