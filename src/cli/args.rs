//! The words that can be typed. Reading them touches nothing; [`super::config`] checks what they mean.

mod closed;
mod pins;
mod run;
mod serve;
mod shared;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::finding::{Format, Severity};
use crate::policy::{Age, ValueError};

pub(super) use closed::{ExportArgs, FetchArgs, ImportArgs};
pub(super) use pins::PinsCommand;
pub(super) use run::{Cache, KeygenArgs, RunArgs};
pub(super) use serve::{AddressArgs, HoldArgs, ServeArgs};
pub(super) use shared::{AnchorArgs, DEFAULT_UPSTREAM, DatabaseArgs, PolicyArgs, StateArgs, SurroundingArgs};

const ABOUT: &str = "A Go module mirror that proves every byte against the checksum database before it lets it out";

const EXIT_CODES: &str = "\
Exit codes:
  0  done, and nothing is wrong
  1  done, and something is wrong with what was looked at
  2  not done: bad arguments, no network, no disk
  3  the checksum database signed two histories; the evidence was written

Start here:
  sumgate demo     see it work, without any network
  sumgate serve    run the mirror; it prints the `go env -w` line to use it";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "sumgate", version, about = ABOUT, after_help = EXIT_CODES)]
#[command(help_expected = true, propagate_version = true)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the mirror
    ///
    /// Works without any configuration. A module version is first proved against the checksum database; then its bytes
    /// are fetched, hashed, compared, stored, and only then released. Prints the line that points `go` at it. Stops on
    /// SIGTERM and SIGINT, after the answers under way.
    Serve(Box<ServeArgs>),
    /// Ask the checksum database what a module version hashes to, and prove the answer
    Lookup(LookupArgs),
    /// Hold every line of go.sum against the checksum database
    ///
    /// A line that is once in go.sum is never checked again by `go`; this does it. Below a folder, each go.sum, go.work.sum
    /// and X.sum beside an X.mod is read, in hidden folders, too. Files below testdata, vendor, node_modules and folders
    /// whose names begin with _ are reported apart, as warnings. Exempt modules (GONOSUMDB, GOPRIVATE,
    /// --nosumdb) are skipped, and their names are sent nowhere. What was proved once is kept, so that a second run asks
    /// nobody.
    Audit(Box<AuditArgs>),
    /// Run a command that gets Go modules only through a mirror of its own
    ///
    /// The command sees a GOPROXY and GOSUMDB of its own, an empty module cache and an empty build cache. Afterwards the
    /// modules that it unpacked, and the modules inside the programs that it built, are compared with what was released.
    #[command(after_help = run::EXIT_CODES)]
    Run(Box<RunArgs>),
    /// Make a key that seals the caches of `sumgate run` between jobs
    Keygen(KeygenArgs),
    /// Fill the store ahead of time, for go.sum or module versions
    ///
    /// Each file takes the way of a request to the mirror: nothing enters unproved.
    Fetch(Box<FetchArgs>),
    /// Write what a go.sum needs from the store into a folder or a .tar.zst, to be carried to a closed network
    ///
    /// Modules, their records, the tiles that prove the records, and the signed tree head. Asks nothing of any network.
    Export(Box<ExportArgs>),
    /// Take up what was exported elsewhere, or a module cache
    ///
    /// Everything is proved again: the head's signature, that it fits the head trusted here, each record under it, and the
    /// hash of each file. What was exported is taken up without any network.
    Import(Box<ImportArgs>),
    /// Check a policy, or explain what it says to a module version
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// List or forget what is pinned of modules that no database vouches for
    #[command(subcommand)]
    Pins(PinsCommand),
    /// Look for settings that weaken the checks of `go`
    Doctor(DoctorArgs),
    /// Print the h1 of a module zip, a go.mod file, or an unpacked module
    Hash(HashArgs),
    /// Check evidence of a fork, offline
    ///
    /// Exits with 0 if the file proves that a database you trust signed two histories that contradict each other, and
    /// with 1 if it does not.
    VerifyEvidence(VerifyEvidenceArgs),
    /// Print the `go env -w` line that points `go` at a mirror
    Env(EnvArgs),
    /// Show what it does, on a machine without any network
    ///
    /// Starts an origin with a few modules and a signed log, and a mirror over it; downloads an honest module, then meets
    /// a forged zip, a forged tile and a forked log. Uses the `go` on the PATH, if there is one.
    Demo(DemoArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct AuditArgs {
    /// A go.sum, a go.work.sum, or a folder with some of them below it
    #[arg(value_name = "PATH", default_value = ".")]
    pub(super) paths: Vec<PathBuf>,

    /// Hash every zip, go.mod and unpacked folder of the module cache (GOMODCACHE) again and prove those
    #[arg(long, conflicts_with_all = ["paths", "base"])]
    pub(super) modcache: bool,

    /// Leave out a file or folder, and all below it: a path below PATH, in which `*` and `?` stand for any characters but
    /// `/`; repeatable. What is left out is listed
    #[arg(long, value_name = "PATTERN", conflicts_with = "modcache")]
    pub(super) exclude: Vec<String>,

    /// Audit only the lines added since this git revision, such as origin/main, and obey its policy, too
    #[arg(long, value_name = "REV")]
    pub(super) base: Option<String>,

    /// Ask nothing of the network: what was proved before is proved, the rest is reported as not checked
    #[arg(long)]
    pub(super) offline: bool,

    /// Lookups at the same time
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) concurrency: u16,

    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) policy: PolicyArgs,
    #[command(flatten)]
    pub(super) surrounding: SurroundingArgs,
    #[command(flatten)]
    pub(super) state: StateArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Say whether a policy can be used, and if not, what is wrong in which line and column
    Check {
        /// The policy [default: the nearest sumgate.toml at or above the working folder]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Say which rule decides about a module version, and why
    ///
    /// Only the name is looked at, unless the age in the log is given: nobody is asked.
    Explain {
        /// Module version, such as golang.org/x/text@v0.3.0
        #[arg(value_name = "MODULE@VERSION")]
        module: String,
        /// The policy [default: the nearest sumgate.toml at or above the working folder]
        #[arg(long, value_name = "FILE", env = "SUMGATE_POLICY")]
        policy: Option<PathBuf>,
        /// How long it is in the log, such as 6d or 36h; a number alone means days; `unknown`: nobody watched long enough
        #[arg(long, value_name = "AGE", value_parser = age)]
        age: Option<Age>,
    },
}

