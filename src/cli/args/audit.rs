//! The arguments of `sumgate audit` and `sumgate doctor`.

use std::path::PathBuf;

use super::{DatabaseTimeoutArgs, GoSettingsArgs, PolicyArgs, StateArgs};
use crate::finding::{Format, Severity};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct AuditArgs {
    /// A go.sum, go.work.sum, go.mod or go.work, or a folder that contains them
    #[arg(value_name = "PATH", default_value = ".")]
    pub(in crate::cli) paths: Vec<PathBuf>,

    /// Verify the module cache (GOMODCACHE) instead: hash every zip, go.mod and unpacked folder again
    #[arg(long, conflicts_with_all = ["paths", "base"])]
    pub(in crate::cli) modcache: bool,

    /// Exclude a file or folder, and all below it; repeatable
    ///
    /// A path below PATH, in which `*` and `?` match any characters but `/`. The report lists what is excluded.
    #[arg(long, value_name = "PATTERN", conflicts_with = "modcache")]
    pub(in crate::cli) exclude: Vec<String>,

    /// Audit only the lines added since this git revision, such as origin/main, and apply its policy, too
    #[arg(long, value_name = "REV")]
    pub(in crate::cli) base: Option<String>,

    /// Make no network requests; use cached proofs and report the rest as unchecked
    #[arg(long, env = "SUMGATE_OFFLINE", value_parser = clap::builder::FalseyValueParser::new())]
    pub(in crate::cli) offline: bool,

    /// Number of lookups at the same time
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(in crate::cli) concurrency: u16,

    #[command(flatten)]
    pub(in crate::cli) output: OutputArgs,
    #[command(flatten)]
    pub(in crate::cli) policy: PolicyArgs,
    #[command(flatten)]
    pub(in crate::cli) go_settings: GoSettingsArgs,
    #[command(flatten)]
    pub(in crate::cli) timeout: DatabaseTimeoutArgs,
    #[command(flatten)]
    pub(in crate::cli) state: StateArgs,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct DoctorArgs {
    /// Folder to search for go.sum files
    #[arg(value_name = "PATH", default_value = ".")]
    pub(in crate::cli) path: PathBuf,

    /// Exclude a file or folder, and all below it; repeatable
    ///
    /// A path below PATH, in which `*` and `?` match any characters but `/`.
    #[arg(long, value_name = "PATTERN")]
    pub(in crate::cli) exclude: Vec<String>,

    /// Print commands that fix the findings, without running them
    #[arg(long)]
    pub(in crate::cli) fix: bool,

    /// The policy, whose [[accept]] apply
    ///
    /// A sumgate.toml that is only found is not applied: a pull request could accept its own findings with it.
    #[arg(long, value_name = "FILE", env = "SUMGATE_POLICY")]
    pub(in crate::cli) policy: Option<PathBuf>,

    /// Try whether a sumgate mirror is in the way: let `go` ask for a module that every mirror refuses, and for one that it must
    /// release
    ///
    /// `go` runs with the settings of this folder, and with empty caches of its own. The module to release is the first one of
    /// PATH/go.sum that no pattern of GONOSUMDB, GOPRIVATE or GONOPROXY covers, or else, and if no mirror refused the first one,
    /// rsc.io/quote. The exit code is 1 if no mirror is in the way, and 2 if that remains unknown. Nothing else is examined, and
    /// no policy is read.
    #[arg(long = "try", conflicts_with_all = ["fix", "exclude", "format", "deny", "exit_zero"])]
    pub(in crate::cli) attempt: bool,

    #[command(flatten)]
    pub(in crate::cli) output: OutputArgs,
}

/// How findings are shown, and which of them fail the run.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct OutputArgs {
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(in crate::cli) format: Format,

    /// The lowest severity that makes the exit code 1
    #[arg(long, value_enum, value_name = "SEVERITY", default_value_t = Severity::Warning)]
    pub(in crate::cli) deny: Severity,

    /// Exit with 0 where findings would make the exit code 1, for a step that only uploads the report
    ///
    /// The report still says `failed`. What was not finished still exits with 2, and a database that signed two histories with 3.
    #[arg(long)]
    pub(in crate::cli) exit_zero: bool,

    /// When to use colours [auto: on a terminal, unless NO_COLOR is set]
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Colour::Auto)]
    pub(in crate::cli) color: Colour,

    /// Also list what was skipped, and each line that was not checked
    #[arg(long, short)]
    pub(in crate::cli) verbose: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Colour {
    Auto,
    Always,
    Never,
}
