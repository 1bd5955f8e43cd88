//! Parses the command line, with the configuration file that it names.

use std::path::PathBuf;

use clap::{ArgMatches, FromArgMatches};

use super::args::{Args, Command, ServeArgs, tree};
use super::exit::Failure;
use super::out;
use super::serve_file::ConfigFile;
use crate::base::fault::Fault;

/// Parses the command line, and reads the configuration file that it names, whose flags are defaults. The command reports an error of
/// the file, because `run` first removes older reports.
pub(super) fn parse() -> Result<(Args, Result<ConfigFile, Failure>), clap::Error> {
    let mut matches = tree().try_get_matches()?;
    let (words, path) = config_of(&matches);
    let read = if words == ["health"] { ConfigFile::read_address } else { ConfigFile::read };
    let file = path.map(|path| read(path)).transpose();
    if let Ok(Some(file)) = &file {
        let command = words.join(" ");
        for name in file.unused_by(&words) {
            out::message(&format!(
                "{command} does not use `{name}` of [serve] in the configuration file: use --{name}"
            ));
        }
        matches = file.defaults_of(tree(), &words).try_get_matches()?;
    }
    Ok((Args::from_arg_matches(&matches)?, file.map(Option::unwrap_or_default)))
}

/// Reads the settings of `serve` again. The command line is the same, so only the configuration file can differ.
pub(super) fn serve_again() -> Result<(Box<ServeArgs>, ConfigFile), Failure> {
    let (args, file) = parse().map_err(Failure::usage)?;
    match args.command {
        Command::Serve(args) => Ok((args, file?)),
        other => Err(Failure::new(Fault::Host, format!("expected the command line of `serve`, found {other:?}"))),
    }
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