/// An age as in `min-age`; a number alone means days.
fn age(text: &str) -> Result<Age, ValueError> {
    if text == "unknown" {
        return Ok(Age::Unknown);
    }
    let days = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let age = crate::policy::age(&if days { format!("{text}d") } else { text.to_owned() });
    age.map(Age::AtLeast)
}

#[derive(Debug, clap::Args)]
pub(super) struct DoctorArgs {
    /// Folder to look for go.sum files in
    #[arg(value_name = "PATH", default_value = ".")]
    pub(super) path: PathBuf,

    /// Print commands that would mend what was found; none is run
    #[arg(long)]
    pub(super) fix: bool,

    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// How findings are shown, and which of them fail the run.
#[derive(Debug, clap::Args)]
pub(super) struct OutputArgs {
    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(super) format: Format,

    /// The least severity that makes the exit code 1
    #[arg(long, value_enum, value_name = "SEVERITY", default_value_t = Severity::Warning)]
    pub(super) deny: Severity,

    /// Whether to use colours [auto: on a terminal, unless NO_COLOR is set]
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Colour::Auto)]
    pub(super) color: Colour,

    /// List what was skipped, too
    #[arg(long, short)]
    pub(super) verbose: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Colour {
    Auto,
    Always,
    Never,
}

#[derive(Debug, clap::Args)]
pub(super) struct LookupArgs {
    /// Module version, such as golang.org/x/text@v0.3.0
    #[arg(value_name = "MODULE@VERSION")]
    pub(super) module: String,
    #[command(flatten)]
    pub(super) state: StateArgs,
    #[command(flatten)]
    pub(super) databases: DatabaseArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct HashArgs {
    /// A module zip, a go.mod file, or the folder of an unpacked module
    #[arg(value_name = "FILE.zip|go.mod|DIR")]
    pub(super) path: PathBuf,

    /// Which module version it is; for a folder, whose hash covers its name, needed unless it lies in a module cache
    #[arg(long, value_name = "MODULE@VERSION")]
    pub(super) module: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct VerifyEvidenceArgs {
    /// The evidence file
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) databases: DatabaseArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// Leave an honest origin and a mirror running afterwards, to be tried by hand
    #[arg(long)]
    pub(super) keep: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct EnvArgs {
    /// Url of the mirror, for one that runs elsewhere [default: made of --listen and --base-path]
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    #[command(flatten)]
    pub(super) address: AddressArgs,
    #[command(flatten)]
    pub(super) databases: DatabaseArgs,
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_flag_has_help_and_no_two_collide() {
        use clap::CommandFactory;
        super::Args::command().debug_assert();
    }
}
