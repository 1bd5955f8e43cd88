//! `sumgate completions`: prints the completions of a shell, made from the same tree as `--help`.

use super::args::{CompletionsArgs, tree};
use super::exit::{Exit, Failure};
use super::out;

pub(super) fn run(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut tree(), "sumgate", &mut script);
    out::deliver(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success)
}
