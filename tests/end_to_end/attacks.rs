//! Each attack is refused, with the real `go` as client, and nothing of it is stored.

use std::path::Path;

use gomodule::module::ModuleVersion;
use libtest_mimic::Trial;
use testkit::{Fault, Origin, World};
use tlog::Tile;

use crate::fixture::{Go, Mirror, files, get, go_trial, origin, run, trial};

const HELLO: &str = "example.com/hello@v1.0.0";
const ZIP: &str = "/example.com/hello/@v/v1.0.0.zip";
const MOD: &str = "/example.com/hello/@v/v1.0.0.mod";
const LOOKUP: &str = "/lookup/example.com/hello@v1.0.0";

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("attack: a flipped bit in a zip", |go| {
            wrong_bytes(go, ZIP, Fault::FlipBit(200));
        }),
        go_trial("attack: a flipped bit in a go.mod", |go| {
            wrong_bytes(go, MOD, Fault::FlipBit(5));
        }),
        go_trial("attack: the zip of another version", |go| {
            let other = ModuleVersion::parse("example.com/hello@v1.1.0").unwrap();
            let zip = World::demo().module(&other).unwrap().zip.clone();
            wrong_bytes(go, ZIP, Fault::Body(zip.into()));
        }),
        go_trial("attack: a truncated zip", |go| {
            wrong_bytes(go, ZIP, Fault::Cut(150));
        }),
        go_trial("attack: a proved record of another module", another_modules_reply),
        go_trial("attack: a tile of wrong length", |go| {
            bad_tile(go, Fault::Cut(31));
        }),
        go_trial("attack: a flipped bit in a tile", |go| {
            bad_tile(go, Fault::FlipBit(1));
        }),
        go_trial("attack: a forged leaf in its tile", forged_leaf),
        go_trial("attack: a fork at equal size", |go| fork(go, 601, 6)),
        go_trial("attack: a fork at greater size", |go| fork(go, 601, 40)),
        go_trial("attack: a fork at lesser size", |go| fork(go, 310, 10)),
        go_trial("attack: an older head is not a fork, and is never trusted", rolled_back),
        trial("attack: a record without a hash for the file is a refusal", half_record),
        trial("attack: a first head that is inconsistent with the anchor", a_first_head_against_the_anchor),
        trial("attack: a file changed on disk is quarantined and fetched again", changed_on_disk),
        go_trial("attack: every case of lookup-attacks.json", lookup_vectors),
    ]
}

fn setting() -> (Origin, tempfile::TempDir, Mirror) {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    (origin, folder, mirror)
}

fn client(go: &Path, origin: &Origin, mirror: &Mirror) -> Go {
    Go::new(go, &mirror.url, &format!("{} {}", origin.key(), mirror.url))
}

/// Wrong bytes upstream: 403 with both hashes, the case in quarantine, nothing in the tree; then honest bytes pass.
fn wrong_bytes(go: &Path, path: &str, fault: Fault) {
    let (origin, _folder, mirror) = setting();
    origin.misbehave(path, fault);
    let output = client(go, &origin, &mirror).must_fail(&["mod", "download", HELLO], "403 Forbidden");
    assert!(output.contains("h1:"), "the reason names the proved hash: {output}");
    let answer = get(&mirror.url, path);
    assert_eq!((answer.status, answer.header("content-type")), (403, Some("text/plain; charset=utf-8")));
    assert!(!mirror.tree().contains_key(&path[1..]), "nothing of it is in the tree");
    let quarantine = mirror.quarantine();
    assert_eq!(
        quarantine.keys().filter(|name| name.ends_with("/bytes")).count(),
        1,
        "the same wrong bytes are one case"
    );
    assert!(quarantine.keys().any(|name| name.ends_with("/facts.json")));
    origin.behave();
    client(go, &origin, &mirror).must(&["mod", "download", HELLO]);
}

/// What must hold after the database lied about the module: `go` fails, no file of it is kept, and the trusted head,
/// tiles and records on disk are those from before.
fn refused_and_forgotten(go: &Path, origin: &Origin, mirror: &Mirror, why: &str) {
    let before = files(&mirror.data.join("sumdb"));
    client(go, origin, mirror).must_fail(&["mod", "download", HELLO], why);
    let kept: Vec<_> = mirror.tree().into_keys().filter(|name| !name.ends_with(".info")).collect();
    assert_eq!(kept, Vec::<String>::new());
    let changed: Vec<_> = files(&mirror.data.join("sumdb"))
        .into_iter()
        .filter(|(name, bytes)| {
            before.get(name) != Some(bytes) && !name.ends_with("lock") && !name.ends_with("fork.txt")
        })
        .map(|(name, _)| name)
        .collect();
    assert_eq!(changed, Vec::<String>::new(), "nothing unproved is kept");
}

