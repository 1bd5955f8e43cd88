//! The command line: typed words (`args`) → checked settings (`config`) → one file per command.

mod args;
mod audit;
mod config;
mod demo;
mod doctor;
mod env;
mod exit;
mod export;
mod fetch;
mod hash;
mod import;
mod lookup;
mod out;
mod pins;
mod policy;
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
    let args = Args::parse();
    let ended = match args.command {
        Command::Serve(args) => serve::run(&args),
        Command::Lookup(args) => lookup::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Fetch(args) => fetch::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Policy(args) => policy::run(&args.command),
        Command::Doctor(args) => doctor::run(&args),
        Command::Pins(args) => pins::run(&args.command),
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
