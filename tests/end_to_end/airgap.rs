//! Closed networks: export, import and build without requests.

use std::path::Path;
use std::process::Output;

use gomodule::dirhash::FileList;
use libtest_mimic::Trial;
use sha2::{Digest, Sha256};
use testkit::{Origin, World};

use crate::audit::{honest, line_of};
use crate::fixture::{Go, Mirror, files, get, go_trial, origin, run, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("airgap: export, import without a network, then build and audit", build_over_there),
        trial("airgap: an archive equals a folder, and importing twice changes nothing", twice),
        trial("airgap: each damaged entry is refused, and all that it would prove", damaged),
        trial("airgap: a later export connects to the head of an earlier one", growth),
        trial("airgap: an older head is not accepted, but its records count", older_head),
        trial("airgap: a head that contradicts the trusted one is a fork", forked_head),
        trial("airgap: exempt modules are exported, and must be exempt at the import", exempt),
        trial("airgap: a wrong line is reported by the export, and an empty input is an error", told_early),
        trial("airgap: what is not in the store is reported, not exported", export_of_absent),
    ]
}

const MAIN: &str = "package main\n\nimport \"example.com/hello\"\n\nfunc main() { println(hello.Text()) }\n";

/// A database with a known key and an unreachable address.
pub fn nowhere(origin: &Origin) -> String {
    format!("{} http://127.0.0.1:1", origin.key())
}

