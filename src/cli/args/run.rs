//! The arguments of `sumgate run`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};

use super::{CaseArgs, DatabaseTimeoutArgs, GoSettingsArgs, HoldArgs, PolicyArgs, StateArgs};
use crate::finding::Severity;

macro_rules! exit_codes {
    () => {
        "\
Exit codes:
  the exit code of the command, unless one of these applies:
  120  something was refused, or a finding is at least as severe as --deny
  121  the gate could not do its work: invalid arguments, no network, no disk
  122  the checksum database signed two histories; the evidence was written
  126  the command cannot be executed
  127  the command is not found"
    };
}
pub(super) const EXIT_CODES: &str = exit_codes!();
pub(super) const LONG_HELP: &str = concat!(exit_codes!(), "\n\nExamples:\n  sumgate run -- go build ./...");

/// Whose cache the command uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Cache {
    /// A new cache, empty at the start except for what a seal covers
    Own,
    /// The cache that `go` normally uses
    Inherit,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RunArgs {
    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true, last = true)]
    pub(in crate::cli) command: Vec<OsString>,

    /// Where to fetch from, in the syntax of GOPROXY [default: the environment's GOPROXY, without `direct`]
    #[arg(long, value_name = "GOPROXY", env = "SUMGATE_UPSTREAM")]
    pub(in crate::cli) upstream: Option<String>,

    /// The configuration file of `sumgate serve`: upstreams, private modules, and flags (see docs/settings.md)
    ///
    /// Its [[upstream]] replace --upstream, and its [[private]] come before --private. The flags of [serve] that are flags here
    /// are used, too; a flag takes precedence over its variable, and the variable over the file.
    #[arg(long, value_name = "FILE", env = "SUMGATE_CONFIG")]
    pub(in crate::cli) config: Option<PathBuf>,

    /// Private modules that the mirror fetches, in the syntax of GOPRIVATE; by `go` with git, pinned on first use
    #[arg(long, value_name = "PATTERNS", env = "SUMGATE_PRIVATE", default_value = "")]
    pub(in crate::cli) private: String,

    #[command(flatten)]
    pub(in crate::cli) case: CaseArgs,

    /// Treat GOPRIVATE and GONOPROXY as if --private named their modules
    ///
    /// Without this flag the command fetches these modules itself, and the report lists them as unproved.
    #[arg(long)]
    pub(in crate::cli) gate_private: bool,

    /// Serve only from the local store; make no network requests
    #[arg(long, env = "SUMGATE_OFFLINE", value_parser = clap::builder::FalseyValueParser::new())]
    pub(in crate::cli) offline: bool,

    /// The module cache of the command
    ///
    /// An inherited cache is hashed and proved before the command starts, and compared afterwards.
    #[arg(long, value_enum, value_name = "WHOSE", default_value_t = Cache::Own)]
    pub(in crate::cli) module_cache: Cache,

    /// The build cache of the command
    ///
    /// An inherited cache cannot be proved: a program may be linked from files that another process put there.
    #[arg(long, value_enum, value_name = "WHOSE", default_value_t = Cache::Own)]
    pub(in crate::cli) build_cache: Cache,

    /// Keep both caches between jobs: use what the seal of this key covers, and seal the caches at the end
    ///
    /// FILE holds a key of `sumgate cache keygen`; the variable SUMGATE_CACHE_KEY holds the key itself. For protected branches
    /// only: a job with the key signs everything that its command writes. The command must not be able to read the file.
    #[arg(long, value_name = "FILE", conflicts_with = "cache_public_key")]
    pub(in crate::cli) cache_key: Option<PathBuf>,

    /// Use what the seal of this key covers, and never seal
    #[arg(long, value_name = "KEY", env = "SUMGATE_CACHE_PUBLIC_KEY")]
    pub(in crate::cli) cache_public_key: Option<String>,

    /// A program to check that the command writes outside the repository and GOBIN; repeatable
    // Absolute, because it is read in another working folder.
    #[arg(long, value_name = "FILE", value_parser = OsStringValueParser::new().try_map(std::path::absolute))]
    pub(in crate::cli) subject: Vec<PathBuf>,

    /// The lowest severity that makes the exit code 120
    #[arg(long, value_enum, value_name = "SEVERITY", default_value_t = Severity::Warning)]
    pub(in crate::cli) deny: Severity,

    #[command(flatten)]
    pub(in crate::cli) hold: HoldArgs,

    /// Write a report of what was served, refused and found, as JSON
    ///
    /// FILE is a regular file, or `fd:N` for an open descriptor, such as `--report fd:3 3>FIFO`. An older file is removed
    /// before the command starts. No folder of the path in the work tree may be a link.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) report: Option<PathBuf>,

    /// Write an in-toto statement: every module with its hash, its record and the tree head
    ///
    /// Nothing is written if nothing was served. FILE as for --report.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) attest: Option<PathBuf>,

    /// Also apply the policy of this git revision, such as origin/main
    ///
    /// The stricter of the two decides. A pull request can change the policy in its own tree, but not that of the base.
    #[arg(long, value_name = "REV")]
    pub(in crate::cli) base: Option<String>,

    #[command(flatten)]
    pub(in crate::cli) policy: PolicyArgs,
    #[command(flatten)]
    pub(in crate::cli) go_settings: GoSettingsArgs,
    #[command(flatten)]
    pub(in crate::cli) timeout: DatabaseTimeoutArgs,
    #[command(flatten)]
    pub(in crate::cli) state: StateArgs,
}
