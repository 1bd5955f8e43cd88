//! The lookup of module versions as a state machine without I/O: replies → required tiles → proved records.
//!
//! ```text
//! bytes ──Reply::read──▶ Reply ──plan──▶ PlannedLookup ──fetch its tiles──▶ conclude ──▶ Proved | Forked
//! ```
//!
//! One plan covers a whole batch, so that each tile is fetched once, in one round. It proves that the trusted head and the
//! head of each reply are consistent with the newest of them, and that each record is in its tree. A single lookup is a
//! batch of one. The types enforce two rules that the reference verifier broke in 2026: the text of a record cannot be
//! read before [`tlog::LookupReply::prove`] (CVE-2026-56864), and a record without lines for exactly this module version
//! is an error (CVE-2026-42501).

use tlog::{
    AuthenticTiles, CheckpointError, Comparison, ComparisonError, Decision, ForkEvidence, LookupReply, Node,
    Observation, PlanError, RecordError, RecordId, SUMDB_ORIGIN, SignedCheckpoint, Tile, TileError, TileHeight,
    TilePlan, Timeline, TreeSize, VerifierKey,
};

use super::record::{ModuleRecord, ModuleRecordError};
use gomodule::module::ModuleVersion;

/// A well-formed reply with a signed head. Its record cannot be read yet.
#[derive(Clone, Debug)]
pub struct Reply {
    module: ModuleVersion,
    unproved: LookupReply,
    head: SignedCheckpoint,
}

/// Replies, and the tiles that prove them.
#[derive(Debug)]
pub struct PlannedLookup {
    replies: Vec<Reply>,
    /// The newest of the trusted head and those of the replies: the records are proved in it.
    newest: SignedCheckpoint,
    comparisons: Vec<Comparison>,
    plan: TilePlan,
}

/// The head with which all others are consistent, and the result for each reply, in their order.
pub type Conclusion = (SignedCheckpoint, Vec<Result<Proved, LookupError>>);

/// A proved answer.
#[derive(Debug)]
pub struct Proved {
    /// The record of the requested module version.
    pub record: ModuleRecord,
    /// The record with its proof as text, to be stored.
    pub bundle: String,
}

/// Which check failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The form of the reply, or the inclusion of its record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A tree head, or its signature.
    #[error(transparent)]
    Head(#[from] CheckpointError),
    /// No tiles can prove the record or the head.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The tiles do not match the tree head.
    #[error(transparent)]
    Tiles(#[from] TileError),
    /// The tiles do not match the comparison of two heads.
    #[error(transparent)]
    Comparison(#[from] ComparisonError),
    /// The record number is not below the size of the reply's tree.
    #[error("record {0} is not in the tree of {1} records that came with it")]
    NotInItsTree(RecordId, TreeSize),
    /// The tiles were not planned for the record.
    #[error("the tiles give no inclusion proof for record {0}")]
    NoInclusionProof(RecordId),
    /// Heads of two logs cannot be compared.
    #[error("a tree head is signed for another log than the trusted one")]
    OtherLog,
    /// An empty batch.
    #[error("there is no reply")]
    NoReply,
    /// The database has no trusted head after its latest one was merged.
    #[error("it shows no tree head")]
    NoHead,
    /// Two of the heads contradict each other.
    #[error("it signed two histories that contradict each other")]
    Forked(Box<ForkEvidence>),
    /// The proved record is not for this module version.
    #[error(transparent)]
    WrongRecord(#[from] ModuleRecordError),
}

impl Reply {
    /// Reads the answer to the lookup of `module`.
    pub fn read(module: &ModuleVersion, reply: &[u8], key: &VerifierKey) -> Result<Self, LookupError> {
        let reply = LookupReply::parse(reply)?;
        let head = SignedCheckpoint::open(reply.note(), SUMDB_ORIGIN, key)?;
        if !head.size().contains(reply.id()) {
            return Err(LookupError::NotInItsTree(reply.id(), head.size()));
        }
        Ok(Self { module: module.clone(), unproved: reply, head })
    }

    /// The requested module version.
    pub fn module(&self) -> &ModuleVersion {
        &self.module
    }

    /// The tiles that prove its record in every later tree, too: the full ones.
    pub(super) fn lasting_tiles(&self) -> Vec<Tile> {
        let leaf = Node { level: 0, index: self.unproved.id().get() };
        let plan = TilePlan::new(*self.head.head(), TileHeight::SUMDB, &[leaf]);
        plan.map_or(Vec::new(), |plan| plan.tiles().iter().filter(|tile| tile.is_full()).copied().collect())
    }

    /// Whether it came with this head.
    pub(super) fn shows(&self, head: &SignedCheckpoint) -> bool {
        self.head.size() == head.size()
    }

    /// Replaces the head of the reply by `trusted` if that is newer: the record is proved in that tree or not at all. For a
    /// reply from an export, which does not have the tiles that would prove its head consistent with a newer one.
    #[must_use]
    pub fn under_newer(self, trusted: SignedCheckpoint) -> Self {
        if trusted.size() > self.head.size() { Self { head: trusted, ..self } } else { self }
    }

    fn prove(self, tiles: &AuthenticTiles, newest: &SignedCheckpoint) -> Result<Proved, LookupError> {
        let id = self.unproved.id();
        let record = ModuleRecord::of(self.unproved.prove(tiles, newest)?, &self.module)?;
        let proof = tiles.inclusion_proof(id).ok_or(LookupError::NoInclusionProof(id))?;
        let bundle = tlog::bundle::format(record.proven(), &proof, newest);
        Ok(Proved { record, bundle })
    }
}

/// Plans the proof of `replies`, at least one. `trusted` is `None` only if there is neither a stored head nor an anchor.
pub fn plan(replies: Vec<Reply>, trusted: Option<&Timeline>) -> Result<PlannedLookup, LookupError> {
    let mut heads: Vec<&SignedCheckpoint> = replies.iter().map(|reply| &reply.head).collect();
    heads.extend(trusted.map(Timeline::trusted));
    heads.sort_by_key(|head| head.size());
    // Equal tree heads of two logs are kept apart: one must not be taken for the other.
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
    let mut nodes: Vec<Node> =
        replies.iter().map(|reply| Node { level: 0, index: reply.unproved.id().get() }).collect();
    nodes.extend(comparisons.iter().flat_map(Comparison::nodes));
    let plan = TilePlan::new(*newest.head(), TileHeight::SUMDB, &nodes)?;
    Ok(PlannedLookup { replies, newest, comparisons, plan })
}

impl PlannedLookup {
    /// The required tiles.
    pub fn plan(&self) -> &TilePlan {
        &self.plan
    }

    /// Proves the records with the authenticated tiles of the plan.
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
        // The other log is shorter, has the same tree, or is longer.
        for more in [0, 5, 9] {
            let refused = plan(vec![reply.clone()], Some(&timeline(&log(2, more).0))).unwrap_err();
            assert!(matches!(refused, LookupError::OtherLog), "{more}: {refused}");
            let own = plan(vec![reply.clone()], Some(&timeline(&log(1, more).0)));
            assert!(own.is_ok(), "{more}");
        }
    }
}