pub fn sumgate(data: &Path, sumdb: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let state = ["--data", data.to_str().unwrap(), "--sumdb", sumdb];
    let Output { status, stdout, stderr } = run(&[arguments, &state].concat());
    (status.code(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
}

pub fn fetch(origin: &Origin, data: &Path, what: &[&str]) -> (Option<i32>, String) {
    sumgate(data, &origin.gosumdb(), &[&["cache", "fetch", "--upstream", &origin.url()], what].concat())
}

/// The lines of these modules, in a file.
pub fn go_sum(origin: &Origin, folder: &Path, modules: &[&str]) -> String {
    let lines = honest(origin);
    let wanted = modules.iter().map(|module| module.replace('@', " "));
    let text: String = wanted
        .flat_map(|module| [format!("{module} "), format!("{module}/go.mod ")])
        .map(|start| format!("{}\n", line_of(&lines, &start)))
        .collect();
    let path = folder.join("go.sum");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Fetches modules into a store of their own and exports them. Returns the path of the export.
pub fn exported(origin: &Origin, folder: &Path, name: &str, modules: &[&str]) -> String {
    exported_from(&format!("store-of-{name}"), origin, folder, name, modules)
}

/// The same from a store that may be there already.
pub fn exported_from(store: &str, origin: &Origin, folder: &Path, name: &str, modules: &[&str]) -> String {
    let data = folder.join(store);
    let go_sum = go_sum(origin, folder, modules);
    let (code, said) = fetch(origin, &data, &["-m", &go_sum]);
    assert_eq!(code, Some(0), "{said}");
    let out = folder.join(name).to_str().unwrap().to_owned();
    origin.take_requests();
    let (code, said) = sumgate(&data, &origin.gosumdb(), &["cache", "export", "--for", &go_sum, &out]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(origin.take_requests(), Vec::<String>::new());
    out
}

pub fn import(origin: &Origin, data: &Path, from: &str) -> (Option<i32>, String) {
    let imported = sumgate(data, &nowhere(origin), &["cache", "import", from]);
    assert_eq!(origin.take_requests(), Vec::<String>::new());
    imported
}

fn build_over_there(go: &Path) {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    let go_mod = "module example.com/main\n\ngo 1.21\n\nrequire example.com/hello v1.1.0\n";
    let mirror = Mirror::start(&origin, &here);
    let home = Go::new(go, &mirror.url, &format!("{} {}", origin.key(), mirror.url));
    home.write("go.mod", go_mod);
    home.write("main.go", MAIN);
    home.must(&["build", "-o", "main"]);
    drop(mirror);
    let sums = home.home().join("go.sum");
    let out = folder.path().join("modules.tar.zst");
    let (sumdb, closed) = (origin.gosumdb(), nowhere(&origin));
    let key = origin.key();
    let name = origin.world().name().to_owned();
    drop(origin);

    let (code, said) =
        sumgate(&here, &sumdb, &["cache", "export", "--for", sums.to_str().unwrap(), out.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("exported ") && said.ends_with(" and 3 records\n"), "{said}");
    let (code, said) = sumgate(&there, &closed, &["cache", "import", out.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!(", 3 records proved, {name} trusted at 607 records")), "{said}");

    let mirror = Mirror::start_with(&there, &["--offline", "--sumdb", &closed]);
    for with_sums in [true, false] {
        let home = Go::new(go, &mirror.url, &format!("{key} {}", mirror.url));
        home.write("go.mod", go_mod);
        home.write("main.go", MAIN);
        if with_sums {
            home.write("go.sum", &std::fs::read_to_string(&sums).unwrap());
        }
        home.must(&["build", "-o", "main"]);
        assert_eq!(std::fs::read(home.home().join("go.sum")).unwrap(), std::fs::read(&sums).unwrap());
        home.must_fail(
            &["mod", "download", "example.com/nobody@v1.0.0"],
            "example.com/nobody@v1.0.0 .info is not in the mirror, and the mirror is offline",
        );
    }
    let audited = ["audit", "--offline", "--no-policy", sums.to_str().unwrap()];
    let (code, said) = sumgate(&there, &closed, &audited);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("clean: "), "{said}");
    // The audit can fail: one more line, of a module that was not exported.
    let more = std::fs::read_to_string(&sums).unwrap()
        + "example.com/pseudo v1.0.0/go.mod "
        + "h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=\n";
    std::fs::write(&sums, more).unwrap();
    assert_eq!(sumgate(&there, &closed, &audited).0, Some(2));
}

pub const TWO: [&str; 2] = ["example.com/hello@v1.0.0", "example.com/dep/v2@v2.0.1"];

fn twice() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let mut trees = Vec::new();
    for name in ["modules", "modules.tar.zst"] {
        let out = exported(&origin, folder.path(), name, &TWO);
        let data = folder.path().join(format!("from-{name}"));
        let (code, said) = import(&origin, &data, &out);
        assert!(code == Some(0) && said.starts_with("imported 8 files ("), "{said}");
        let tree = files(&data.join("proxy"));
        let (code, said) = import(&origin, &data, &out);
        assert!(
            code == Some(0) && said.starts_with("imported 0 files (0 bytes), 8 were in the store, 3 records proved"),
            "{said}"
        );
        assert_eq!(files(&data.join("proxy")), tree);
        assert_eq!(files(&data.join("staging")).len(), 1, "nothing is left but the lock");
        trees.push(tree);
    }
    assert_eq!(trees[0], trees[1]);
    assert!(trees[0].contains_key("example.com/dep/v2/@v/list"), "{:?}", trees[0].keys());
    // Equal stores have equal exports, and an export does not overwrite a folder.
    let (out, data) = (folder.path().join("modules"), folder.path().join("store-of-modules"));
    let sums = folder.path().join("go.sum");
    let words = ["cache", "export", "--for", sums.to_str().unwrap(), out.to_str().unwrap()];
    let (code, said) = sumgate(&data, &origin.gosumdb(), &words);
    assert!(code == Some(2) && said.contains("is not empty"), "{said}");
}

/// Writes the list of contents of an export anew, as an attacker would.
fn list_again(out: &Path) {
    let list = out.join("SHA256SUMS");
    std::fs::remove_file(&list).unwrap();
    let (mut text, mut all) = (String::new(), FileList::default());
    for (name, bytes) in files(out) {
        let sha256 = Sha256::digest(&bytes);
        text.push_str(&format!("{}  {name}\n", hex::encode(sha256)));
        all.add(name, sha256.into());
    }
    std::fs::write(list, format!("{text}# {}\n", all.h1())).unwrap();
}

/// Changes one file of an export.
fn change(out: &str, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = Path::new(out).join(name);
    let mut bytes = std::fs::read(&path).unwrap_or_else(|_| panic!("there is no {name}"));
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

fn damaged() {
    let origin = origin(World::demo());
    let sumdb = format!("sumdb/{}", origin.world().name());
    let flip = |at: usize| move |bytes: &mut Vec<u8>| bytes[at] ^= 1;
    let folder = tempfile::tempdir().unwrap();
    // What is damaged, at which byte, what is said, and how many of the five files with a hash are taken all the same: those
    // of the two modules, and the go.mod of the newest version of the first.
    let hello = "example.com/hello/@v/v1.0.0";
    let record = format!("{sumdb}/lookup/example.com/hello@v1.0.0");
    for (nth, (name, at, said, taken)) in [
        (format!("{hello}.zip"), 60, "example.com/hello@v1.0.0 .zip refused", 4),
        (format!("{hello}.mod"), 9, "example.com/hello@v1.0.0 .mod refused", 4),
        (format!("{hello}.info"), 13, "imported 7 files", 5),
        (record, 30, "the record of example.com/hello@v1.0.0: ", 3),
        (format!("{sumdb}/tile/8/0/001"), 44 * 32, "the record of example.com/hello@v1.0.0: ", 0),
        (format!("{sumdb}/tile/8/1/000.p/2"), 0, "the record of example.com/dep/v2@v2.0.1: ", 0),
        (format!("{sumdb}/latest"), 30, "the tree head of ", 5),
    ]
    .into_iter()
    .enumerate()
    {
        let out = exported(&origin, folder.path(), &format!("out-{nth}"), &TWO);
        change(&out, &name, flip(at));
        list_again(Path::new(&out));
        let data = folder.path().join(format!("data-{nth}"));
        let (code, output) = import(&origin, &data, &out);
        assert!(output.contains(said), "{name}: {output}");
        let without_info = name.ends_with(".info");
        assert_eq!(code, Some(i32::from(!without_info)), "{name}: {output}");
        let tree = files(&data.join("proxy"));
        let has_hash = |name: &&String| name.contains("/@v/v") && !name.ends_with(".info");
        assert_eq!(tree.keys().filter(has_hash).count(), taken, "{name}: {:?}", tree.keys());
        // Nothing unproved is stored from an export with wrong bytes.
        let is_kept = taken == 5 && !without_info;
        assert_eq!(tree.contains_key(&format!("{hello}.info")), is_kept, "{name}");
        assert!(!tree.contains_key(&name), "{name}");
        // All files that are served equal those of the origin.
        let world = origin.world();
        for module in world.modules().filter(|module| module.path.as_ref() == "example.com/hello") {
            let zip = tree.get(&format!("example.com/hello/@v/{}.zip", module.version));
            assert!(zip.is_none_or(|zip| *zip == world.module(module).unwrap().zip), "{name}");
        }
    }
}

fn growth() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("there");
    origin.show(Some(310));
    let first = exported_from("store", &origin, folder.path(), "first", &TWO[..1]);
    let (code, said) = import(&origin, &there, &first);
    assert!(code == Some(0) && said.contains("trusted at 310 records"), "{said}");
    // The log grows by more than a tile, and the new record is not in the tile where the old tree ended.
    let late = ["example.com/late@v1.0.0"];
    origin.world().add_simple(late[0], "", "package late\n");
    origin.show(None);
    let second = exported_from("store", &origin, folder.path(), "second", &late);
    // An export of another store cannot prove that its history is that of the first.
    let other = exported(&origin, folder.path(), "other", &late);
    let (code, said) = import(&origin, &there, &other);
    assert!(code == Some(1) && said.contains("no stored or exported tiles prove it consistent"), "{said}");
    assert!(said.contains("imported 0 files"), "{said}");
    let (code, said) = import(&origin, &there, &second);
    assert!(code == Some(0) && said.contains("trusted at 608 records"), "{said}");
}

fn older_head() {
    let mut world = World::new("localhost.localdev/sumdb", [7; 32]);
    world.add_simple("example.com/early@v1.0.0", "", "package early\n");
    world.pad(299);
    world.add_simple("example.com/middle@v1.0.0", "", "package middle\n");
    world.pad(9);
    world.pad(290);
    world.add_simple("example.com/late@v1.0.0", "", "package late\n");
    let origin = origin(world);
    let folder = tempfile::tempdir().unwrap();
    origin.show(Some(310));
    let early = exported(&origin, folder.path(), "early", &["example.com/early@v1.0.0"]);
    let middle = exported(&origin, folder.path(), "middle", &["example.com/middle@v1.0.0"]);
    origin.show(None);
    let late = exported(&origin, folder.path(), "late", &["example.com/late@v1.0.0"]);

    let there = folder.path().join("there");
    assert_eq!(import(&origin, &there, &late).0, Some(0));
    let head = |files: std::collections::BTreeMap<String, Vec<u8>>| {
        files.into_iter().find(|(name, _)| name.ends_with("/head")).unwrap().1
    };
    let before = head(files(&there.join("sumdb")));
    // Its record is in a tile that is full in both trees; the consistency of the heads is not proved.
    let (code, said) = import(&origin, &there, &early);
    assert!(code == Some(0) && said.contains("1 record proved") && said.contains("imported 3 files"), "{said}");
    assert!(said.contains("(310 records) ignored: the trusted one is newer (601 records)"), "{said}");
    assert_eq!(head(files(&there.join("sumdb"))), before);
    // This one is in a tile that has grown since, and the export does not have the rest.
    let (code, said) = import(&origin, &there, &middle);
    assert!(code == Some(1) && said.contains("the record of example.com/middle@v1.0.0: the export of "), "{said}");
    assert_eq!(head(files(&there.join("sumdb"))), before);
    let mirror = Mirror::start_with(&there, &["--offline", "--sumdb", &nowhere(&origin)]);
    assert_eq!(get(&mirror.url, "/example.com/early/@v/v1.0.0.zip").status, 200);
    assert_eq!(get(&mirror.url, "/example.com/middle/@v/v1.0.0.zip").status, 502);
}

fn forked_head() {
    let honest_origin = origin(World::demo());
    let fork = honest_origin.world().fork(400, 207);
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("there");
    let ours = exported(&honest_origin, folder.path(), "ours", &TWO[..1]);
    assert_eq!(import(&honest_origin, &there, &ours).0, Some(0));
    let other_origin = origin(fork);
    assert_eq!(other_origin.world().size(), 607);
    let theirs = exported(&other_origin, folder.path(), "theirs.tar.zst", &TWO[1..]);
    let (code, said) = import(&honest_origin, &there, &theirs);
    assert!(code == Some(3) && said.contains("signed two histories"), "{said}");
    assert!(!files(&there.join("proxy")).contains_key("example.com/dep/v2/@v/v2.0.1.zip"));
    let evidence = files(&there.join("sumdb")).into_keys().find(|name| name.ends_with("fork.txt")).unwrap();
    let evidence = there.join("sumdb").join(evidence);
    let checked = run(&["verify", evidence.to_str().unwrap(), "--sumdb", &nowhere(&honest_origin)]);
    assert_eq!(checked.status.code(), Some(0));
    // Nothing new is imported until the operator removes the evidence.
    assert_eq!(import(&honest_origin, &there, &theirs).0, Some(3));
}

fn export_of_absent() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    assert_eq!(fetch(&origin, &data, &TWO[..1]).0, Some(0));
    origin.take_requests();
    let go_sum = go_sum(&origin, folder.path(), &TWO);
    let out = folder.path().join("out");
    let (code, said) = sumgate(&data, &origin.gosumdb(), &["cache", "export", "--for", &go_sum, out.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("exported 5 files (") && said.contains(" and 2 records, 2 MISSING OR REFUSED"), "{said}");
    assert!(said.contains("run `sumgate cache fetch` first"), "{said}");
    assert_eq!(origin.take_requests(), Vec::<String>::new());
}

fn told_early() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let go_sum = go_sum(&origin, folder.path(), &TWO);
    assert_eq!(fetch(&origin, &data, &["-m", &go_sum]).0, Some(0));
    origin.take_requests();
    let export = |out: &str| sumgate(&data, &nowhere(&origin), &["cache", "export", "--for", &go_sum, out]);
    let lines = std::fs::read_to_string(&go_sum).unwrap();
    let mut h1s = lines.lines().map(|line| line.rsplit(' ').next().unwrap());
    let (first, second) = (h1s.next().unwrap(), h1s.next().unwrap());
    std::fs::write(&go_sum, lines.replace(first, second)).unwrap();
    let (code, said) = export(&path("wrong"));
    assert!(code == Some(1) && said.contains(&format!("line 1 of {go_sum} says {second}, but it is")), "{said}");
    assert!(said.contains("exported 8 files"), "the right files are carried all the same: {said}");

    // Names that would become a folder, or fail only at the end.
    for name in ["out.tar", "out.tar.gz", "out.zip"] {
        let (code, said) = export(&path(name));
        assert!(code == Some(2) && said.contains("is neither a folder nor a .tar.zst"), "{said}");
    }
    std::fs::create_dir(path("out.tar.zst")).unwrap();
    assert_eq!(export(&path("out.tar.zst")).0, Some(2));
    let (code, said) = import(&origin, &folder.path().join("there"), &path("out.tar.zst"));
    assert!(code == Some(2) && said.contains("is empty: expected an export"), "{said}");
}

fn exempt() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    let go_sum = go_sum(&origin, folder.path(), &TWO);
    let exempt = ["--nosumdb", "example.com/dep"];
    let (code, said) = fetch(&origin, &here, &[&["-m", &go_sum], &exempt[..]].concat());
    assert_eq!(code, Some(0), "{said}");
    let asked = origin.take_requests();
    assert!(!asked.iter().any(|path| path.starts_with("/lookup/example.com/dep")), "{asked:?}");
    let out = folder.path().join("out");
    let words = [&["cache", "export", "--for", &go_sum, out.to_str().unwrap()], &exempt[..]].concat();
    let (code, said) = sumgate(&here, &nowhere(&origin), &words);
    assert!(code == Some(0) && said.contains("exported 8 files") && said.contains(" and 2 records"), "{said}");
    let words = ["cache", "import", out.to_str().unwrap()];
    let (code, said) = sumgate(&there, &nowhere(&origin), &words);
    assert!(code == Some(1) && said.contains("imported 5 files"), "nothing vouches for the other three: {said}");
    assert!(said.contains("does not have the record of example.com/dep/v2@v2.0.1"), "{said}");
    let (code, said) = sumgate(&there, &nowhere(&origin), &[&words[..], &exempt].concat());
    assert!(code == Some(0) && said.contains("imported 3 files") && said.contains("5 were in the store"), "{said}");
    assert_eq!(files(&there.join("pins")).len(), 2);
    assert_eq!(origin.take_requests(), Vec::<String>::new());
}
