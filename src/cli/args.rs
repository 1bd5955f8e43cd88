//! The command line arguments. Parsing has no side effects; [`super::config`] checks what they mean.

mod audit;
mod cache;
mod report;
mod run;
mod serve;
mod shared;
mod tree;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::policy::{Age, ValueError};
use gomodule::module::ModuleVersion;

pub(super) use audit::{AuditArgs, Colour, DoctorArgs, OutputArgs};
pub(super) use cache::{CacheCommand, ExportArgs, FetchArgs, ImportArgs, KeygenArgs, PinsCommand, ToolchainArgs};
pub(super) use report::{EventFormat, EventLogArgs, EventsArgs, ReportCommand, Since};
pub(super) use run::{Cache, RunArgs};
pub(super) use serve::{AddressArgs, HoldArgs, ListenArgs, LogFormat, ServeArgs};
pub(super) use shared::{
    CaseArgs, DEFAULT_UPSTREAM, DatabaseArgs, DatabaseTimeoutArgs, ExemptArgs, GoSettingsArgs, PolicyArgs, StateArgs,
    UpstreamArgs, WarnArgs,
};
pub(super) use tree::{lacks_dashes, tree, unknown_command};

const ABOUT: &str =
    "A verifying Go module mirror: nothing is served before its hash is proved in the checksum database.";

const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  a problem was found in what was checked
  2  not finished: invalid arguments, no network, no disk
  3  the checksum database signed two histories; the evidence was written

Start here:
  sumgate demo     see how it works, without any network
  sumgate serve    run the mirror; it prints the `go env -w` line to use it

`sumgate COMMAND --help` has details and examples.";

const WHY_HELP: &str = "\
Exit codes:
  0  the version is proved, or exempt, and not denied
  1  it is denied, not in the database, or stored with a hash that differs from the proved one
  2  not finished: invalid arguments, no network, no disk
  3  the checksum database signed two histories; the evidence was written

Examples:
  sumgate why golang.org/x/text@v0.3.0";

const VERIFY_HELP: &str = "\
Exit codes:
  0  the file is valid
  1  the file is not valid
  2  not finished: invalid arguments, another kind of file, an unknown key, no network, no disk
  3  the checksum database signed two histories; the evidence was written

Examples:
  sumgate verify text.zip
  sumgate verify fork.txt";

/// Help of --hold-for of `run`: no proxy is in front of its mirror.
const HOLD_FOR: &str = "\
How long a request waits for a new version that the checksum database does not show yet

The database shows a new version some minutes after the first request for it. After this time the answer is status 502, with \
Retry-After.";

