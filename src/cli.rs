//! The command line: typed words (`args`) → checked settings (`config`) → one file per command.

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
mod import;
mod keygen;
mod lookup;
mod out;
mod pins;
mod policies;
mod policy;
mod result_file;
mod run;
mod serve;
mod sources;
mod verify_evidence;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};
pub use exit::{Exit, Failure};

/// Reads the command line, runs the command, and says how it ended.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return not_parsed(&error),
    };
    let ended = match args.command {
        Command::Serve(args) => serve::run(&args),
        Command::Lookup(args) => lookup::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Run(args) => Ok(run::run(&args)),
        Command::Keygen(args) => keygen::run(&args),
        Command::Fetch(args) => fetch::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Policy(command) => policy::run(&command),
        Command::Doctor(args) => doctor::run(&args),
        Command::Pins(command) => pins::run(&command),
        Command::Hash(args) => hash::run(&args),
        Command::VerifyEvidence(args) => verify_evidence::run(&args),
        Command::Env(args) => env::run(&args),
        Command::Demo(args) => demo::run(&args),
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            out::complain(&failure.to_string());
            failure.exit().into()
        }
    }
}

/// Prints the help, or what is wrong with the words. `run` has exit codes of its own.
fn not_parsed(error: &clap::Error) -> ExitCode {
    // Nobody is left to tell if that fails.
    let _ = error.print();
    let is_run = std::env::args_os().nth(1).is_some_and(|word| word == "run");
    match error.exit_code() {
        0 => ExitCode::SUCCESS,
        _ if is_run => run::not_done().into(),
        _ => Exit::NotFinished.into(),
    }
}
