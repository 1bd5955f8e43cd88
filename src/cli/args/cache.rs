//! The arguments of `sumgate cache`.

use std::env::consts;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::Subcommand;

use super::{DatabaseArgs, DatabaseTimeoutArgs, ExemptArgs, StateArgs, UpstreamArgs, WarnArgs};
use gomodule::goversion::GoVersion;
use gomodule::module::{ModuleVersion, ModuleVersionError};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CacheCommand {
    /// Fetch what a go.sum needs, or module versions, into the store
    ///
    /// Each file is proved before it is stored, as by `sumgate serve`. A module version comes with the modules that it requires,
    /// and a go.mod that needs a newer `go` with the toolchain. Modules of GONOPROXY and GONOSUMDB are fetched only if
    /// --private or --nosumdb names them.
    #[command(
        after_long_help = "Examples:\n  sumgate cache fetch -m go.sum\n  sumgate cache fetch golang.org/x/text@v0.3.0 --platform linux/arm64"
    )]
    Fetch(Box<FetchArgs>),
    /// Export what a go.sum needs from the store, for a closed network
    ///
    /// Writes modules, their records, the tiles that prove the records, and the signed tree head into a folder or a
    /// .tar.zst. Makes no network requests.
    #[command(
        after_long_help = "Examples:\n  sumgate cache export --for go.sum modules.tar.zst\n  \
                           sumgate cache export golang.org/x/text@v0.3.0 text.tar.zst",
        override_usage = "sumgate cache export [OPTIONS] [MODULE@VERSION]... <OUT>"
    )]
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

/// The `go` of the closed network.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ToolchainArgs {
    /// The `go` of the closed network, such as 1.26.5 [default: the one here]
    ///
    /// If a go.mod names a newer one, that toolchain is added.
    #[arg(long, value_name = "VERSION", value_parser = go_version)]
    pub(in crate::cli) target_go: Option<GoVersion>,

    /// A platform whose toolchains are added; repeatable [default: this one]
    #[arg(long, value_name = "OS/ARCH", default_value = this_platform(), value_parser = platform, hide_default_value = true)]
    pub(in crate::cli) platform: Vec<Platform>,
}

/// A platform as toolchains name it: `linux-amd64`.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Platform(pub(in crate::cli) String);

fn go_version(text: &str) -> Result<GoVersion, String> {
    let name = if text.starts_with("go") { text.to_owned() } else { format!("go{text}") };
    GoVersion::parse(&name).ok_or_else(|| "expected a version of go, such as 1.26.5".to_owned())
}

fn platform(text: &str) -> Result<Platform, String> {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let parts = text.split_once('/').filter(|(os, arch)| is_name(os) && is_name(arch));
    let (os, arch) = parts.ok_or("expected an operating system and an architecture, such as linux/arm64")?;
    Ok(Platform(format!("{os}-{arch}")))
}

/// This machine, by the names of `go`.
fn this_platform() -> String {
    let os = if consts::OS == "macos" { "darwin" } else { consts::OS };
    let arch = match consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    };
    format!("{os}/{arch}")
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct FetchArgs {
    /// Module versions: each with what `go install` of it needs, such as golang.org/x/text@v0.3.0
    #[arg(value_name = "MODULE@VERSION", value_parser = ModuleVersion::parse)]
    pub(in crate::cli) modules: Vec<ModuleVersion>,

    /// A go.sum, or a go.mod for the go.sum beside it; repeatable [default: go.sum, unless module versions are named]
    #[arg(long = "go-sum", short = 'm', value_name = "FILE")]
    pub(in crate::cli) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(in crate::cli) toolchains: ToolchainArgs,

    #[command(flatten)]
    pub(in crate::cli) upstreams: UpstreamArgs,

    /// The policy [default: none]
    #[arg(long, value_name = "FILE", env = "SUMGATE_POLICY")]
    pub(in crate::cli) policy: Option<PathBuf>,

    #[command(flatten)]
    pub(in crate::cli) warn: WarnArgs,

    #[command(flatten)]
    pub(in crate::cli) timeout: DatabaseTimeoutArgs,
    #[command(flatten)]
    pub(in crate::cli) airgap: AirgapArgs,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ExportArgs {
    /// Module versions, each with what `go install` of it needs; and last the export: a new folder, or a file with a name that ends
    /// in .tar.zst
    // In one list, because clap does not find the last one behind an option.
    #[arg(value_name = "MODULE@VERSION|OUT", required = true)]
    words: Vec<OsString>,

    /// A go.sum, or a go.mod for the go.sum beside it; repeatable [default: go.sum, unless module versions are named]
    #[arg(long = "for", value_name = "FILE")]
    pub(in crate::cli) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(in crate::cli) toolchains: ToolchainArgs,

    #[command(flatten)]
    pub(in crate::cli) airgap: AirgapArgs,
}

impl ExportArgs {
    /// The module versions, and the place of the export.
    pub(in crate::cli) fn modules_and_out(&self) -> Result<(Vec<ModuleVersion>, PathBuf), ModuleAndOutError> {
        let parse = |word: &OsString| ModuleVersion::parse(&word.to_string_lossy());
        let (out, modules) = self.words.split_last().ok_or(ModuleAndOutError::NoOut)?;
        if parse(out).is_ok() {
            return Err(ModuleAndOutError::NoOut);
        }
        Ok((modules.iter().map(parse).collect::<Result<_, _>>()?, PathBuf::from(out)))
    }
}

#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum ModuleAndOutError {
    #[error("expected a folder, or a file with a name that ends in .tar.zst, after the module versions")]
    NoOut,
    #[error("expected module versions, and last a folder or a .tar.zst: {0}")]
    Module(#[from] ModuleVersionError),
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
