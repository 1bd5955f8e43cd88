//! The lookup of one module version, as a machine without I/O: reply → tiles needed → proved lines.
//!
//! ```text
//! bytes ──read──▶ Reading { plan } ──fetch the plan's tiles──▶ conclude ──▶ Proved | Forked
//! ```
//!
//! One plan covers both questions, so that their tiles come in one round: is the reply's head consistent with the trusted
//! one, and is the record in the newer of the two. Rules that the reference verifier broke in 2026 hold by the types: the
//! text of a record is not readable before [`tlog::LookupReply::prove`] gave a proved one (CVE-2026-56864), and a record
//! without lines for exactly this module version is an error (CVE-2026-42501).

use tlog::{
    AuthenticTiles, Comparison, Decision, ForkEvidence, LookupReply, Node, Observation, ProvenRecord, SUMDB_ORIGIN,
    SignedCheckpoint, TileHeight, TilePlan, Timeline, VerifierKey,
};

use crate::gosum::{RecordLines, RecordLinesError, parse_record_text};
use crate::module::ModuleVersion;

/// A reply that was read, and what is needed to prove it.
#[derive(Debug)]
pub struct Reading {
    reply: LookupReply,
    /// The newer of the trusted head and the reply's: the record is proved in it.
    newest: SignedCheckpoint,
    comparison: Option<Comparison>,
    plan: TilePlan,
}

/// How reading a reply ended.
#[derive(Debug)]
pub enum Read {
    /// Tiles are needed.
    Needs(Box<Reading>),
    /// The reply's head and the trusted one contradict each other already.
    Forked(Box<ForkEvidence>),
}

/// How a lookup ended.
#[derive(Debug)]
pub enum Conclusion {
    /// The record is proved and says what the module version hashes to.
    Proved(Box<Proved>),
    /// The reply's head and the trusted one contradict each other.
    Forked(Box<ForkEvidence>),
}

/// A proved answer.
#[derive(Debug)]
pub struct Proved {
    /// The record.
    pub record: ProvenRecord,
    /// What it says of the module version that was asked for.
    pub lines: RecordLines,
    /// The head it was proved in: consistent with the trusted one, and not older.
    pub head: SignedCheckpoint,
    /// The record with its proof as text, for keeping.
    pub bundle: String,
}

/// Which check failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// A format, signature, proof, or tile check.
    #[error("{0}")]
    Unverified(String),
    /// The proved record is not for this module version.
    #[error(transparent)]
    WrongRecord(#[from] RecordLinesError),
}

fn unverified(error: impl std::fmt::Display) -> LookupError {
    LookupError::Unverified(error.to_string())
}

/// Reads the reply of a lookup. `trusted` is the timeline so far; `None` only where there is neither memory nor anchor.
pub fn read(reply: &[u8], key: &VerifierKey, trusted: Option<&Timeline>) -> Result<Read, LookupError> {
    let reply = LookupReply::parse(reply).map_err(unverified)?;
    let seen = SignedCheckpoint::open(reply.note(), SUMDB_ORIGIN, key).map_err(unverified)?;
    if !seen.size().contains(reply.id()) {
        return Err(LookupError::Unverified(format!(
            "record {} is not in the tree of {} records that came with it",
            reply.id(),
            seen.size()
        )));
    }
    let (newest, comparison) = match trusted.map(|trusted| (trusted, trusted.observe(seen.clone()))) {
        None => (seen, None),
        Some((trusted, Observation::Same)) => (trusted.trusted().clone(), None),
        Some((_, Observation::Past(comparison) | Observation::Ahead(comparison))) => {
            (comparison.newer().clone(), Some(comparison))
        }
        Some((_, Observation::Fork(evidence))) => return Ok(Read::Forked(evidence)),
    };
    let mut nodes = vec![Node { level: 0, index: reply.id().get() }];
    nodes.extend(comparison.iter().flat_map(Comparison::nodes));
    let plan = TilePlan::new(*newest.head(), TileHeight::SUMDB, &nodes).map_err(unverified)?;
    Ok(Read::Needs(Box::new(Reading { reply, newest, comparison, plan })))
}

impl Reading {
    /// The tiles that are needed.
    pub fn plan(&self) -> &TilePlan {
        &self.plan
    }

    /// Proves the record of `module` with the tiles of the plan, authenticated.
    pub fn conclude(self, module: &ModuleVersion, tiles: &AuthenticTiles) -> Result<Conclusion, LookupError> {
        if let Some(comparison) = self.comparison {
            match comparison.decide(tiles).map_err(unverified)? {
                Decision::Consistent(_) => {}
                Decision::Fork(evidence) => return Ok(Conclusion::Forked(evidence)),
            }
        }
        let id = self.reply.id();
        let record = self.reply.prove(tiles).map_err(unverified)?;
        let lines = parse_record_text(record.text(), module)?;
        let proof = tiles
            .inclusion_proof(id)
            .ok_or_else(|| LookupError::Unverified(format!("the tiles give no inclusion proof for record {id}")))?;
        let bundle = tlog::bundle::format(&record, &proof, &self.newest);
        Ok(Conclusion::Proved(Box::new(Proved { record, lines, head: self.newest, bundle })))
    }
}
