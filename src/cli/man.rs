//! `sumgate man`: writes the manual pages, made from the same tree as `--help`.

use std::fs;

use super::args::{ManArgs, tree};
use super::exit::{Exit, Failure};

pub(super) fn run(args: &ManArgs) -> Result<Exit, Failure> {
    let written = fs::create_dir_all(&args.folder).and_then(|()| clap_mangen::generate_to(tree(), &args.folder));
    written.map_err(|error| Failure::host(&format!("write the manual pages to {}", args.folder.display()), &error))?;
    Ok(Exit::Success)
}