/// The version, the commit if the build named it, and the target.
fn version(commit: Option<&str>) -> String {
    use std::env::consts::{ARCH, OS};
    let library = match () {
        () if cfg!(target_env = "gnu") => "-gnu",
        () if cfg!(target_env = "musl") => "-musl",
        () => "",
    };
    let commit = commit.map_or_else(String::new, |commit| format!("commit {commit}, "));
    format!("{} ({commit}{ARCH}-{OS}{library})", env!("CARGO_PKG_VERSION"))
}

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "sumgate", version = version(option_env!("SUMGATE_COMMIT")), about = ABOUT, after_help = EXIT_CODES)]
#[command(help_expected = true, propagate_version = true, subcommand_required = true)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the mirror
    ///
    /// Works without any configuration. Each module version is first proved in the checksum database; then its bytes are
    /// fetched, hashed, compared, stored, and only then served. Prints the command that points `go` at the mirror. Stops on
    /// SIGTERM and SIGINT, after the requests in progress.
    #[command(
        after_long_help = "Environment:\n  SUMGATE_LOG  level of the log on stderr: error, warn, info (default), debug or trace\n\nExamples:\n  sumgate serve\n  sumgate serve --config serve.toml --check"
    )]
    Serve(Box<ServeArgs>),
    /// Verify every go.sum entry against the checksum database
    ///
    /// `go` never checks an entry again once it is in go.sum; this command does. It reads each go.sum, go.work.sum and X.sum
    /// beside an X.mod below a folder, also in hidden folders. Files below testdata, vendor, node_modules and folders whose
    /// names begin with _ are reported separately, as warnings. Exempt modules (GONOSUMDB, GOPRIVATE, --nosumdb) are skipped;
    /// their names are never sent anywhere. Proofs are stored, so a second run makes no requests.
    #[command(
        after_long_help = "Examples:\n  sumgate audit\n  sumgate audit --base origin/main --format json\n  sumgate audit --modcache"
    )]
    Audit(Box<AuditArgs>),
    /// Run a command that gets Go modules through a mirror of its own
    ///
    /// The command gets its own GOPROXY and GOSUMDB, an empty module cache and an empty build cache. Afterwards the modules
    /// that it unpacked, and the modules in the programs that it built, are compared with what was served.
    #[command(after_help = run::EXIT_CODES, after_long_help = run::LONG_HELP)]
    #[command(override_usage = "sumgate run [OPTIONS] -- <COMMAND>...")]
    #[command(mut_arg("hold", |arg| arg.long_help(HOLD_FOR)))]
    Run(Box<RunArgs>),
    /// Find settings that weaken the checks of `go`
    #[command(after_long_help = "Examples:\n  sumgate doctor\n  sumgate doctor --fix")]
    Doctor(DoctorArgs),
    /// Explain a module version: log, age, policy, store and pins
    ///
    /// Prints the record of the version in the checksum database, and the tree head that proves it; how long it has been in
    /// the log; which policy rule decides; and which files are stored and pinned.
    #[command(after_long_help = WHY_HELP, override_usage = "sumgate why [OPTIONS] <MODULE@VERSION>")]
    Why(WhyArgs),
    /// Verify a file: evidence of a fork, a record proof or a module zip
    ///
    /// The content determines the kind of file. Evidence proves that a database signed two histories that contradict each other;
    /// a record proof (`c2sp.org/tlog-proof@v1`) proves one record of a database. Both are verified offline, with the key of the
    /// database. A module zip is hashed and compared with its record.
    #[command(after_long_help = VERIFY_HELP)]
    Verify(VerifyArgs),
    /// Ask a mirror whether it answers
    ///
    /// For the health check of an image without a shell. Exits with 0 if the mirror answers within five seconds, else with 2.
    /// It says nothing of upstreams and the checksum database.
    #[command(after_long_help = "Examples:\n  sumgate health\n  sumgate health --listen :8080")]
    #[command(mut_arg("listen", |arg| arg.help("Address and port of the mirror")))]
    Health(HealthArgs),
    /// Print the `go env -w` command that points `go` at a mirror
    ///
    /// The second line, a comment, has the command that undoes it.
    #[command(after_long_help = "Examples:\n  sumgate env\n  sumgate env --url https://go.example.com")]
    #[command(mut_arg("listen", |arg| arg.help("Address and port of the mirror")))]
    Env(EnvArgs),
    /// Show how it works, without any network
    ///
    /// Starts a test module proxy with a few modules and a signed log, and a mirror of it; downloads an honest module, then a forged
    /// zip, a forged tile and a forked log, which the mirror refuses. Uses the `go` on the PATH, if there is one.
    #[command(after_long_help = "Examples:\n  sumgate demo")]
    Demo(DemoArgs),
    /// Print the completions of a shell
    #[command(after_long_help = "Examples:\n  sumgate completions bash")]
    Completions(CompletionsArgs),
    /// Write the manual pages, one for each command
    #[command(after_long_help = "Examples:\n  sumgate man ./man1")]
    Man(ManArgs),
    /// Fill, export and import the store; pins and cache keys
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Check a policy, or explain what it decides
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Report from the event log of a mirror
    #[command(subcommand)]
    Report(ReportCommand),
    /// Look up records in the checksum database
    #[command(subcommand)]
    Sumdb(SumdbCommand),
    /// Print the h1 of a module zip, a go.mod file or an unpacked module
    #[command(after_long_help = "Examples:\n  sumgate hash go.mod\n  sumgate hash text.zip")]
    Hash(HashArgs),
}

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Check that a policy is valid, and report each error with its line and column
    #[command(after_long_help = "Examples:\n  sumgate policy check sumgate.toml")]
    Check {
        /// The policy [default: the nearest sumgate.toml at or above the working folder]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Explain which rule decides about a module version, and why
    ///
    /// Only the name is evaluated, and the age if it is given. No network requests are made.
    #[command(after_long_help = "Examples:\n  sumgate policy explain golang.org/x/text@v0.3.0 --age 6d")]
    Explain {
        /// Module version, such as golang.org/x/text@v0.3.0
        #[arg(value_name = "MODULE@VERSION", value_parser = ModuleVersion::parse)]
        module: ModuleVersion,
        /// The policy [default: the nearest sumgate.toml at or above the working folder]
        #[arg(long, value_name = "FILE", env = "SUMGATE_POLICY")]
        policy: Option<PathBuf>,
        /// Age of its record in the log, such as 6d or 36h; a number alone is in days; `unknown`: not observed long enough
        #[arg(long, value_name = "AGE", value_parser = age)]
        age: Option<Age>,
    },
}

