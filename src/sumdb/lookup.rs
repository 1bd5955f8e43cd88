//! The lookup of module versions, as a machine without I/O: replies → tiles needed → proved lines.
//!
//! ```text
//! bytes ──Reply::read──▶ Reply ──plan──▶ Reading { plan } ──fetch its tiles──▶ conclude ──▶ Proved | Forked
//! ```
//!
//! One plan covers every question of a batch, so that its tiles come in one round and each tile once: is every reply's
//! head consistent with the newest, is the trusted one, and is each record in the newest. A batch of one is the ordinary
//! lookup. Rules that the reference verifier broke in 2026 hold by the types: the text of a record is not readable before
//! [`tlog::LookupReply::prove`] gave a proved one (CVE-2026-56864), and a record without lines for exactly this module
//! version is an error (CVE-2026-42501).

use tlog::{
    AuthenticTiles, CheckpointError, Comparison, ComparisonError, Decision, ForkEvidence, LookupReply, Node,
    Observation, PlanError, RecordError, RecordId, SUMDB_ORIGIN, SignedCheckpoint, TileError, TileHeight, TilePlan,
    Timeline, TreeSize, VerifierKey,
};

use super::record::{RecordLines, RecordLinesError};
use gomodule::module::ModuleVersion;

/// A reply that has the right form and whose head is signed. Nothing of its record can be read yet.
#[derive(Clone, Debug)]
pub struct Reply {
    module: ModuleVersion,
    record: LookupReply,
    seen: SignedCheckpoint,
}

/// Replies, and what is needed to prove them.
#[derive(Debug)]
pub struct Reading {
    replies: Vec<Reply>,
    /// The newest of the trusted head and those of the replies: the records are proved in it.
    newest: SignedCheckpoint,
    comparisons: Vec<Comparison>,
    plan: TilePlan,
}

/// The head that all heads fit, and what is proved of each reply, in the order of the replies.
pub type Conclusion = (SignedCheckpoint, Vec<Result<Proved, LookupError>>);

/// A proved answer.
#[derive(Debug)]
pub struct Proved {
    /// The record, and what it says of the module version that was asked for.
    pub lines: RecordLines,
    /// The record with its proof as text, for keeping.
    pub bundle: String,
}

