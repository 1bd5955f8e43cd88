//! Signed notes, keys and timelines: what is accepted and what is refused.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tlog::{
    AuthenticTiles, CheckpointError, Decision, ForkEvidence, KeyError, LookupReply, MemoryTree, Mismatch, NoteError,
    Observation, RecordError, SUMDB_ORIGIN, SignedCheckpoint, Signer, TileHeight, TilePlan, Timeline, TreeHead,
    TreeSize, VerifierKey, note,
};

fn signer(name: &str, seed: u8) -> Signer {
    Signer::from_seed(name, [seed; 32]).unwrap()
}

fn keys(signers: &[&Signer]) -> Vec<VerifierKey> {
    signers.iter().map(|signer| signer.verifier_key().clone()).collect()
}

/// The signature line of a note.
fn line(note: &str) -> &str {
    note.rsplit_once("\n\n").unwrap().1
}

#[test]
fn the_text_ends_at_the_last_blank_line() {
    let a = signer("a", 1);
    let text = "one\n\ntwo\n\n— not a signature\n";
    let signed = a.sign(text).unwrap();
    let opened = note::open(signed.as_bytes(), &keys(&[&a])).unwrap();
    assert_eq!((opened.text(), opened.raw()), (text, signed.as_str()));
}

#[test]
fn unknown_keys_are_ignored_and_a_known_bad_signature_is_an_error() {
    let (a, b, stranger) = (signer("a", 1), signer("b", 2), signer("c", 3));
    let both = format!("{}{}", a.sign("t\n").unwrap(), line(&b.sign("t\n").unwrap()));
    assert_eq!(note::open(both.as_bytes(), &keys(&[&a, &b])).unwrap().signers().len(), 2);
    assert_eq!(note::open(both.as_bytes(), &keys(&[&b])).unwrap().signers(), keys(&[&b]));
    assert!(matches!(note::open(both.as_bytes(), &keys(&[&stranger])), Err(NoteError::NotSigned(_))));
    let bad = format!("{}{}", a.sign("t\n").unwrap(), line(&b.sign("other\n").unwrap()));
    assert!(matches!(note::open(bad.as_bytes(), &keys(&[&a, &b])), Err(NoteError::BadSignature(_))));
    assert!(note::open(bad.as_bytes(), &keys(&[&a])).is_ok(), "b is unknown here");
    // A second signature of the same key is ignored, valid or not.
    let twice = format!("{}{}", a.sign("t\n").unwrap(), line(&a.sign("other\n").unwrap()));
    assert_eq!(note::open(twice.as_bytes(), &keys(&[&a])).unwrap().signers().len(), 1);
}

#[test]
fn the_canonical_note_has_the_verified_signatures_only() {
    let (a, b, stranger) = (signer("a", 1), signer("b", 2), signer("c", 3));
    let signed = |signer: &Signer| signer.sign("t\n").unwrap();
    let alone = signed(&a);
    let both = format!("{}{}", signed(&a), line(&signed(&b)));
    let foreign = line(&signed(&stranger)).to_owned();
    let canonical =
        |note: &str, signers: &[&Signer]| note::open(note.as_bytes(), &keys(signers)).unwrap().canonical().to_owned();
    let text = "t\n\n";
    let note = format!("{text}{foreign}{}{foreign}{}", line(&signed(&b)), line(&alone));
    assert_eq!(canonical(&note, &[&a, &b]), both, "in the order of the keys");
    assert_eq!(canonical(&note, &[&a]), alone);
    // A second signature of the same key is dropped.
    assert_eq!(canonical(&format!("{alone}{}", line(&a.sign("other\n").unwrap())), &[&a]), alone);
    assert_eq!(canonical(&alone, &[&a]), alone);

    let head = a.sign_head(SUMDB_ORIGIN, &MemoryTree::new().head()).unwrap();
    let with_foreign = format!("{head}{foreign}");
    let opened = SignedCheckpoint::open(with_foreign.as_bytes(), SUMDB_ORIGIN, a.verifier_key()).unwrap();
    assert_eq!(opened.note(), head);
}