/// Parses an age as in `min-age`; a number alone is in days.
fn age(text: &str) -> Result<Age, ValueError> {
    if text == "unknown" {
        return Ok(Age::Unknown);
    }
    let days = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let age = crate::policy::age(&if days { format!("{text}d") } else { text.to_owned() });
    age.map(Age::AtLeast)
}

#[derive(Debug, Subcommand)]
pub(super) enum SumdbCommand {
    /// Print the proved record of a module version
    #[command(after_long_help = "Examples:\n  sumgate sumdb lookup golang.org/x/text@v0.3.0")]
    Lookup(LookupArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct LookupArgs {
    /// Module version, such as golang.org/x/text@v0.3.0
    #[arg(value_name = "MODULE@VERSION", value_parser = ModuleVersion::parse)]
    pub(super) module: ModuleVersion,
    #[command(flatten)]
    pub(super) state: StateArgs,
    #[command(flatten)]
    pub(super) databases: DatabaseArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct WhyArgs {
    /// Module version, such as golang.org/x/text@v0.3.0
    #[arg(value_name = "MODULE@VERSION", value_parser = ModuleVersion::parse)]
    pub(super) module: ModuleVersion,
    /// The policy [default: the nearest sumgate.toml at or above the working folder]
    #[arg(long, value_name = "FILE", env = "SUMGATE_POLICY")]
    pub(super) policy: Option<PathBuf>,
    #[command(flatten)]
    pub(super) proof: ProofArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// The file
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) proof: ProofArgs,
}

/// How to prove a module version.
#[derive(Debug, clap::Args)]
pub(super) struct ProofArgs {
    /// Make no network requests; use the proofs in the store
    #[arg(long, env = "SUMGATE_OFFLINE", value_parser = clap::builder::FalseyValueParser::new())]
    pub(super) offline: bool,
    #[command(flatten)]
    pub(super) go_settings: GoSettingsArgs,
    #[command(flatten)]
    pub(super) state: StateArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct HashArgs {
    /// A module zip, a go.mod file, or the folder of an unpacked module
    #[arg(value_name = "FILE.zip|go.mod|DIR")]
    pub(super) path: PathBuf,

    /// Its module version; required for a folder outside a module cache, because the hash covers the name
    #[arg(long, value_name = "MODULE@VERSION", value_parser = ModuleVersion::parse)]
    pub(super) module: Option<ModuleVersion>,
}

#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// Keep running: the mirror with its page, and an honest origin with a mirror to try by hand
    #[arg(long)]
    pub(super) keep: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(super) shell: clap_complete::Shell,
}

#[derive(Debug, clap::Args)]
pub(super) struct ManArgs {
    /// The folder for the pages; it is made if it does not exist
    #[arg(value_name = "DIR")]
    pub(super) folder: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct HealthArgs {
    /// URL of the mirror, if it runs elsewhere [default: from --listen and --base-path]
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// The configuration file of the mirror, whose [serve] may have --listen and --base-path
    #[arg(long, value_name = "FILE", env = "SUMGATE_CONFIG")]
    pub(super) config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) at: ListenArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct EnvArgs {
    /// URL of the mirror, if it runs elsewhere [default: from --listen and --base-path]
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// The configuration file of the mirror (see docs/settings.md): its private modules, and the flags of [serve] that are flags here
    #[arg(long, value_name = "FILE", env = "SUMGATE_CONFIG")]
    pub(super) config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) address: AddressArgs,
    #[command(flatten)]
    pub(super) databases: DatabaseArgs,
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_version_has_the_commit_only_if_the_build_named_it() {
        let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
        let number = env!("CARGO_PKG_VERSION");
        assert!(version(Some("0123abc")).starts_with(&format!("{number} (commit 0123abc, {target}")));
        assert!(version(None).starts_with(&format!("{number} ({target}")));
    }
}
