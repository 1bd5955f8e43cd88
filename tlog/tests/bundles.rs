//! Bundles that are opened one after the other.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use tlog::bundle::{self, Opener};
use tlog::{
    Hash, InclusionProof, LookupReply, MemoryTree, SUMDB_ORIGIN, SignedCheckpoint, Signer, VerifierKey, format_record,
};

fn signer(seed: u8) -> Signer {
    Signer::from_seed("log.example", [seed; 32]).unwrap()
}

/// The records of a log of five, each with its proof under one head.
fn bundles(signer: &Signer) -> Vec<String> {
    let texts: Vec<String> = (0..5).map(|n| format!("example.com/m{n} v1.0.0 h1:{n}\n")).collect();
    let mut tree = MemoryTree::new();
    let ids: Vec<_> = texts.iter().map(|text| tree.append(text.as_bytes())).collect();
    let note = signer.sign_head(SUMDB_ORIGIN, &tree.head()).unwrap();
    let head = SignedCheckpoint::open(note.as_bytes(), SUMDB_ORIGIN, signer.verifier_key()).unwrap();
    let proved = ids.into_iter().zip(&texts).map(|(id, text)| {
        let reply = format!("{}{note}", format_record(id, text).unwrap());
        let nodes = InclusionProof::nodes(id, tree.size()).unwrap();
        let hashes: Vec<Hash> = nodes.into_iter().map(|node| tree.hash(node).unwrap()).collect();
        let proof = InclusionProof::prove(id, tree.size(), &hashes).unwrap();
        let record = LookupReply::parse(reply.as_bytes()).unwrap().prove_by(&proof, &head).unwrap();
        bundle::format(&record, &proof, &head)
    });
    proved.collect()
}

fn opens(opener: &mut Opener<'_>, bundle: &str) -> bool {
    opener.open(bundle.as_bytes()).is_ok()
}

#[test]
fn a_shared_head_proves_only_the_records_that_are_in_its_tree() {
    let signer = signer(1);
    let key: &VerifierKey = signer.verifier_key();
    let (bundles, mut opener) = (bundles(&signer), Opener::new(SUMDB_ORIGIN, key));
    for bundle in &bundles {
        let (record, head) = opener.open(bundle.as_bytes()).unwrap();
        let alone = bundle::open(bundle.as_bytes(), SUMDB_ORIGIN, key).unwrap();
        assert_eq!((&record, head), (&alone.0, &alone.1));
    }
    // The record of one, the proof and the head of another.
    let line = |bundle: &str, nth: usize| bundle.lines().nth(nth).unwrap().to_owned();
    let mixed = bundles[1].replace(&line(&bundles[1], 1), &line(&bundles[2], 1));
    assert!(!opens(&mut opener, &mixed));
    assert!(opens(&mut opener, &bundles[3]), "a wrong one does no harm to the next");
}

#[test]
fn every_other_head_is_verified() {
    let (own, foreign) = (bundles(&signer(1)), bundles(&signer(2)));
    let key = signer(1);
    let mut opener = Opener::new(SUMDB_ORIGIN, key.verifier_key());
    assert!(opens(&mut opener, &own[0]) && !opens(&mut opener, &foreign[1]));
    assert!(opens(&mut opener, &own[2]));
    let at = own[3].rfind('=').unwrap_or(own[3].len() - 2) - 3;
    let mut changed = own[3].clone().into_bytes();
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    assert!(!opens(&mut opener, core::str::from_utf8(&changed).unwrap()));
    assert!(opens(&mut opener, &own[3]));
}