#[test]
fn malformed_notes_are_refused() {
    let a = signer("a", 1);
    let known = keys(&[&a]);
    let honest = a.sign("text\n").unwrap();
    let refused = |note: String| assert!(note::open(note.as_bytes(), &known).is_err(), "{note:?}");
    for control in ["te\txt", "te\rxt", "te\0xt"] {
        assert_eq!(note::open(honest.replace("text", control).as_bytes(), &known), Err(NoteError::NotText));
    }
    refused(honest.replace("text", "texts"));
    refused(honest.replace('—', "-"));
    refused(honest.replace("— a ", "— a  "));
    refused(honest.trim_end().to_owned());
    refused(format!("{honest}\n"));
    refused(honest.replace("\n\n", "\n"));
    refused("text\n\n".to_owned());
    assert!(note::open(b"text\xff\n\n", &known).is_err());
    // A lenient decoder would decode base64 with trailing bits to the same bytes.
    let base64 = line(&honest).trim_end().rsplit(' ').next().unwrap();
    let trailing = base64.replace('=', "");
    assert_ne!(trailing.len(), base64.len(), "68 bytes need padding");
    let (front, last) = trailing.split_at(trailing.len() - 1);
    refused(honest.replace(base64, &format!("{front}{}=", next_character(last))));
}

/// The next character of the base64 alphabet: only the lowest bit differs.
fn next_character(c: &str) -> char {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let at = alphabet.find(c).unwrap();
    assert_eq!(at % 4, 0, "canonical base64 has no trailing bits");
    alphabet.as_bytes()[at + 1].into()
}

#[test]
fn more_than_a_hundred_signatures_are_refused() {
    let a = signer("a", 1);
    let unknown = line(&signer("b", 2).sign("t\n").unwrap()).to_owned();
    let with = |more: usize| format!("{}{}", a.sign("t\n").unwrap(), unknown.repeat(more));
    assert!(note::open(with(99).as_bytes(), &keys(&[&a])).is_ok());
    assert_eq!(note::open(with(100).as_bytes(), &keys(&[&a])), Err(NoteError::TooManySignatures));
}

#[test]
fn keys_are_split_at_the_first_two_plus_signs_and_checked() {
    let key = signer("example.com/log", 1).verifier_key().to_string();
    assert_eq!(VerifierKey::parse(&key).unwrap().to_string(), key);
    let parts: Vec<&str> = key.splitn(3, '+').collect();
    let (name, hash, base64) = (parts[0], parts[1], parts[2]);
    let parse = |text: String| VerifierKey::parse(&text).unwrap_err();
    assert!(matches!(parse(format!("{name}+{hash}")), KeyError::Malformed));
    assert!(matches!(parse(format!("other+{hash}+{base64}")), KeyError::WrongHash(_)));
    assert!(matches!(
        parse(format!("{name}+{}+{base64}", hash.to_uppercase())),
        KeyError::BadHash | KeyError::WrongHash(_)
    ));
    assert!(matches!(parse(format!("na me+{hash}+{base64}")), KeyError::BadName(_)));
    assert!(matches!(parse(format!("+{hash}+{base64}")), KeyError::BadName(_)));
    assert!(matches!(parse(format!("{name}+{hash}+{}", STANDARD.encode([2; 33]))), KeyError::UnknownAlgorithm(2)));
    assert!(matches!(parse(format!("{name}+{hash}+{}", STANDARD.encode([1; 20]))), KeyError::BadKey));
    assert!(matches!(parse(format!("{name}+{hash}+!")), KeyError::BadBase64));
    assert!(!format!("{:?}", signer("a", 9)).contains("0909"), "a signer never shows its seed");
}

