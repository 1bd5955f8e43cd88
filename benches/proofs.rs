//! The library: a signed tree head opened, an inclusion proof checked, and a record hash read from tiles, each of whose
//! bytes is checked.
//!
//! Yardstick: the packages that the `go` command itself carries (`cmd/vendor/golang.org/x/mod/sumdb`), built and run here
//! on the same tree. Where there is no `go`, the times stand alone.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a benchmark may panic")]

#[path = "shared/yardstick.rs"]
mod yardstick;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tlog::{
    InclusionProof, MemoryTree, Node, RecordId, SUMDB_ORIGIN, SignedCheckpoint, Signer, TileHeight, TilePlan, leaf_hash,
};

/// Three rows of tiles, as in the real log.
const RECORDS: u64 = 100_000;
const RECORD: u64 = 54_321;
const RUNS: u32 = 2000;

fn main() {
    // A few runs are a smoke test.
    let runs = if std::env::args().any(|word| word == "--test") { 3 } else { RUNS };
    let mut tree = MemoryTree::new();
    for nth in 0..RECORDS {
        tree.append(&nth.to_be_bytes());
    }
    let signer = Signer::from_seed("localhost.localdev/sumdb", [7; 32]).unwrap();
    let key = signer.verifier_key();
    let note = signer.sign_head(SUMDB_ORIGIN, &tree.head()).unwrap();
    let (id, head, leaf) = (RecordId::new(RECORD).unwrap(), tree.head(), leaf_hash(&RECORD.to_be_bytes()));
    let nodes = InclusionProof::nodes(id, head.size).unwrap();
    let hashes: Vec<_> = nodes.iter().map(|node| tree.hash(*node).unwrap()).collect();
    let proof = InclusionProof::prove(id, head.size, &hashes).unwrap();
    let wanted = Node { level: 0, index: RECORD };
    let plan = TilePlan::new(head, TileHeight::SUMDB, &[wanted]).unwrap();
    let tiles: Vec<_> = plan.tiles().iter().map(|tile| tree.tile(tile).unwrap()).collect();

    let ours = [
        ("note", best(runs, || drop(SignedCheckpoint::open(note.as_bytes(), SUMDB_ORIGIN, key).unwrap()))),
        ("proof", best(runs, || proof.verify(id, &leaf, &head).unwrap())),
        (
            "tiles",
            best(runs, || {
                let plan = TilePlan::new(head, TileHeight::SUMDB, &[wanted]).unwrap();
                assert_eq!(plan.authenticate(&tiles).unwrap().hash(wanted), Some(leaf));
            }),
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let lines = |hashes: &[tlog::Hash]| hashes.iter().map(|hash| format!("{hash}\n")).collect::<String>();
    write("key", key.to_string().as_bytes());
    write("note", note.as_bytes());
    write("id", RECORD.to_string().as_bytes());
    write("leaf", lines(&[leaf]).as_bytes());
    write("proof", lines(proof.hashes()).as_bytes());
    for (tile, bytes) in plan.tiles().iter().zip(&tiles) {
        write(&tile.to_string(), bytes);
    }
    let theirs = yardstick::build("proofs").map(|program| run(&program.path(), runs, folder.path()));
    println!("a tree of {RECORDS} records, {} tiles; the best of {runs}", tiles.len());
    for (name, time) in ours {
        print!("  {name}: {time:.1?}");
        match theirs
            .as_ref()
            .and_then(|said| said.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()))
        {
            Some(nanos) => {
                let go = Duration::from_nanos(nanos);
                println!("; Go {go:.1?}: {:.2} times", go.as_secs_f64() / time.as_secs_f64());
            }
            None => println!(),
        }
    }
}

fn run(program: &Path, runs: u32, folder: &Path) -> String {
    let output = Command::new(program).arg(runs.to_string()).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn best(runs: u32, work: impl Fn()) -> Duration {
    let run = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..runs).map(run).min().unwrap()
}