fn half_record() {
    let (origin, _folder, mirror) = setting();
    let half = ModuleVersion::parse("example.com/half@v1.0.0").unwrap();
    let go_mod = "module example.com/half\n";
    let line = format!("example.com/half v1.0.0/go.mod {}\n", gomodule::dirhash::hash_go_mod(go_mod.as_bytes()));
    let zip = origin.world().module(&ModuleVersion::parse(HELLO).unwrap()).unwrap().zip.clone();
    origin.world().add_with_record(&half, go_mod, zip, line);
    assert_eq!(get(&mirror.url, "/example.com/half/@v/v1.0.0.mod").status, 200);
    let refused = get(&mirror.url, "/example.com/half/@v/v1.0.0.zip");
    assert!(refused.status == 403 && refused.text().contains("has no hash for it"), "{}", refused.text());
}

fn another_modules_reply(go: &Path) {
    let (origin, _folder, mirror) = setting();
    let other = ModuleVersion::parse("example.com/dep/v2@v2.0.1").unwrap();
    let reply = {
        let world = origin.world();
        world.lookup(&other, world.size()).unwrap()
    };
    origin.misbehave(LOOKUP, Fault::Body(reply.into()));
    refused_and_forgotten(go, &origin, &mirror, "502 Bad Gateway");
    origin.behave();
    client(go, &origin, &mirror).must(&["mod", "download", HELLO]);
}

fn bad_tile(go: &Path, fault: Fault) {
    let (origin, _folder, mirror) = setting();
    // The record of the module is number 300: in the second tile of level 0.
    let size = origin.world().size();
    assert!((513..768).contains(&size), "the tree has full and partial tiles");
    origin.misbehave("/tile/8/0/001", fault);
    refused_and_forgotten(go, &origin, &mirror, "502 Bad Gateway");
    origin.behave();
    client(go, &origin, &mirror).must(&["mod", "download", HELLO]);
}

/// CVE-2026-56865: everything is honest except one leaf, in a tile that the flawed reader did not authenticate.
fn forged_leaf(go: &Path) {
    for (size, record) in [(301, 5_u64), (65_535, 300), (65_869, 5), (70_000, 1234), (70_001, 12_345)] {
        let mut world = World::demo();
        let padding = size - usize::try_from(world.size()).unwrap_or(0).min(size);
        world.pad(padding);
        let size = world.size();
        let forged = "example.com/hello v1.0.0 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
        let tile = Tile::in_tree(tlog::TileHeight::SUMDB, 0, record / 256, tlog::TreeSize::new(size).unwrap()).unwrap();
        let mut bytes = world.tile(&tile).unwrap();
        let at = usize::try_from(record % 256).unwrap() * 32;
        bytes[at..at + 32].copy_from_slice(tlog::leaf_hash(forged.as_bytes()).as_bytes());
        let reply = format!("{record}\n{forged}\n{}", world.head_at(size).unwrap());
        let (origin, folder) = (origin(world), tempfile::tempdir().unwrap());
        let mirror = Mirror::start(&origin, &folder.path().join("data"));
        origin.misbehave(LOOKUP, Fault::Body(reply.into()));
        origin.misbehave(&format!("/{tile}"), Fault::Body(bytes.into()));
        refused_and_forgotten(go, &origin, &mirror, "502 Bad Gateway");
    }
}

/// The mirror trusts a head, then the same key shows another history.
fn fork(go: &Path, keep: usize, more: usize) {
    let (origin, folder, mirror) = setting();
    let size = usize::try_from(origin.world().size()).unwrap();
    client(go, &origin, &mirror).must(&["mod", "download", "example.com/dep/v2@v2.0.1"]);
    let before = mirror.tree();
    let fork = origin.world().fork(keep.min(size - 6), more);
    *origin.world() = fork;

    let output = client(go, &origin, &mirror).must_fail(&["mod", "download", HELLO], "503 Service Unavailable");
    assert!(output.contains("fork.txt"), "the reason names the evidence: {output}");
    let tree: Vec<_> =
        mirror.tree().into_keys().filter(|name| !before.contains_key(name) && !name.ends_with(".info")).collect();
    assert_eq!(tree, Vec::<String>::new(), "nothing new is released");
    let sumdb = mirror.data.join("sumdb");
    let evidence: Vec<_> = files(&sumdb).into_keys().filter(|name| name.ends_with("fork.txt")).collect();
    let evidence = sumdb.join(&evidence[0]).to_str().unwrap().to_owned();

    // Anyone can verify it; a damaged one is invalid.
    let key = origin.key();
    assert_eq!(run(&["verify", &evidence, "--sumdb", &key]).status.code(), Some(0));
    assert_eq!(run(&["verify", &evidence]).status.code(), Some(2), "the key is unknown, so nothing is checked");
    let text = std::fs::read_to_string(&evidence).unwrap();
    let damaged = folder.path().join("damaged.txt");
    std::fs::write(&damaged, text.replacen("older", "oldest", 1)).unwrap();
    assert_eq!(run(&["verify", damaged.to_str().unwrap(), "--sumdb", &key]).status.code(), Some(1));

    // Proved files are still served; the fork is remembered after a restart, also by other commands.
    assert_eq!(get(&mirror.url, "/example.com/dep/v2/@v/v2.0.1.zip").status, 200);
    assert!(get(&mirror.url, "/").text().contains("FORKED"));
    drop(mirror);
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    assert_eq!(get(&mirror.url, ZIP).status, 503);
    let data = mirror.data.to_str().unwrap();
    let lookup = run(&["sumdb", "lookup", HELLO, "--data", data, "--sumdb", &origin.gosumdb()]);
    assert_eq!(lookup.status.code(), Some(3));
}

