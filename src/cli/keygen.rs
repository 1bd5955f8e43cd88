//! `sumgate keygen`: a key for the seals of `sumgate run`.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use tlog::Signer;

use super::args::KeygenArgs;
use super::exit::{Exit, Failure};
use super::out;

/// For the owner alone.
const MODE: u32 = 0o600;

pub(super) fn run(args: &KeygenArgs) -> Result<Exit, Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| Failure::host("get random bytes", &error))?;
    let signer = Signer::from_seed(&args.name, seed).map_err(|error| Failure::usage(&error))?;
    let failed = |error: std::io::Error| Failure::host(&format!("write {}", args.out.display()), &error);
    let file = File::options().write(true).create_new(true).mode(MODE).open(&args.out);
    let mut file = file.map_err(failed)?;
    file.write_all(format!("{}\n", signer.to_secret_text()).as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    out::deliver(&format!("{}\n", signer.verifier_key()))?;
    Ok(Exit::Fine)
}