#[test]
fn an_invalid_tree_head_is_not_signed() {
    let a = signer("a", 1);
    let head = MemoryTree::new().head();
    let smuggled = format!("first\n7\n{}", tlog::leaf_hash(b"chosen"));
    for origin in ["", "\n", "two\nlines", "ends\n", "\nbegins", "two\n\nparts", smuggled.as_str()] {
        assert!(a.sign_head(origin, &head).is_err(), "{origin:?}");
    }
    let no_root = TreeHead { size: TreeSize::ZERO, root: tlog::leaf_hash(b"chosen") };
    assert!(a.sign_head("a log", &no_root).is_err());
    let note = a.sign_head("a log", &head).unwrap();
    assert_eq!(SignedCheckpoint::open(note.as_bytes(), "a log", a.verifier_key()).unwrap().head(), &head);
}

#[test]
fn an_invalid_tree_head_is_refused_even_if_signed() {
    let a = signer("a", 1);
    let root = tlog::leaf_hash(b"root").to_string();
    let open = |text: &str, origin: &str| {
        SignedCheckpoint::open(a.sign(text).unwrap().as_bytes(), origin, a.verifier_key()).map(|_| ())
    };
    let honest = format!("a log\n5\n{root}\nan extension line\n");
    assert_eq!(open(&honest, "a log"), Ok(()));
    assert!(matches!(open(&honest, "another log"), Err(CheckpointError::WrongOrigin(_))));
    for size in ["05", "+5", "-5", " 5", "5 ", "0x5", "4611686018427387905"] {
        let refused = open(&honest.replace("\n5\n", &format!("\n{size}\n")), "a log");
        assert!(matches!(refused, Err(CheckpointError::BadSize(_))), "{size:?}: {refused:?}");
    }
    // A lenient decoder would decode a root with trailing bits to the same hash.
    let (front, last) = root.split_at(root.len() - 2);
    let trailing = format!("{front}{}=", next_character(&last[..1]));
    for other in [trailing.as_str(), &root[..43], &format!("{root}="), &format!("{root} ")] {
        let refused = open(&honest.replace(&root, other), "a log");
        assert!(matches!(refused, Err(CheckpointError::BadRoot(_))), "{other:?}: {refused:?}");
    }
    let no_records = open(&honest.replace("\n5\n", "\n0\n"), "a log");
    assert_eq!(no_records, Err(CheckpointError::BadEmptyRoot));
    let lines =
        [format!("{honest}\n"), honest.replace("an ext", "\nan ext"), format!("\n{honest}"), "a log\n5\n".into()];
    for text in lines {
        assert_eq!(open(&text, "a log"), Err(CheckpointError::Malformed), "{text:?}");
    }
}

/// A log of `size` records; those from `fork` on differ from the common history.
fn log(size: u64, fork: u64) -> MemoryTree {
    let mut tree = MemoryTree::new();
    for nth in 0..size {
        let history = if nth < fork { "common" } else { "other" };
        tree.append(format!("{history} {nth}\n").as_bytes());
    }
    tree
}

fn signed(tree: &MemoryTree, size: u64) -> SignedCheckpoint {
    let a = signer("a", 1);
    let head = tree.head_at(TreeSize::new(size).unwrap()).unwrap();
    let note = a.sign_head(SUMDB_ORIGIN, &head).unwrap();
    SignedCheckpoint::open(note.as_bytes(), SUMDB_ORIGIN, a.verifier_key()).unwrap()
}

fn tiles(tree: &MemoryTree, head: &SignedCheckpoint, nodes: &[tlog::Node]) -> AuthenticTiles {
    let plan = TilePlan::new(*head.head(), TileHeight::new(2).unwrap(), nodes).unwrap();
    let bytes: Vec<Vec<u8>> = plan.tiles().iter().map(|tile| tree.tile(tile).unwrap()).collect();
    plan.authenticate(&bytes).unwrap()
}

