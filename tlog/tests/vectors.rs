//! Test vectors: RFC 6962 proofs, real signed notes, forged tiles and forged replies.
//!
//! Each is a trial of its own. `testdata/README.md` gives their origins.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use libtest_mimic::{Arguments, Trial};
use serde_json::Value;
use tlog::{
    ConsistencyProof, Hash, InclusionProof, LookupReply, MemoryTree, Node, RecordId, SUM_GOLANG_ORG, SUMDB_ORIGIN,
    SignedCheckpoint, Tile, TileHeight, TilePlan, Timeline, TreeHead, TreeSize, VerifierKey, leaf_hash,
};

fn main() {
    let arguments = Arguments::from_args();
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/vectors");
    libtest_mimic::run(&arguments, trials(&vectors)).exit();
}

fn trials(folder: &Path) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut add = |file: &str, check: fn(&Value)| {
        let vectors: Value = serde_json::from_str(&std::fs::read_to_string(folder.join(file)).unwrap()).unwrap();
        for (nth, vector) in vectors.as_array().unwrap().iter().enumerate() {
            let name = vector["name"].as_str().map_or_else(|| nth.to_string(), ToOwned::to_owned);
            let vector = vector.clone();
            trials.push(Trial::test(format!("{file}: {name}"), move || {
                check(&vector);
                Ok(())
            }));
        }
    };
    add("merkle-inclusion.json", inclusion);
    add("merkle-consistency.json", consistency);
    add("real-signed-notes.json", real_note);
    add("forged-tile.json", forged_tile);
    for (size, height, record) in [(15, 2, 1), (301, 8, 5), (65_869, 8, 5), (70_001, 8, 12_345), (16, 2, 1)] {
        trials.push(Trial::test(format!("forged tile: {size} records, height {height}, record {record}"), move || {
            forge(size, height, record, None);
            Ok(())
        }));
    }
    let attacks: PathBuf = folder.join("lookup-attacks.json");
    trials.push(Trial::test("lookup-attacks.json: what this library proves or refuses", move || {
        lookups(&serde_json::from_str(&std::fs::read_to_string(&attacks).unwrap()).unwrap());
        Ok(())
    }));
    trials
}

/// Some vectors have roots that are not hashes and are only compared for equality: they are hashed.
fn root(value: &Value) -> Option<Hash> {
    hash(value).or_else(|| Some(leaf_hash(&STANDARD.decode(value.as_str()?).ok()?)))
}

/// Vectors have hashes of any length; those of a wrong length count as refused.
fn hash(value: &Value) -> Option<Hash> {
    STANDARD.decode(value.as_str().unwrap()).unwrap().try_into().map(Hash::from_bytes).ok()
}

fn proof(value: &Value) -> Option<Vec<Hash>> {
    value.as_array().map_or_else(|| Some(Vec::new()), |hashes| hashes.iter().map(hash).collect())
}

fn inclusion(vector: &Value) {
    let verify = || {
        let size = TreeSize::new(vector["treeSize"].as_u64()?).ok()?;
        let id = RecordId::new(vector["leafIdx"].as_u64()?).ok()?;
        let head = TreeHead { size, root: hash(&vector["root"])? };
        InclusionProof::from_hashes(proof(&vector["proof"])?).verify(id, &hash(&vector["leafHash"])?, &head).ok()
    };
    assert_eq!(verify().is_none(), vector["wantErr"].as_bool().unwrap());
}

fn consistency(vector: &Value) {
    let verify = || {
        let head = |size: &str, root_name: &str| {
            Some(TreeHead { size: TreeSize::new(vector[size].as_u64()?).ok()?, root: root(&vector[root_name])? })
        };
        let (older, newer) = (head("size1", "root1")?, head("size2", "root2")?);
        ConsistencyProof::from_hashes(proof(&vector["proof"])?).verify(&older, &newer).ok()
    };
    assert_eq!(verify().is_none(), vector["wantErr"].as_bool().unwrap());
}

