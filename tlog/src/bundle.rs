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

/// Opens bundles one after the other. The signature of a tree head that several of them share is verified once.
#[derive(Debug)]
pub struct Opener<'k> {
    origin: &'k str,
    key: &'k VerifierKey,
    /// The tree head of the last bundle, verified.
    head: Option<SignedCheckpoint>,
}

impl<'k> Opener<'k> {
    /// Opens bundles with tree heads of `origin` that `key` signed.
    pub fn new(origin: &'k str, key: &'k VerifierKey) -> Self {
        Self { origin, key, head: None }
    }

    /// Parses a bundle, and verifies the signature of its tree head and the inclusion of its record.
    pub fn open(&mut self, bundle: &[u8]) -> Result<(ProvenRecord, &SignedCheckpoint), BundleError> {
        let malformed = BundleError::Malformed;
        if bundle.len() > MAX_BUNDLE_LEN {
            return Err(malformed("it is too long"));
        }
        let text = core::str::from_utf8(bundle).map_err(|_| malformed("it is not UTF-8"))?;
        let (proof, note) = text.split_once("\n\n").ok_or(malformed("missing blank line"))?;
        let (reply, proof) = parse_proof(proof)?;
        // Byte for byte the note that was verified last, by the same key.
        let head = match self.head.take().filter(|head| head.note() == note) {
            Some(head) => head,
            None => SignedCheckpoint::open(note.as_bytes(), self.origin, self.key)?,
        };
        let head = self.head.insert(head);
        Ok((reply.prove_by(&proof, head)?, head))
    }
}

/// Parses a bundle, and verifies the signature of the tree head and the inclusion of the record.
pub fn open(bundle: &[u8], origin: &str, key: &VerifierKey) -> Result<(ProvenRecord, SignedCheckpoint), BundleError> {
    let mut opener = Opener::new(origin, key);
    let (record, head) = opener.open(bundle)?;
    Ok((record, head.clone()))
}

/// The same, and the verified inclusion proof.
pub fn open_with_proof(
    bundle: &[u8],
    origin: &str,
    key: &VerifierKey,
) -> Result<(ProvenRecord, SignedCheckpoint, InclusionProof), BundleError> {
    let (record, head) = open(bundle, origin, key)?;
    // It was read once, so neither can fail.
    let text = core::str::from_utf8(bundle).unwrap_or_default();
    let (proof, _) = text.split_once("\n\n").ok_or(BundleError::Malformed("missing blank line"))?;
    Ok((record, head, parse_proof(proof)?.1))
}

/// The lines before the tree head.
fn parse_proof(proof: &str) -> Result<(LookupReply, InclusionProof), BundleError> {
    let malformed = BundleError::Malformed;
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
    let reply = LookupReply::new(RecordId::parse(index)?, &record, Vec::new())?;
    Ok((reply, InclusionProof::from_hashes(hashes)))
}