#[test]
fn every_pair_of_heads_is_the_same_consistent_or_a_fork_and_every_fork_is_evidence() {
    const SIZE: u64 = 21;
    let honest = log(SIZE, SIZE);
    for fork in [0, 1, 5, 8, 16, 20] {
        let other = log(SIZE, fork);
        for trusted_size in 0..=SIZE {
            let timeline = Timeline::resume(signed(&honest, trusted_size));
            for seen_size in 0..=SIZE {
                let seen = signed(&other, seen_size);
                let fits = trusted_size.min(seen_size) <= fork;
                let evidence = match timeline.observe(seen) {
                    Observation::Same => {
                        assert!(fits && seen_size == trusted_size);
                        continue;
                    }
                    Observation::Fork(evidence) => {
                        assert_eq!(seen_size, trusted_size);
                        evidence
                    }
                    Observation::Older(comparison) | Observation::Newer(comparison) => {
                        let newer = if seen_size > trusted_size { &other } else { &honest };
                        let tiles = tiles(newer, comparison.newer(), &comparison.nodes());
                        match comparison.decide(&tiles).unwrap() {
                            Decision::Consistent(head) => {
                                assert!(fits, "fork at {fork}, {trusted_size} and {seen_size}");
                                assert_eq!(head.size().get(), trusted_size.max(seen_size));
                                continue;
                            }
                            Decision::Fork(evidence) => evidence,
                        }
                    }
                    Observation::OtherLog => panic!("one key signed both for one origin"),
                };
                assert!(!fits, "fork at {fork}, {trusted_size} and {seen_size}");
                let text = evidence.to_string();
                assert_eq!(ForkEvidence::verify(text.as_bytes()).as_ref(), Ok(&*evidence));
            }
        }
    }
}

#[test]
fn changed_evidence_is_refused() {
    let (honest, other) = (log(21, 21), log(21, 5));
    let Observation::Newer(comparison) = Timeline::resume(signed(&honest, 11)).observe(signed(&other, 21)) else {
        panic!("it is newer");
    };
    let tiles = tiles(&other, comparison.newer(), &comparison.nodes());
    let Decision::Fork(evidence) = comparison.decide(&tiles).unwrap() else { panic!("it is a fork") };
    let text = evidence.to_string();
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        assert!(ForkEvidence::verify(&bytes).is_err(), "byte {at}");
    }
    for line in text.lines().filter(|line| !line.starts_with('|')) {
        assert!(ForkEvidence::verify(text.replacen(&format!("{line}\n"), "", 1).as_bytes()).is_err(), "without {line}");
    }
    assert!(ForkEvidence::verify(format!("{text}\n").as_bytes()).is_err());
    // Two consistent heads in the form of evidence.
    let (older, newer) = (signed(&honest, 11), signed(&honest, 21));
    let consistent = text.replace(&marked(evidence.older().note()), &marked(older.note()));
    let consistent = consistent.replace(&marked(evidence.newer().note()), &marked(newer.note()));
    assert!(ForkEvidence::verify(consistent.as_bytes()).is_err());
}

#[test]
fn tiles_of_an_unsigned_tree_prove_no_record() {
    let (honest, forged) = (log(9, 9), log(9, 5));
    let reply = || LookupReply::parse(b"7\nother 7\n\nthe note is not used here").unwrap();
    let node = [tlog::Node { level: 0, index: 7 }];
    // The forged record is in the forged tree, which is not the signed one.
    let by_forger = tiles(&forged, &signed(&forged, 9), &node);
    let refused = reply().prove(&by_forger, &signed(&honest, 9)).unwrap_err();
    assert_eq!(refused, RecordError::OtherHead(Mismatch { expected: honest.head(), found: forged.head() }));
    let of_honest = tiles(&honest, &signed(&honest, 9), &node);
    assert!(matches!(reply().prove(&of_honest, &signed(&honest, 9)), Err(RecordError::WrongLeaf(..))));
    assert_eq!(reply().prove(&by_forger, &signed(&forged, 9)).unwrap().text(), "other 7\n");
}

fn marked(note: &str) -> String {
    note.lines().map(|line| format!("| {line}\n")).collect()
}
