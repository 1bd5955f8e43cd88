//! `sumgate cache keygen`: makes a key for the seals of `sumgate run`.

use tlog::Signer;

use super::args::KeygenArgs;
use super::exit::{Exit, Failure};
use super::out;
use super::random::random;
use super::result_file::write_secret;

pub(super) fn run(args: &KeygenArgs) -> Result<Exit, Failure> {
    let signer = Signer::from_seed(&args.name, random()?).map_err(Failure::usage)?;
    write_secret("--out", &args.out, &format!("{}\n", signer.to_secret_text()))?;
    out::deliver(&format!("{}\n", signer.verifier_key()))?;
    Ok(Exit::Success)
}
