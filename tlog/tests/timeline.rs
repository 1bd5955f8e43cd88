//! Tree heads of one log over time, and the evidence of forks.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use tlog::{
    Comparison, ComparisonError, ConsistencyProof, Decision, EvidenceError, ForkEvidence, Hash, MemoryTree,
    Observation, SUMDB_ORIGIN, SignedCheckpoint, Signer, TileHeight, TilePlan, Timeline, TreeSize, leaf_hash,
    subtree_roots,
};

/// The number of records that the two histories of the log share.
const SHARED: u64 = 37;

fn signer() -> Signer {
    Signer::from_seed("example.com/log", [1; 32]).unwrap()
}

fn honest(size: u64) -> MemoryTree {
    let mut tree = MemoryTree::new();
    for nth in 0..size {
        tree.append(format!("leaf {nth}\n").as_bytes());
    }
    tree
}

fn forked(size: u64) -> MemoryTree {
    let mut tree = honest(SHARED.min(size));
    for nth in SHARED..size {
        tree.append(format!("other leaf {nth}\n").as_bytes());
    }
    tree
}

fn head_by(signer: &Signer, origin: &str, tree: &MemoryTree) -> SignedCheckpoint {
    let note = signer.sign_head(origin, &tree.head()).unwrap();
    SignedCheckpoint::open(note.as_bytes(), origin, signer.verifier_key()).unwrap()
}

fn head(tree: &MemoryTree) -> SignedCheckpoint {
    head_by(&signer(), SUMDB_ORIGIN, tree)
}

/// Decides a comparison with tiles of this height.
fn decide(comparison: Comparison, newer: &MemoryTree, height: u8) -> Result<Decision, ComparisonError> {
    let height = TileHeight::new(height).unwrap();
    let plan = TilePlan::new(*comparison.newer().head(), height, &comparison.nodes()).unwrap();
    let bytes: Vec<Vec<u8>> = plan.tiles().iter().map(|tile| newer.tile(tile).unwrap()).collect();
    comparison.decide(&plan.authenticate(&bytes).unwrap())
}

fn fork(trusted: &MemoryTree, seen: &MemoryTree) -> Box<ForkEvidence> {
    let newer = if seen.size() > trusted.size() { seen } else { trusted };
    match Timeline::resume(head(trusted)).observe(head(seen)) {
        Observation::Fork(evidence) => evidence,
        Observation::Older(comparison) | Observation::Newer(comparison) => {
            match decide(comparison, newer, 3).unwrap() {
                Decision::Fork(evidence) => evidence,
                Decision::Consistent(_) => panic!("no fork was found"),
            }
        }
        other @ (Observation::Same | Observation::OtherLog) => panic!("no fork was found: {other:?}"),
    }
}

#[test]
fn the_same_tree_needs_no_comparison() {
    let trusted = head(&honest(50));
    assert!(matches!(Timeline::resume(trusted.clone()).observe(trusted.clone()), Observation::Same));
    // Another signed note of the same tree.
    let text = format!("{SUMDB_ORIGIN}\n50\n{}\nan extension line\n", trusted.head().root);
    let note = signer().sign(&text).unwrap();
    let again = SignedCheckpoint::open(note.as_bytes(), SUMDB_ORIGIN, signer().verifier_key()).unwrap();
    assert_ne!(again.note(), trusted.note());
    assert!(matches!(Timeline::resume(trusted).observe(again), Observation::Same));
}

#[test]
fn every_honest_pair_is_consistent_with_every_tile_height() {
    for height in [1, 2, 3, 8] {
        for newer in 1..=40 {
            for older in 0..newer {
                let (small, large) = (honest(older), honest(newer));
                let Observation::Newer(as_newer) = Timeline::resume(head(&small)).observe(head(&large)) else {
                    panic!("{newer} is newer than {older}");
                };
                let Observation::Older(as_older) = Timeline::resume(head(&large)).observe(head(&small)) else {
                    panic!("{older} is older than {newer}");
                };
                for comparison in [as_newer, as_older] {
                    assert_eq!((comparison.older().size().get(), comparison.newer().size().get()), (older, newer));
                    let Decision::Consistent(newest) = decide(comparison, &large, height).unwrap() else {
                        panic!("{older} is a prefix of {newer}");
                    };
                    assert_eq!(*newest, head(&large), "the newer head is returned, whichever was trusted");
                }
            }
        }
    }
}

