//! `sumgate verify FILE`: verifies evidence of a fork, a record proof or a module zip, by its content.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use tlog::bundle::BundleError;
use tlog::{CheckpointError, ForkEvidence, NoteError, SUMDB_ORIGIN};

use super::args::VerifyArgs;
use super::config;
use super::exit::{Exit, Failure};
use super::lookup::{Asked, Prover, proved};
use super::{hash, out};
use crate::base::bounded::read_bounded;
use crate::base::fault::{Fault, in_full};
use crate::base::text::safe_start_of_line;
use crate::sumdb::{Database, ModuleRecord};
use gomodule::artifact::{Artifact, Kind};
use gomodule::dirhash::H1;
use gomodule::module::ModuleVersion;

/// The first bytes of each kind. The first two are whole lines.
const EVIDENCE: &[u8] = b"sumgate fork evidence v1\n";
const PROOF: &[u8] = b"c2sp.org/tlog-proof@v1\n";
const ZIP: &[u8] = b"PK\x03\x04";

/// Characters that are shown of another file.
const SHOWN: usize = 40;

pub(super) fn run(args: &VerifyArgs) -> Result<Exit, Failure> {
    let path = &args.file;
    let unreadable = |error: &dyn std::error::Error| Failure::host(&format!("read {}", path.display()), error);
    let file = hash::open(path)?;
    let mut start = [0; SHOWN];
    let length = file.read_at(&mut start, 0).map_err(|error| unreadable(&error))?;
    let start = &start[..length];
    let text = |max: usize| {
        let read = read_bounded(&file, max as u64).map_err(|error| unreadable(&error))?;
        read.ok_or_else(|| invalid(path, &format!("expected at most {max} bytes, found more")))
    };
    let message = if start.starts_with(EVIDENCE) {
        evidence(path, &text(tlog::limits::MAX_EVIDENCE_LEN)?, &databases(args)?)?
    } else if start.starts_with(PROOF) {
        record(path, &text(tlog::limits::MAX_BUNDLE_LEN)?, &databases(args)?)?
    } else if start.starts_with(ZIP) {
        zip(args, &file)?
    } else {
        let found = match start {
            [] => "an empty file".to_owned(),
            start => format!("a file that begins with {:?}", String::from_utf8_lossy(start)),
        };
        let message = format!("{}: expected evidence, a record proof or a module zip, found {found}", path.display());
        return Err(Failure::new(Fault::Request, message));
    };
    out::print(&format!("{}: {message}\n", safe_start_of_line(&path.to_string_lossy())));
    Ok(Exit::Success)
}

fn invalid(path: &Path, why: &str) -> Failure {
    Failure::new(Fault::Refused, format!("{} is invalid: {why}", path.display()))
}

fn databases(args: &VerifyArgs) -> Result<Vec<Database>, Failure> {
    let go = config::go_env()?;
    config::go_databases(&args.proof.go_settings, &go, &config::go_login(&go))
}

fn evidence(path: &Path, bytes: &[u8], databases: &[Database]) -> Result<String, Failure> {
    let evidence = ForkEvidence::verify(bytes).map_err(|error| invalid(path, &error.to_string()))?;
    let key = evidence.key();
    if !databases.iter().map(Database::key).any(|trusted| trusted == key) {
        let message = format!(
            "{} cannot be verified: its key {key} belongs to no configured database, and anyone can make such a file with a key \
             of their own. If you trust this key, add --sumdb '{key}'",
            path.display()
        );
        return Err(Failure::new(Fault::Request, message));
    }
    let (older, newer) = (evidence.older().head(), evidence.newer().head());
    Ok(format!(
        "valid evidence: {} signed two tree heads that contradict each other\n  {} records, root {}\n  {} records, root {}",
        key.name(),
        older.size,
        older.root,
        newer.size,
        newer.root
    ))
}

fn record(path: &Path, bytes: &[u8], databases: &[Database]) -> Result<String, Failure> {
    let mut why = None;
    for database in databases {
        match tlog::bundle::open(bytes, SUMDB_ORIGIN, database.key()) {
            Ok((record, _)) => {
                let module = module_of(record.text())
                    .ok_or_else(|| invalid(path, "its record does not name a module version"))?;
                let record = ModuleRecord::of(record, &module).map_err(|error| invalid(path, &error.to_string()))?;
                let (text, by) = (record.proven().text(), proved(&record));
                return Ok(format!("valid record proof of {module}\n{text}{by}"));
            }
            Err(BundleError::Checkpoint(CheckpointError::Note(NoteError::NotSigned(_)))) => {}
            Err(error) => why = Some(format!("with the key of {}: {error}", database.name())),
        }
    }
    Err(why.map_or_else(
        || {
            let why = "no configured database signed it: add --sumdb NAME+HASH+KEY with the key of the one that did";
            Failure::new(Fault::Request, format!("{} cannot be verified: {why}", path.display()))
        },
        |why| invalid(path, &why),
    ))
}

/// The module version of the first line of a record.
fn module_of(record: &str) -> Option<ModuleVersion> {
    let (path, rest) = record.lines().next()?.split_once(' ')?;
    let version = rest.split(' ').next()?;
    ModuleVersion::of(path, version.strip_suffix("/go.mod").unwrap_or(version)).ok()
}

fn zip(args: &VerifyArgs, file: &File) -> Result<String, Failure> {
    let path = &args.file;
    let module = hash::module_of(path, file)?;
    let h1 = hash::zip(path, file, &module)?;
    let prover = Prover::of(&args.proof, None)?;
    let asked = prover.ask(&module)?;
    let unasked = match &asked {
        Asked::Answer(_) => None,
        Asked::Exempt => Some("is exempt from the database".to_owned()),
        Asked::Kept(pinned) => Some(format!(
            "was not looked up in the database, because {} is pinned here, as a private module is (if it is public now, \
             forget its pins: {})",
            pinned.path,
            pinned.to_forget()
        )),
    };
    let (expected, by) = match asked {
        Asked::Answer(Ok(record)) => (record.h1(Kind::Zip), proved(&record)),
        Asked::Answer(Err(error)) => return Err(Failure::new(error.fault(), in_full(&*error))),
        Asked::Exempt | Asked::Kept(_) => {
            let pin = prover.store.pins().of(&Artifact { module: module.clone(), kind: Kind::Zip })?;
            (pin, "pinned on first use; not covered by the database".to_owned())
        }
    };
    let shown = |h1: Option<H1>| h1.map_or("none".to_owned(), |h1| h1.to_string());
    match expected {
        Some(expected) if expected == h1 => Ok(format!("valid module zip of {module}\n{h1}\n{by}")),
        None if let Some(why) = unasked => {
            let message = format!("{}: {module} {why}, and no hash is pinned for it", path.display());
            Err(Failure::new(Fault::Request, message))
        }
        other => Err(invalid(path, &format!("expected {} for {module} ({by}), found {h1}", shown(other)))),
    }
}
