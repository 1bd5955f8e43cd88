//! The command line: arguments (`args`) → checked settings (`config`) → one file per command.

mod ages;
mod args;
mod audit;
mod bases;
mod config;
mod demo;
mod doctor;
mod env;
mod exit;
mod export;
mod fetch;
mod hash;
mod health;
mod import;
mod keygen;
mod lookup;
mod out;
mod pins;
mod policies;
mod policy;
mod result_file;
mod run;
mod runtime;
mod serve;
mod serve_check;
mod serve_file;
mod sources;
mod verify;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, FromArgMatches};

use args::{Args, CacheCommand, Command, SumdbCommand, tree, unknown_command};
pub use exit::{Exit, Failure};
use serve_file::ConfigFile;

/// Reads the command line, runs the command, and says how it ended.
pub fn main() -> ExitCode {
    let (args, file) = match parse() {
        Ok(parsed) => parsed,
        Err(code) => return code,
    };
    let ended = match args.command {
        Command::Serve(args) => serve::run(&args, file),
        Command::Audit(args) => audit::run(&args),
        Command::Run(args) => Ok(run::run(&args, file)),
        Command::Doctor(args) => doctor::run(&args),
        Command::Why(args) => why::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Health(args) => health::run(&args, file),
        Command::Env(args) => env::run(&args, file),
        Command::Demo(args) => demo::run(&args),
        Command::Cache(CacheCommand::Fetch(args)) => fetch::run(&args, file),
        Command::Cache(CacheCommand::Export(args)) => export::run(&args),
        Command::Cache(CacheCommand::Import(args)) => import::run(&args),
        Command::Cache(CacheCommand::Pins(command)) => pins::run(&command),
        Command::Cache(CacheCommand::Keygen(args)) => keygen::run(&args),
        Command::Policy(command) => policy::run(&command),
        Command::Sumdb(SumdbCommand::Lookup(args)) => lookup::run(&args),
        Command::Hash(args) => hash::run(&args),
    };
    ended.unwrap_or_else(|failure| failed(&failure)).into()
}

/// Prints why a command failed.
fn failed(failure: &Failure) -> Exit {
    out::message(&failure.to_string());
    failure.exit()
}

/// Parses the command line, and reads the configuration file that it names, whose flags are defaults. The command reports an error of
/// the file, because `run` first removes older reports.
fn parse() -> Result<(Args, Result<ConfigFile, Failure>), ExitCode> {
    let mut matches = tree().try_get_matches().map_err(|error| not_parsed(&error))?;
    let (words, path) = config_of(&matches);
    let file = path.map(|path| ConfigFile::read(path)).transpose();
    if let Ok(Some(file)) = &file {
        matches = file.defaults_of(tree(), &words).try_get_matches().map_err(|error| not_parsed(&error))?;
    }
    let args = Args::from_arg_matches(&matches).map_err(|error| not_parsed(&error))?;
    Ok((args, file.map(Option::unwrap_or_default)))
}

/// The words of the command, and the configuration file, if the command has one.
fn config_of(matches: &ArgMatches) -> (Vec<String>, Option<&PathBuf>) {
    let (mut words, mut command) = (Vec::new(), matches);
    while let Some((word, below)) = command.subcommand() {
        words.push(word.to_owned());
        command = below;
    }
    (words, command.try_get_one("config").ok().flatten())
}

/// Prints the help, or what is wrong with the arguments. `run` has its own exit codes.
fn not_parsed(error: &clap::Error) -> ExitCode {
    match unknown_command(error) {
        Some(message) => out::message(&message),
        // If this fails, stderr cannot be used.
        None => drop(error.print()),
    }
    let is_run = std::env::args_os().nth(1).is_some_and(|word| word == "run");
    match error.exit_code() {
        0 => ExitCode::SUCCESS,
        _ if is_run => run::not_done().into(),
        _ => Exit::NotFinished.into(),
    }
}
