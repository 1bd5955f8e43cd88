//! Heap allocations: none for a hash or the verification of a proof, a few for each tile.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use allocation_counter::measure;
use tlog::{InclusionProof, MemoryTree, Node, RecordId, TileHeight, TilePlan, leaf_hash, node_hash};

#[test]
fn hashing_and_verification_do_not_allocate() {
    let mut tree = MemoryTree::new();
    for nth in 0..1000_u64 {
        tree.append(&nth.to_be_bytes());
    }
    let (id, head, leaf) = (RecordId::new(600).unwrap(), tree.head(), leaf_hash(&600_u64.to_be_bytes()));
    let nodes = InclusionProof::nodes(id, head.size).unwrap();
    let hashes: Vec<_> = nodes.iter().map(|node| tree.hash(*node).unwrap()).collect();
    let proof = InclusionProof::prove(id, head.size, &hashes).unwrap();
    let allocated = measure(|| {
        assert_eq!(leaf_hash(&600_u64.to_be_bytes()), leaf);
        node_hash(&leaf, &leaf);
        proof.verify(id, &leaf, &head).unwrap();
    });
    assert_eq!(allocated.count_total, 0);
}

#[test]
fn authentication_allocates_a_few_blocks_per_tile() {
    let mut tree = MemoryTree::new();
    for nth in 0..70_000_u64 {
        tree.append(&nth.to_be_bytes());
    }
    let plan = TilePlan::new(tree.head(), TileHeight::SUMDB, &[Node { level: 0, index: 12_345 }]).unwrap();
    let tiles: Vec<_> = plan.tiles().iter().map(|tile| tree.tile(tile).unwrap()).collect();
    let allocated = measure(|| drop(plan.authenticate(&tiles).unwrap()));
    let bound = 2 * tiles.len() as u64 + 8;
    assert!(allocated.count_total <= bound, "{} blocks for {} tiles of 256 hashes", allocated.count_total, tiles.len());
}
