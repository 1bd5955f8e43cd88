//! A record with its proof as one text, to be kept and checked again without the network.
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
//! The form is that of <https://c2sp.org/tlog-proof>, with the record's text as the extra data.

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

/// Why a bundle proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// Not the form above.
    #[error("the proof is malformed: {0}")]
    Malformed(&'static str),
    /// The record number.
    #[error("the record number: {0}")]
    BadIndex(#[from] TreeError),
    /// A hash.
    #[error("a hash of the proof: {0}")]
    BadHash(#[from] HashError),
    /// The checkpoint or its signature.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The record or its inclusion.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Writes a record with its proof for `head`.
pub fn format(record: &ProvenRecord, proof: &InclusionProof, head: &SignedCheckpoint) -> String {
    let record_text = STANDARD.encode(record.text());
    let hashes: String = proof.hashes().iter().map(|hash| format!("{hash}\n")).collect();
    format!("{FIRST_LINE}\nextra {record_text}\nindex {}\n{hashes}\n{}", record.id(), head.note())
}

/// Reads a record with its proof. Signature and inclusion are both checked.
pub fn open(bundle: &[u8], origin: &str, key: &VerifierKey) -> Result<(ProvenRecord, SignedCheckpoint), BundleError> {
    let malformed = BundleError::Malformed;
    if bundle.len() > MAX_BUNDLE_LEN {
        return Err(malformed("it is too long"));
    }
    let text = core::str::from_utf8(bundle).map_err(|_| malformed("it is not UTF-8"))?;
    let (proof, note) = text.split_once("\n\n").ok_or(malformed("it has no blank line"))?;
    let mut lines = proof.split('\n');
    if lines.next() != Some(FIRST_LINE) {
        return Err(malformed("its first line is not that of a proof"));
    }
    let extra = lines.next().and_then(|line| line.strip_prefix("extra ")).ok_or(malformed("it has no record"))?;
    let index = lines.next().and_then(|line| line.strip_prefix("index ")).ok_or(malformed("it has no index"))?;
    let record = STANDARD.decode(extra).map_err(|_| malformed("its record is not canonical base64"))?;
    let hashes: Vec<Hash> = lines.map(Hash::parse).collect::<Result<_, _>>()?;
    if hashes.len() > MAX_PROOF_HASHES {
        return Err(malformed("it has too many hashes"));
    }
    let head = SignedCheckpoint::open(note.as_bytes(), origin, key)?;
    let reply = LookupReply::new(RecordId::parse(index)?, &record, Vec::new())?;
    let record = reply.prove_by(&InclusionProof::from_hashes(hashes), &head)?;
    Ok((record, head))
}
