//! All small trees, compared with a naive implementation of RFC 6962 section 2.1.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use tlog::{
    ConsistencyProof, Hash, InclusionProof, MemoryTree, Node, RecordId, Tile, TileError, TileHeight, TilePlan,
    TreeHead, TreeSize, empty_root, leaf_hash, node_hash, root_from_subtrees, subtree_roots,
};

const LARGEST: u64 = 70;

fn leaf(nth: u64) -> Hash {
    leaf_hash(format!("leaf {nth}").as_bytes())
}

/// MTH of RFC 6962: recursive over the leaves, without subtrees or tiles.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [one] => *one,
        many => {
            let split = (1..many.len()).filter(|n| n.is_power_of_two()).max().unwrap();
            node_hash(&naive_root(&many[..split]), &naive_root(&many[split..]))
        }
    }
}

fn leaves(size: u64) -> Vec<Hash> {
    (0..size).map(leaf).collect()
}

fn head(size: u64) -> TreeHead {
    TreeHead { size: TreeSize::new(size).unwrap(), root: naive_root(&leaves(size)) }
}

fn tree(size: u64) -> MemoryTree {
    let mut tree = MemoryTree::new();
    (0..size).for_each(|nth| {
        tree.append_leaf(leaf(nth));
    });
    tree
}

fn hashes(tree: &MemoryTree, nodes: &[Node]) -> Vec<Hash> {
    nodes.iter().map(|node| tree.hash(*node).unwrap()).collect()
}

/// Each hash with one bit changed, one hash less, one hash more.
fn changed(honest: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all = Vec::new();
    for nth in 0..honest.len() {
        let mut flipped = honest.to_vec();
        let mut bytes = *flipped[nth].as_bytes();
        bytes[nth % 32] ^= 1;
        flipped[nth] = Hash::from_bytes(bytes);
        all.push(flipped);
    }
    if let [_, rest @ ..] = honest {
        all.push(rest.to_vec());
        all.push(honest[..honest.len() - 1].to_vec());
    }
    all.push([honest, &[leaf(0)]].concat());
    all.push([&[leaf(0)], honest].concat());
    all
}

#[test]
fn roots_agree_with_the_naive_computation() {
    let whole = tree(LARGEST);
    for size in 0..=LARGEST {
        let expected = head(size);
        assert_eq!(tree(size).head(), expected);
        assert_eq!(whole.head_at(expected.size), Some(expected));
        let roots = hashes(&whole, &subtree_roots(expected.size));
        assert_eq!(root_from_subtrees(expected.size, &roots), Ok(expected.root));
        assert!(root_from_subtrees(expected.size, &[&roots[..], &[leaf(0)]].concat()).is_err());
    }
}

#[test]
fn every_record_is_proved_and_every_changed_proof_is_refused() {
    let whole = tree(LARGEST);
    for size in 1..=LARGEST {
        let head = head(size);
        for nth in 0..size {
            let id = RecordId::new(nth).unwrap();
            let nodes = InclusionProof::nodes(id, head.size).unwrap();
            let proof = InclusionProof::prove(id, head.size, &hashes(&whole, &nodes)).unwrap();
            assert_eq!(proof.verify(id, &leaf(nth), &head), Ok(()));
            assert!(proof.verify(id, &leaf(nth + 1), &head).is_err());
            for changed in changed(proof.hashes()) {
                assert!(InclusionProof::from_hashes(changed).verify(id, &leaf(nth), &head).is_err(), "{nth} in {size}");
            }
        }
        let outside = RecordId::new(size).unwrap();
        assert!(InclusionProof::nodes(outside, head.size).is_err());
        assert!(InclusionProof::from_hashes(Vec::new()).verify(outside, &leaf(size), &head).is_err());
    }
}

#[test]
fn every_pair_of_sizes_is_consistent_and_every_changed_proof_is_refused() {
    let whole = tree(LARGEST);
    let heads: Vec<TreeHead> = (0..=LARGEST).map(head).collect();
    for newer in &heads {
        for older in &heads[usize::from(newer.size > TreeSize::ZERO)..=usize::try_from(newer.size.get()).unwrap()] {
            let nodes = ConsistencyProof::nodes(older.size, newer.size).unwrap();
            let proof = ConsistencyProof::prove(older.size, newer.size, &hashes(&whole, &nodes)).unwrap();
            assert_eq!(proof.verify(older, newer), Ok(()), "{} in {}", older.size, newer.size);
            for changed in changed(proof.hashes()) {
                let verdict = ConsistencyProof::from_hashes(changed).verify(older, newer);
                assert!(verdict.is_err(), "{} in {}", older.size, newer.size);
            }
            for wrong in [leaf(0), leaf(1)].into_iter().filter(|wrong| *wrong != older.root) {
                assert!(proof.verify(&TreeHead { root: wrong, ..*older }, newer).is_err());
            }
            if older.size < newer.size {
                assert!(proof.verify(newer, older).is_err());
            }
        }
    }
}

