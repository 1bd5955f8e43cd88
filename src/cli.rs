//! The command line: arguments (`args`) → checked settings (`config`) → one file per command.

mod ages;
mod args;
mod audit;
mod bases;
mod changes;
mod command_line;
mod completions;
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
mod man;
mod notify;
mod out;
mod pins;
mod policies;
mod policy;
mod progress;
mod proof_drawing;
mod random;
mod reload;
mod report;
mod result_file;
mod run;
mod runtime;
mod serve;
mod serve_check;
mod serve_file;
mod serve_settings;
mod sources;
mod traces;
mod verify;
mod why;

use std::process::ExitCode;

use args::{CacheCommand, Command, SumdbCommand, lacks_dashes, unknown_command};
pub use exit::{Exit, Failure};

use crate::base::process::run_in_place_of_this;

/// Reads the command line, runs the command, and says how it ended.
pub fn main() -> ExitCode {
    if let Err(error) = run_in_place_of_this(std::env::args_os().skip(1)) {
        return failed(&Failure::host("start a program in a session of its own", &error)).into();
    }
    let (args, file) = match command_line::parse() {
        Ok(parsed) => parsed,
        Err(error) => return not_parsed(&error),
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
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Cache(CacheCommand::Fetch(args)) => fetch::run(&args, file),
        Command::Cache(CacheCommand::Export(args)) => export::run(&args),
        Command::Cache(CacheCommand::Import(args)) => import::run(&args),
        Command::Cache(CacheCommand::Pins(command)) => pins::run(&command),
        Command::Cache(CacheCommand::Keygen(args)) => keygen::run(&args),
        Command::Report(command) => report::run(&command),
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

/// Prints the help, or what is wrong with the arguments. `run` has its own exit codes.
fn not_parsed(error: &clap::Error) -> ExitCode {
    let is_run = std::env::args_os().nth(1).is_some_and(|word| word == "run");
    match unknown_command(error).or_else(|| lacks_dashes(error).filter(|_| is_run)) {
        Some(message) => out::message(&message),
        // If this fails, stderr cannot be used.
        None => drop(error.print()),
    }
    match error.exit_code() {
        0 => ExitCode::SUCCESS,
        _ if is_run => run::not_done().into(),
        _ => Exit::NotFinished.into(),
    }
}
