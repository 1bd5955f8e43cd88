//! `sumgate verify-evidence`: does a file prove that a database signed two histories? Offline.

use std::fs::File;

use tlog::ForkEvidence;

use super::args::VerifyEvidenceArgs;
use super::config;
use super::exit::{Exit, Failure};
use super::out;
use crate::base::bounded::first;
use crate::base::fault::Fault;
use crate::sumdb::Database;

pub(super) fn run(args: &VerifyEvidenceArgs) -> Result<Exit, Failure> {
    let databases = config::databases(&args.databases)?;
    let shown = args.file.display();
    // One byte more: that a file is too long is told by whoever verifies it.
    let bytes = File::open(&args.file).and_then(|file| first(file, tlog::limits::MAX_EVIDENCE_LEN as u64 + 1));
    let bytes = bytes.map_err(|error| Failure::host(&format!("read {shown}"), &error))?;
    let evidence = ForkEvidence::verify(&bytes)
        .map_err(|error| Failure::new(Fault::Refused, format!("{shown} proves nothing: {error}")))?;
    let key = evidence.key();
    if !databases.iter().map(Database::key).any(|trusted| trusted == key) {
        let words = format!(
            "{shown} is signed by {key}, which is no database that you named; anybody can make such a file with a key of \
             their own. If that key is yours, add --sumdb '{key}'"
        );
        return Err(Failure::new(Fault::Refused, words));
    }
    let (older, newer) = (evidence.older().head(), evidence.newer().head());
    out::print(&format!(
        "{shown} holds: {} signed two tree heads that contradict each other\n  {} records, root {}\n  {} records, root {}\n",
        key.name(),
        older.size,
        older.root,
        newer.size,
        newer.root
    ));
    Ok(Exit::Fine)
}
