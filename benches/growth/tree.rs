//! The proofs of records, by records in the log: in this process from tiles, and in an audit of a hundred modules.
//!
//! The log is as large as it claims, and its proofs verify: it repeats the same 256 records, so that the hash of any node is known
//! without the others, and a tile is made when it is needed.

use std::fs;
use std::time::Instant;

use bytes::Bytes;
use testkit::{Fault, Origin, World};
use tlog::{
    Hash, MemoryTree, Node, RecordId, SUMDB_ORIGIN, Signer, Tile, TileHeight, TilePlan, TreeHead, TreeSize, leaf_hash,
    node_hash, root_from_subtrees, subtree_roots,
};
use tokio::runtime::Runtime;

use crate::measure::{Line, Measure, Panel};
use crate::{audits, used};

const NAME: &str = "localhost.localdev/sumdb";
const SEED: [u8; 32] = [7; 32];
const MODULES: usize = 100;

#[expect(clippy::unnecessary_wraps, reason = "it is one of several")]
pub(crate) fn measure(runtime: &Runtime, smoke: bool) -> Option<Measure> {
    let log = RepeatingLog::new();
    let [mut proof, mut audit] = [Line::new("one proof"), Line::new("audit of 100 modules")];
    let [mut proof_tiles, mut audit_tiles] = [Line::new("one proof"), Line::new("audit of 100 modules")];
    let mut memory = Line::new("audit of 100 modules");
    for size in crate::sizes(&[100_000, 1_000_000, 10_000_000, 100_000_000], smoke) {
        let head = log.head(TreeSize::new(size as u64).unwrap());
        let (ms, tiles) = one_proof(&log, head, if smoke { 3 } else { 1_000 });
        proof.points.push((size, ms));
        proof_tiles.points.push((size, tiles as f64));
        let origin = runtime.block_on(Origin::start(World::new(NAME, SEED))).unwrap();
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("go.sum"), (0..MODULES).map(record).collect::<String>()).unwrap();
        serve(&log, head, &origin);
        let used = audits::audit(home.path(), &origin);
        audit.points.push((size, used.ms));
        memory.points.push((size, used.mb));
        let tiles = origin.take_requests().iter().filter(|path| path.starts_with("/tile/")).count();
        audit_tiles.points.push((size, tiles as f64));
    }
    let panels = vec![
        Panel { unit: "time, ms", lines: vec![proof, audit] },
        Panel { unit: "tiles of 8 KB", lines: vec![proof_tiles, audit_tiles] },
        Panel { unit: "peak memory, MB", lines: vec![memory] },
    ];
    Some(Measure { title: "Proofs of records", size: "records in the log", panels })
}

/// The text of a record.
fn record(nth: usize) -> String {
    let h1 = leaf_hash(&nth.to_be_bytes());
    format!("example.com/m{nth} v1.0.0 h1:{h1}\nexample.com/m{nth} v1.0.0/go.mod h1:{h1}\n")
}

/// The mean time to prove one record from its tiles, of so many all over the tree, in milliseconds, and the most tiles.
fn one_proof(log: &RepeatingLog, head: TreeHead, runs: u64) -> (f64, usize) {
    let (mut milliseconds, mut most) = (0.0, 0);
    for run in 0..runs {
        let id = head.size.get() / runs * run;
        let leaf = Node { level: 0, index: id };
        let tiles = TilePlan::new(head, TileHeight::SUMDB, &[leaf]).unwrap();
        let bytes: Vec<_> = tiles.tiles().iter().map(|tile| log.tile(tile)).collect();
        let begin = Instant::now();
        let plan = TilePlan::new(head, TileHeight::SUMDB, &[leaf]).unwrap();
        let tiles = plan.authenticate(&bytes).unwrap();
        let proof = tiles.inclusion_proof(RecordId::new(id).unwrap()).unwrap();
        proof.verify(RecordId::new(id).unwrap(), &log.hash(leaf), &head).unwrap();
        milliseconds += used::milliseconds(begin.elapsed());
        most = bytes.len().max(most);
    }
    (milliseconds / runs as f64, most)
}

/// Lets the origin answer with this log: the records of the modules are all over the tree.
fn serve(log: &RepeatingLog, head: TreeHead, origin: &Origin) {
    let signed = Signer::from_seed(NAME, SEED).unwrap().sign_head(SUMDB_ORIGIN, &head).unwrap();
    let says = |path: &str, body: Vec<u8>| origin.misbehave(&format!("/{path}"), Fault::Body(Bytes::from(body)));
    says("latest", signed.clone().into_bytes());
    let mut leaves = Vec::new();
    for nth in 0..MODULES {
        let part = head.size.get() / RepeatingLog::PERIOD as u64 / MODULES as u64;
        let id = (part * nth as u64) * RepeatingLog::PERIOD as u64 + nth as u64;
        leaves.push(Node { level: 0, index: id });
        says(&format!("lookup/example.com/m{nth}@v1.0.0"), format!("{id}\n{}\n{signed}", record(nth)).into_bytes());
    }
    for tile in TilePlan::new(head, TileHeight::SUMDB, &leaves).unwrap().tiles() {
        says(&tile.to_string(), log.tile(tile));
    }
}

/// A log that repeats its first records without end.
struct RepeatingLog {
    period: MemoryTree,
    /// The hash of every node over so many doublings of the period.
    above: Vec<Hash>,
}

impl RepeatingLog {
    /// As many as a full tile has.
    const PERIOD: usize = 256;

    fn new() -> Self {
        let mut period = MemoryTree::new();
        for nth in 0..Self::PERIOD {
            period.append(record(nth).as_bytes());
        }
        let mut above = vec![period.head().root];
        // More than the largest log has.
        for doubling in 0..32 {
            above.push(node_hash(&above[doubling], &above[doubling]));
        }
        Self { period, above }
    }

    fn hash(&self, node: Node) -> Hash {
        let period = Self::PERIOD as u64 >> node.level.min(8);
        match node.level.checked_sub(8) {
            Some(doublings) => self.above[usize::from(doublings)],
            None => self.period.hash(Node { level: node.level, index: node.index % period }).unwrap(),
        }
    }

    fn tile(&self, tile: &Tile) -> Vec<u8> {
        tile.nodes().into_iter().flat_map(|node| *self.hash(node).as_bytes()).collect()
    }

    fn head(&self, size: TreeSize) -> TreeHead {
        let hashes: Vec<Hash> = subtree_roots(size).into_iter().map(|node| self.hash(node)).collect();
        TreeHead { size, root: root_from_subtrees(size, &hashes).unwrap() }
    }
}