fn rolled_back(go: &Path) {
    let (origin, _folder, mirror) = setting();
    client(go, &origin, &mirror).must(&["mod", "download", "example.com/dep/v2@v2.0.1"]);
    let newest = get(&mirror.url, "/latest").text();
    origin.show(Some(400));
    client(go, &origin, &mirror).must(&["mod", "download", HELLO]);
    assert_eq!(get(&mirror.url, "/latest").text(), newest);
    assert!(get(&mirror.url, LOOKUP).text().ends_with(&newest), "lookups are answered under the newest trusted head");
}

fn a_first_head_against_the_anchor() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let anchor = folder.path().join("anchor");
    std::fs::write(&anchor, origin.world().head_at(500).unwrap()).unwrap();
    let (anchor, sumdb) = (anchor.to_str().unwrap().to_owned(), origin.gosumdb());
    let lookup = |data: &str, anchor: &str| {
        let data = folder.path().join(data);
        run(&["sumdb", "lookup", HELLO, "--data", data.to_str().unwrap(), "--sumdb", &sumdb, "--anchor", anchor])
    };
    assert_eq!(lookup("honest", &anchor).status.code(), Some(0));
    let fork = origin.world().fork(400, 300);
    *origin.world() = fork;
    // A new installation notices the fork only with the anchor.
    assert_eq!(lookup("fresh", &anchor).status.code(), Some(3));
    assert_eq!(lookup("trusting", "none").status.code(), Some(0));
    // An installation that trusted the other history first notices the fork once it has the anchor.
    assert_eq!(lookup("trusting", &anchor).status.code(), Some(0), "a kept proof needs no network");
    let other = ["sumdb", "lookup", "example.com/dep/v2@v2.0.1", "--sumdb", &sumdb, "--anchor", &anchor, "--data"];
    let data = folder.path().join("trusting");
    let mut words = other.to_vec();
    words.push(data.to_str().unwrap());
    assert_eq!(run(&words).status.code(), Some(3));
}

fn changed_on_disk() {
    let (origin, _folder, mirror) = setting();
    assert_eq!(get(&mirror.url, ZIP).status, 200);
    let honest = mirror.tree()[&ZIP[1..]].clone();
    let place = mirror.data.join("proxy").join(&ZIP[1..]);
    let mut changed = honest.clone();
    changed[honest.len() / 2] ^= 1;
    std::fs::write(&place, &changed).unwrap();
    origin.take_requests();
    assert_eq!(get(&mirror.url, ZIP).body, honest);
    assert_eq!(origin.asked(ZIP), 1, "fetched anew");
    assert!(mirror.quarantine().values().any(|bytes| *bytes == changed));
}

fn lookup_vectors(go: &Path) {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../testdata/vectors/lookup-attacks.json")).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let tile = hex::decode(text(&vectors["tile_8_0_000_p_1_hex"])).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let (origin, data) = (origin(World::new("unused.example", [1; 32])), tempfile::tempdir().unwrap());
        let (path, version) = (text(&case["lookup"][0]), text(&case["lookup"][1]));
        origin.misbehave(&format!("/lookup/{path}@{version}"), Fault::Body(text(&case["response"]).into()));
        origin.misbehave("/tile/8/0/000.p/1", Fault::Body(tile.clone().into()));
        let sumdb = format!("{} {}", text(&vectors["vkey"]), origin.url());
        let data = data.path().join("data");
        let output = run(&[
            "sumdb",
            "lookup",
            &format!("{path}@{version}"),
            "--data",
            data.to_str().unwrap(),
            "--sumdb",
            &sumdb,
        ]);
        let expected = if text(&case["want"]) == "ok" { 0 } else { 2 };
        assert_eq!(output.status.code(), Some(expected), "{}: {output:?}", case["name"]);
        let kept = files(&data).into_keys().any(|name| name.contains("/record/") || name.contains("/tile/"));
        assert_eq!(kept, expected == 0, "{}", case["name"]);
        if expected != 0 {
            let info = format!("{{\"Version\":\"{version}\"}}");
            origin.misbehave(&format!("/{path}/@v/{version}.info"), Fault::Body(info.into()));
            let mirror = Mirror::start_with(&data, &["--upstream", &origin.url(), "--sumdb", &sumdb]);
            let go = Go::new(go, &mirror.url, &format!("{} {}", text(&vectors["vkey"]), mirror.url));
            go.must_fail(&["mod", "download", &format!("{path}@{version}")], "502 Bad Gateway");
            assert!(mirror.tree().into_keys().all(|name| name.ends_with(".info")), "{}", case["name"]);
        }
    }
}