#[test]
fn a_consistency_proof_needs_no_additional_tiles() {
    for height in [1, 2, 3, 8].map(|height| TileHeight::new(height).unwrap()) {
        for newer in (1..=70).chain([255, 256, 257, 65_535, 65_536, 65_537, 51_312_332]) {
            let sizes = (1..newer.min(71)).chain([255, 256, 257, 65_536, 51_289_087]).filter(|older| *older < newer);
            for older in sizes.map(|size| TreeSize::new(size).unwrap()) {
                // No tile is authenticated here, so the root does not matter.
                let newest = tlog::TreeHead { size: TreeSize::new(newer).unwrap(), root: leaf_hash(b"any") };
                let root_only = TilePlan::new(newest, height, &subtree_roots(older)).unwrap();
                let mut nodes = subtree_roots(older);
                nodes.extend(ConsistencyProof::nodes(older, newest.size).unwrap());
                let both = TilePlan::new(newest, height, &nodes).unwrap();
                assert_eq!(root_only.tiles(), both.tiles(), "{older} in {newer}");
            }
        }
    }
}

#[test]
fn two_roots_of_one_size_are_a_fork_without_tiles() {
    for size in [SHARED + 1, 64, 65] {
        let evidence = match Timeline::resume(head(&honest(size))).observe(head(&forked(size))) {
            Observation::Fork(evidence) => evidence,
            other => panic!("{other:?}"),
        };
        assert_eq!(evidence.older(), &head(&honest(size)), "the trusted one comes first");
        assert_eq!(evidence.newer(), &head(&forked(size)));
        assert!(!evidence.to_string().contains("\nproof "));
        assert_eq!(ForkEvidence::verify(evidence.to_string().as_bytes()), Ok(*evidence));
    }
}

#[test]
fn a_fork_at_different_sizes_gives_evidence_that_verifies() {
    for larger in SHARED + 1..=70 {
        for smaller in SHARED + 1..larger {
            for (older, newer) in [(honest(smaller), forked(larger)), (forked(smaller), honest(larger))] {
                // The evidence does not depend on which head was trusted.
                let as_newer = fork(&older, &newer);
                let as_older = fork(&newer, &older);
                assert_eq!(as_newer, as_older);
                assert_eq!((as_newer.older(), as_newer.newer()), (&head(&older), &head(&newer)));
                assert_eq!(as_newer.key(), signer().verifier_key());
                assert_eq!(ForkEvidence::verify(as_newer.to_string().as_bytes()), Ok(*as_newer));
            }
        }
    }
}

#[test]
fn heads_from_before_a_fork_are_consistent() {
    let (old, new) = (honest(SHARED), forked(60));
    let Observation::Newer(comparison) = Timeline::resume(head(&old)).observe(head(&new)) else { panic!() };
    assert!(matches!(decide(comparison, &new, 8), Ok(Decision::Consistent(_))));
}

#[test]
fn heads_of_different_keys_or_origins_are_not_a_fork() {
    let trusted = Timeline::resume(head(&honest(50)));
    let stranger = Signer::from_seed("example.com/log", [2; 32]).unwrap();
    for size in [40, 50, 60] {
        let foreign = [
            head_by(&stranger, SUMDB_ORIGIN, &forked(size)),
            head_by(&signer(), "another log", &forked(size)),
            head_by(&stranger, SUMDB_ORIGIN, &honest(size)),
        ];
        for seen in foreign {
            assert!(matches!(trusted.observe(seen), Observation::OtherLog));
        }
    }
}

#[test]
fn tiles_of_another_head_or_for_other_nodes_decide_nothing() {
    let (old, new) = (honest(20), honest(60));
    let comparison = || match Timeline::resume(head(&old)).observe(head(&new)) {
        Observation::Newer(comparison) => comparison,
        other => panic!("{other:?}"),
    };
    let tiles = |tree: &MemoryTree| {
        let plan = TilePlan::new(tree.head(), TileHeight::new(1).unwrap(), &[]).unwrap();
        let bytes: Vec<Vec<u8>> = plan.tiles().iter().map(|tile| tree.tile(tile).unwrap()).collect();
        plan.authenticate(&bytes).unwrap()
    };
    assert_eq!(comparison().decide(&tiles(&honest(61))).unwrap_err(), ComparisonError::OtherHead);
    assert_eq!(comparison().decide(&tiles(&forked(60))).unwrap_err(), ComparisonError::OtherHead);
    assert_eq!(comparison().decide(&tiles(&new)).unwrap_err(), ComparisonError::NotPlanned);
}

