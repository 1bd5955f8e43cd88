//! Bundles: a record with its inclusion proof and tree head as one text, which can be verified offline.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra BASE64-OF-THE-RECORD-TEXT
//! index RECORD-NUMBER
//! HASH
//! …
//!
//! SIGNED-CHECKPOINT
//! ```
//!
//! The format is <https://c2sp.org/tlog-proof>, with the text of the record as extra data.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::hash::{Hash, HashError};
use crate::inclusion::InclusionProof;
use crate::key::VerifierKey;
use crate::limits::{MAX_BUNDLE_LEN, MAX_PROOF_HASHES};
use crate::record::{LookupReply, ProvenRecord, RecordError};
use crate::tree::{RecordId, TreeError};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// Why a bundle is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// Not the format of a bundle.
    #[error("malformed record proof: {0}")]
    Malformed(&'static str),
    /// The record number.
    #[error("invalid record number: {0}")]
    BadIndex(#[from] TreeError),
    /// A hash of the proof.
    #[error("invalid hash in the proof: {0}")]
    BadHash(#[from] HashError),
    /// The checkpoint or its signature.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The record or its inclusion.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Formats a record with its inclusion proof under `head`.
pub fn format(record: &ProvenRecord, proof: &InclusionProof, head: &SignedCheckpoint) -> String {
    let record_text = STANDARD.encode(record.text());
    let hashes: String = proof.hashes().iter().map(|hash| format!("{hash}\n")).collect();
    format!("{FIRST_LINE}\nextra {record_text}\nindex {}\n{hashes}\n{}", record.id(), head.note())
}

/// Parses a bundle, and verifies the signature of the tree head and the inclusion of the record.
pub fn open(bundle: &[u8], origin: &str, key: &VerifierKey) -> Result<(ProvenRecord, SignedCheckpoint), BundleError> {
    let malformed = BundleError::Malformed;
    if bundle.len() > MAX_BUNDLE_LEN {
        return Err(malformed("it is too long"));
    }
    let text = core::str::from_utf8(bundle).map_err(|_| malformed("it is not UTF-8"))?;
    let (proof, note) = text.split_once("\n\n").ok_or(malformed("missing blank line"))?;
    let mut lines = proof.split('\n');
    if lines.next() != Some(FIRST_LINE) {
        return Err(malformed("missing header `c2sp.org/tlog-proof@v1`"));
    }
    let extra = lines.next().and_then(|line| line.strip_prefix("extra ")).ok_or(malformed("missing `extra` line"))?;
    let index = lines.next().and_then(|line| line.strip_prefix("index ")).ok_or(malformed("missing `index` line"))?;
    let record = STANDARD.decode(extra).map_err(|_| malformed("the record is not canonical base64"))?;
    let hashes: Vec<Hash> = lines.map(Hash::parse).collect::<Result<_, _>>()?;
    if hashes.len() > MAX_PROOF_HASHES {
        return Err(malformed("too many hashes"));
    }
    let head = SignedCheckpoint::open(note.as_bytes(), origin, key)?;
    let reply = LookupReply::new(RecordId::parse(index)?, &record, Vec::new())?;
    let record = reply.prove_by(&InclusionProof::from_hashes(hashes), &head)?;
    Ok((record, head))
}