#[test]
fn the_empty_tree_has_an_empty_consistency_proof_with_itself_only() {
    let empty = ConsistencyProof::from_hashes(Vec::new());
    assert_eq!(empty.verify(&head(0), &head(0)), Ok(()));
    assert!(empty.verify(&head(0), &head(1)).is_err());
    assert_eq!(ConsistencyProof::nodes(TreeSize::ZERO, head(7).size), Ok(Vec::new()));
}

#[test]
fn every_hash_of_every_planned_tile_is_authenticated() {
    let whole = tree(LARGEST);
    for height in [1, 2, 3, 8] {
        let height = TileHeight::new(height).unwrap();
        for size in (1..=LARGEST).filter(|size| size % 3 == 0 || size.is_power_of_two() || *size > 60) {
            let head = head(size);
            for index in 0..size {
                let node = Node { level: 0, index };
                let plan = TilePlan::new(head, height, &[node]).unwrap();
                let honest: Vec<Vec<u8>> = plan.tiles().iter().map(|tile| whole.tile(tile).unwrap()).collect();
                let tiles = plan.authenticate(&honest).unwrap();
                let id = RecordId::new(index).unwrap();
                assert_eq!(tiles.hash(node), Some(leaf(index)));
                assert_eq!(tiles.inclusion_proof(id).unwrap().verify(id, &leaf(index), &head), Ok(()));
                for nth in 0..honest.len() {
                    let mut forged = honest.clone();
                    for hash in 0..honest[nth].len() / 32 {
                        forged[nth][hash * 32 + hash % 32] ^= 1;
                        assert!(plan.authenticate(&forged).is_err(), "{:?} of {size}", plan.tiles()[nth]);
                        forged[nth][hash * 32 + hash % 32] ^= 1;
                    }
                    forged[nth].extend_from_slice(&[0; 32]);
                    assert!(plan.authenticate(&forged).is_err(), "too long");
                    forged[nth].truncate(honest[nth].len() - 32);
                    assert!(plan.authenticate(&forged).is_err(), "too short");
                }
                assert!(plan.authenticate(&honest[1..]).is_err());
            }
            assert!(TilePlan::new(head, height, &[Node { level: 0, index: size }]).is_err());
        }
    }
}

/// All leaves are equal, so all nodes of a level are: trees of the largest size can be tested without building them.
#[test]
fn the_largest_trees_are_planned_and_proved_with_every_tile_height() {
    let levels: Vec<Hash> =
        std::iter::successors(Some(leaf_hash(b"same\n")), |hash| Some(node_hash(hash, hash))).take(63).collect();
    let of = |node: &Node| levels[usize::from(node.level)];
    for size in [tlog::limits::MAX_TREE_SIZE, tlog::limits::MAX_TREE_SIZE - 1] {
        let size = TreeSize::new(size).unwrap();
        let roots: Vec<Hash> = subtree_roots(size).iter().map(of).collect();
        let head = TreeHead { size, root: root_from_subtrees(size, &roots).unwrap() };
        for height in 1..=8 {
            let height = TileHeight::new(height).unwrap();
            for index in [0, size.get() / 2, size.get() - 1] {
                let node = Node { level: 0, index };
                let plan = TilePlan::new(head, height, &[node]).unwrap_or_else(|error| panic!("{height:?}: {error}"));
                let bytes: Vec<Vec<u8>> = plan
                    .tiles()
                    .iter()
                    .map(|tile| tile.nodes().iter().flat_map(|node| *of(node).as_bytes()).collect())
                    .collect();
                let tiles = plan.authenticate(&bytes).unwrap();
                assert_eq!(tiles.hash(node), Some(levels[0]));
                let proof = tiles.inclusion_proof(RecordId::new(index).unwrap()).unwrap();
                assert_eq!(proof.verify(RecordId::new(index).unwrap(), &levels[0], &head), Ok(()));
                for tile in plan.tiles() {
                    assert_eq!(Tile::parse(&tile.to_string()), Ok(*tile));
                }
            }
        }
    }
}

#[test]
fn no_tile_is_above_the_root_of_the_largest_tree() {
    for height in 1..=8 {
        let height = TileHeight::new(height).unwrap();
        let highest = 62 / height.get();
        assert!(Tile::new(height, highest, 0, 1).is_ok(), "{height:?}");
        assert_eq!(Tile::new(height, highest + 1, 0, 1), Err(TileError::OutsideEveryTree), "{height:?}");
        let row = 1_u64 << (62 - highest * height.get());
        assert_eq!(Tile::new(height, highest, row, 1), Err(TileError::OutsideEveryTree), "{height:?}");
    }
}