fn real_note(vector: &Value) {
    let note = vector["note"].as_str().unwrap();
    let keys = [SUM_GOLANG_ORG, "gosum.io+ce6e7565+AY5qEHUk/qmHc5btzW45JVoENfazw8LielDsaI+lEbq6"];
    let keys = keys.map(|key| VerifierKey::parse(key).unwrap());
    let opened: Vec<_> =
        keys.iter().filter_map(|key| SignedCheckpoint::open(note.as_bytes(), SUMDB_ORIGIN, key).ok()).collect();
    assert_eq!(opened.len(), 1, "one of the two keys signed it");
    assert_eq!(opened[0].note(), note);
    let other_size = note.replacen("tree\n", "tree\n9", 1);
    assert!(keys.iter().all(|key| SignedCheckpoint::open(other_size.as_bytes(), SUMDB_ORIGIN, key).is_err()));
}

fn forged_tile(vector: &Value) {
    let number = |name: &str| vector[name].as_u64().unwrap();
    let height = u8::try_from(number("height")).unwrap();
    assert_eq!(vector["fixed"], "reject");
    forge(number("tile_size".replace("tile", "tree").as_str()), height, number("record"), hash(&vector["root"]));
}

/// Replaces one leaf in its level-0 tile and leaves every other tile honest.
fn forge(size: u64, height: u8, record: u64, root: Option<Hash>) {
    let mut tree = MemoryTree::new();
    (0..size).for_each(|nth| {
        tree.append(format!("leaf {nth}").as_bytes());
    });
    let head = tree.head();
    assert_eq!(head.root, root.unwrap_or(head.root));
    let height = TileHeight::new(height).unwrap();
    let node = Node { level: 0, index: record };
    let plan = TilePlan::new(head, height, &[node]).unwrap();
    let honest: Vec<Vec<u8>> = plan.tiles().iter().map(|tile| tree.tile(tile).unwrap()).collect();
    assert_eq!(plan.authenticate(&honest).unwrap().hash(node), tree.hash(node));
    let holder = Tile::containing(height, node, head.size).unwrap();
    let nth = plan.tiles().iter().position(|tile| *tile == holder).unwrap();
    let at = usize::try_from(record % u64::from(height.full_width())).unwrap() * 32;
    let mut forged = honest.clone();
    forged[nth][at..at + 32].copy_from_slice(leaf_hash(b"evil").as_bytes());
    assert!(plan.authenticate(&forged).is_err());
    // Every other tile with one bit changed is refused, too.
    for nth in 0..honest.len() {
        let mut forged = honest.clone();
        let last = forged[nth].len() - 1;
        forged[nth][last] ^= 0x80;
        assert!(plan.authenticate(&forged).is_err(), "{}", plan.tiles()[nth]);
    }
}

/// The proof does not cover which module was requested: in two cases, the record of another module is proved here. The client,
/// which has tests of its own, refuses these.
fn lookups(vectors: &Value) {
    let key = VerifierKey::parse(vectors["vkey"].as_str().unwrap()).unwrap();
    let hex = vectors["tile_8_0_000_p_1_hex"].as_str().unwrap();
    let tile: Vec<u8> = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    let prove = |response: &str| {
        let reply = LookupReply::parse(response.as_bytes()).ok()?;
        let head = SignedCheckpoint::open(reply.note(), SUMDB_ORIGIN, &key).ok()?;
        let node = Node { level: 0, index: reply.id().get() };
        let tiles = TilePlan::new(*head.head(), TileHeight::SUMDB, &[node]).ok()?.authenticate(&[&tile]).ok()?;
        assert!(matches!(Timeline::resume(head.clone()).observe(head.clone()), tlog::Observation::Same));
        reply.prove(&tiles, &head).ok()
    };
    for case in vectors["cases"].as_array().unwrap() {
        let module = format!("{} {}", case["lookup"][0].as_str().unwrap(), case["lookup"][1].as_str().unwrap());
        let proved = prove(case["response"].as_str().unwrap());
        let says = proved.is_some_and(|record| record.text().lines().any(|line| line.starts_with(&module)));
        assert_eq!(says, case["want"] == "ok", "{}", case["name"]);
    }
}