/// Which check failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The reply, or the inclusion of its record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A tree head, or its signature.
    #[error(transparent)]
    Head(#[from] CheckpointError),
    /// A record, or a head, that no tiles can prove.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Tiles that do not fit the tree head.
    #[error(transparent)]
    Tiles(#[from] TileError),
    /// Tiles that do not fit the comparison of two heads.
    #[error(transparent)]
    Comparison(#[from] ComparisonError),
    /// A number that the tree of the reply does not have.
    #[error("record {0} is not in the tree of {1} records that came with it")]
    NotInItsTree(RecordId, TreeSize),
    /// The tiles were not planned for the record.
    #[error("the tiles give no inclusion proof for record {0}")]
    NoInclusionProof(RecordId),
    /// Two heads of which nothing follows for each other.
    #[error("a tree head is signed for another log than the trusted one")]
    OtherLog,
    /// A batch of nothing.
    #[error("there is no reply")]
    NoReply,
    /// A database without a head.
    #[error("it shows no head")]
    NoHead,
    /// Two of the heads contradict each other.
    #[error("it signed two histories that contradict each other")]
    Forked(Box<ForkEvidence>),
    /// The proved record is not for this module version.
    #[error(transparent)]
    WrongRecord(#[from] RecordLinesError),
}

impl Reply {
    /// Reads the answer to the lookup of `module`.
    pub fn read(module: &ModuleVersion, reply: &[u8], key: &VerifierKey) -> Result<Self, LookupError> {
        let reply = LookupReply::parse(reply)?;
        let seen = SignedCheckpoint::open(reply.note(), SUMDB_ORIGIN, key)?;
        if !seen.size().contains(reply.id()) {
            return Err(LookupError::NotInItsTree(reply.id(), seen.size()));
        }
        Ok(Self { module: module.clone(), record: reply, seen })
    }

    /// Which module version was asked for.
    pub fn module(&self) -> &ModuleVersion {
        &self.module
    }

    /// Whether this head came with it.
    pub(super) fn shows(&self, head: &SignedCheckpoint) -> bool {
        self.seen.size() == head.size()
    }

    /// The same record, claimed to be in the tree of `trusted` if that is newer than the head that came with it: it is
    /// proved there or not at all, so that nothing is left to say of the older head. For a reply that was carried here,
    /// without the tiles that would prove its head consistent with a newer one.
    #[must_use]
    pub fn under_newer(self, trusted: SignedCheckpoint) -> Self {
        if trusted.size() > self.seen.size() { Self { seen: trusted, ..self } } else { self }
    }

    fn prove(self, tiles: &AuthenticTiles, newest: &SignedCheckpoint) -> Result<Proved, LookupError> {
        let id = self.record.id();
        let lines = RecordLines::of(self.record.prove(tiles, newest)?, &self.module)?;
        let proof = tiles.inclusion_proof(id).ok_or(LookupError::NoInclusionProof(id))?;
        let bundle = tlog::bundle::format(lines.record(), &proof, newest);
        Ok(Proved { lines, bundle })
    }
}

/// Plans the proof of `replies`, of which there is at least one. `trusted` is the timeline so far; `None` only where there
/// is neither memory nor anchor.
pub fn plan(replies: Vec<Reply>, trusted: Option<&Timeline>) -> Result<Reading, LookupError> {
    let mut heads: Vec<&SignedCheckpoint> = replies.iter().map(|reply| &reply.seen).collect();
    heads.extend(trusted.map(Timeline::trusted));
    heads.sort_by_key(|head| head.size());
    // One tree head of two logs stays two: the second must not be taken for the first.
    heads.dedup_by(|a, b| (a.head(), a.key(), a.origin()) == (b.head(), b.key(), b.origin()));
    let newest = heads.pop().cloned().ok_or(LookupError::NoReply)?;
    let timeline = Timeline::resume(newest.clone());
    let mut comparisons = Vec::new();
    for head in heads {
        match timeline.observe(head.clone()) {
            Observation::Same => {}
            Observation::Older(comparison) | Observation::Newer(comparison) => comparisons.push(comparison),
            Observation::Fork(evidence) => return Err(LookupError::Forked(evidence)),
            Observation::OtherLog => return Err(LookupError::OtherLog),
        }
    }
    let mut nodes: Vec<Node> = replies.iter().map(|reply| Node { level: 0, index: reply.record.id().get() }).collect();
    nodes.extend(comparisons.iter().flat_map(Comparison::nodes));
    let plan = TilePlan::new(*newest.head(), TileHeight::SUMDB, &nodes)?;
    Ok(Reading { replies, newest, comparisons, plan })
}

impl Reading {
    /// The tiles that are needed.
    pub fn plan(&self) -> &TilePlan {
        &self.plan
    }

    /// Proves the records with the tiles of the plan, authenticated.
    pub fn conclude(self, tiles: &AuthenticTiles) -> Result<Conclusion, LookupError> {
        for comparison in self.comparisons {
            if let Decision::Fork(evidence) = comparison.decide(tiles)? {
                return Err(LookupError::Forked(evidence));
            }
        }
        let proved = self.replies.into_iter().map(|reply| reply.prove(tiles, &self.newest)).collect();
        Ok((self.newest, proved))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use testkit::World;

    #[test]
    fn a_head_of_another_log_is_neither_a_fork_nor_taken_for_the_trusted_one() {
        let log = |seed: u8, more: usize| {
            let mut world = World::new("db.example", [seed; 32]);
            let module = world.add_simple("example.com/a@v1.0.0", "", "package a\n");
            world.pad(3 + more);
            (world, module)
        };
        let timeline = |world: &World| {
            let note = world.head_at(world.size()).unwrap();
            Timeline::resume(SignedCheckpoint::open(note.as_bytes(), SUMDB_ORIGIN, world.key()).unwrap())
        };
        let (world, module) = log(1, 5);
        let reply = world.lookup(&module, world.size()).unwrap();
        let reply = Reply::read(&module, reply.as_bytes(), world.key()).unwrap();
        // The other log is shorter, has the very same tree, or is longer.
        for more in [0, 5, 9] {
            let refused = plan(vec![reply.clone()], Some(&timeline(&log(2, more).0))).unwrap_err();
            assert!(matches!(refused, LookupError::OtherLog), "{more}: {refused}");
            let own = plan(vec![reply.clone()], Some(&timeline(&log(1, more).0)));
            assert!(own.is_ok(), "{more}");
        }
    }
}