#[test]
fn evidence_with_any_character_changed_is_refused() {
    for evidence in [fork(&honest(41), &forked(60)), fork(&honest(50), &forked(50))] {
        let text = evidence.to_string().into_bytes();
        for at in 0..text.len() {
            for other in [text[at] ^ 1, b'A', b'\n', b' '].into_iter().filter(|other| *other != text[at]) {
                let mut changed = text.clone();
                changed[at] = other;
                assert!(ForkEvidence::verify(&changed).is_err(), "{}", String::from_utf8_lossy(&changed));
            }
            let shorter = [&text[..at], &text[at + 1..]].concat();
            assert!(ForkEvidence::verify(&shorter).is_err(), "{}", String::from_utf8_lossy(&shorter));
            assert!(ForkEvidence::verify(&text[..at]).is_err());
        }
        assert!(ForkEvidence::verify(&[&text[..], b"\n"].concat()).is_err());
        assert!(ForkEvidence::verify(String::from_utf8(text).unwrap().replace('\n', "\r\n").as_bytes()).is_err());
    }
}

/// A text in the form of evidence, with any content.
fn claim(older: &SignedCheckpoint, newer: &SignedCheckpoint, fork: Option<(Hash, &ConsistencyProof)>) -> String {
    let mut text = "sumgate fork evidence v1\n".to_owned();
    text += "One key signed two tree heads that cannot belong to one append-only log.\n";
    text += &format!("key {}\n", signer().verifier_key());
    for (word, head) in [("older", older), ("newer", newer)] {
        text += &format!("{word}\n");
        text.extend(head.note().lines().map(|line| format!("| {line}\n")));
    }
    if let Some((root, proof)) = fork {
        text += &format!("root {root}\n");
        text.extend(proof.hashes().iter().map(|hash| format!("proof {hash}\n")));
    }
    text + "end\n"
}

#[test]
fn an_honest_log_cannot_be_accused() {
    let (old, new) = (honest(41), honest(60));
    let (older, newer) = (head(&old), head(&new));
    let nodes = ConsistencyProof::nodes(old.size(), new.size()).unwrap();
    let hashes: Vec<Hash> = nodes.iter().map(|node| new.hash(*node).unwrap()).collect();
    let proof = ConsistencyProof::prove(old.size(), new.size(), &hashes).unwrap();
    let refused = |text: String| ForkEvidence::verify(text.as_bytes()).unwrap_err();

    let no_fork = refused(claim(&older, &newer, Some((older.head().root, &proof))));
    assert_eq!(no_fork, EvidenceError::NoContradiction);
    let invented = refused(claim(&older, &newer, Some((leaf_hash(b"invented"), &proof))));
    assert!(matches!(invented, EvidenceError::Proof(_)));
    assert_eq!(refused(claim(&older, &newer, None)), EvidenceError::NoContradiction);
    assert_eq!(refused(claim(&older, &older, None)), EvidenceError::NoContradiction);
    let backwards = refused(claim(&newer, &older, Some((older.head().root, &proof))));
    assert!(matches!(backwards, EvidenceError::Proof(_)));
    let empty = head(&honest(0));
    let from_nothing = refused(claim(&empty, &newer, Some((leaf_hash(b"a"), &ConsistencyProof::from_hashes(vec![])))));
    assert!(matches!(from_nothing, EvidenceError::Proof(_)));
    let stranger = Signer::from_seed("example.com/log", [2; 32]).unwrap();
    let foreign = refused(claim(&older, &head_by(&stranger, SUMDB_ORIGIN, &forked(41)), None));
    assert!(matches!(foreign, EvidenceError::Checkpoint(_)));
    let two_logs = refused(claim(&older, &head_by(&signer(), "another log", &forked(41)), None));
    assert_eq!(two_logs, EvidenceError::NoContradiction);

    // The same form with a real fork is accepted.
    let real = claim(&older, &head(&forked(41)), None);
    assert_eq!(ForkEvidence::verify(real.as_bytes()).unwrap().to_string(), real);
}
