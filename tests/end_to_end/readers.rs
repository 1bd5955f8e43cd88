//! Commands that only read work on a data folder that they cannot write: a medium, or a folder of another user.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Trial;
use testkit::{Origin, World};

use crate::airgap::{fetch, go_sum};
use crate::fixture::{Mirror, files, get, mount_trial, on_mount, origin, root_trial, sumgate};

const NOBODY: u32 = 65_534;
const HELLO: &str = "example.com/hello@v1.0.0";
const PINNED: &str = "example.com/dep/v2@v2.0.1";
const FILES: [&str; 2] = ["/example.com/hello/@v/v1.0.0.zip", "/example.com/dep/v2/@v/v2.0.1.zip"];

pub fn trials() -> Vec<Trial> {
    vec![
        root_trial("readers: a folder with mode 0555 is served, audited, exported and explained", without_permission),
        root_trial("readers: so is a folder of another user that everyone may read", of_another_user),
        root_trial(
            "readers: a folder of the system on a medium that cannot be read is named, with what to do",
            lost_and_found,
        ),
        mount_trial("readers: so is a medium that is mounted read-only", read_only_medium),
    ]
}

/// A store with a proved and a pinned module, and its go.sum.
fn filled(origin: &Origin, folder: &Path) -> (PathBuf, String) {
    let data = folder.join("data");
    let go_sum = go_sum(origin, folder, &[HELLO, PINNED]);
    let (code, said) = fetch(origin, &data, &["-m", &go_sum, "--nosumdb", "example.com/dep"]);
    assert_eq!(code, Some(0), "{said}");
    origin.take_requests();
    (data, go_sum)
}

/// The modes of everything below a folder, and the folder itself: `mode` for folders, without the bits to execute for files.
fn set_modes(root: &Path, mode: u32) {
    for entry in walk(root) {
        let bits = if entry.is_dir() { mode } else { mode & 0o666 };
        fs::set_permissions(&entry, Permissions::from_mode(bits)).unwrap();
    }
}

fn set_owner(root: &Path, user: u32) {
    for entry in walk(root) {
        chown(entry, Some(user), Some(user)).unwrap();
    }
}

fn walk(root: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (vec![root.to_owned()], vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            found.push(entry.clone());
            if entry.is_dir() {
                folders.push(entry);
            }
        }
    }
    found
}

/// Everything in a folder: names with modes, and contents.
type State = (Vec<(PathBuf, u32)>, BTreeMap<String, Vec<u8>>);

fn state(data: &Path) -> State {
    let mut entries: Vec<_> =
        walk(data).into_iter().map(|path| (path.clone(), path.metadata().unwrap().permissions().mode())).collect();
    entries.sort();
    (entries, files(data))
}

/// Every command that only reads does its work with a program of `by`, and changes nothing.
fn read(origin: &Origin, folder: &Path, data: &Path, go_sum: &str, by: impl Fn() -> Command) {
    let before = state(data);
    let sumdb = origin.gosumdb();
    let said = |words: &[&str]| {
        let output = by().args(words).args(["--sumdb", &sumdb, "--data"]).arg(data).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), said)
    };
    let out = folder.join("out");
    for (words, expected) in [
        (&["audit", "--offline", "--no-policy", "--nosumdb", "example.com/dep", go_sum][..], "clean: "),
        (&["why", "--offline", HELLO], "stored "),
        (&["why", "--offline", "--nosumdb", "example.com/dep", PINNED], "exempt"),
        // It makes requests, but keeps nothing.
        (&["why", "example.com/Upper/CaseMod@v1.2.3"], "verified: it is in the tree"),
        (&["audit", "--no-policy", "--nosumdb", "example.com/dep", go_sum], "clean: "),
        (&["sumdb", "lookup", "example.com/hello@v1.1.0"], "verified: it is in the tree"),
    ] {
        let (code, said) = said(words);
        assert!(code == Some(0) && said.contains(expected), "{words:?}: {code:?} {said}");
    }
    let export = ["cache", "export", "--nosumdb", "example.com/dep", "--for", go_sum, out.to_str().unwrap()];
    let (code, told) = said(&export);
    assert!(code == Some(0) && told.starts_with("exported "), "{told}");
    let listed = by().args(["cache", "pins", "list", "--data"]).arg(data).output().unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let words = ["--offline", "--sumdb", &sumdb, "--nosumdb", "example.com/dep"];
    let mirror = Mirror::start_by(by(), data, &words);
    for file in FILES {
        let answer = get(&mirror.url, file);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    for more in ["/example.com/hello/@v/list", "/example.com/hello/@latest", "/example.com/hello/@v/v1.0.0.info"] {
        assert_eq!(get(&mirror.url, more).status, 200, "{more}");
    }
    drop(mirror);
    let log = fs::read_to_string(data.with_extension("log")).unwrap();
    assert!(!log.contains("not stored") && !log.contains("ERROR"), "{log}");
    assert_eq!(state(data), before, "a reader writes nothing");
}

/// The program as another user.
fn as_nobody() -> Command {
    let mut command = sumgate();
    command.uid(NOBODY).gid(NOBODY).env("HOME", "/nonexistent");
    command
}

fn without_permission() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let (data, go_sum) = filled(&origin, folder.path());
    set_owner(folder.path(), NOBODY);
    set_modes(&data, 0o555);
    read(&origin, folder.path(), &data, &go_sum, as_nobody);
    // The top folder may be writable, and one below it not.
    fs::remove_dir_all(folder.path().join("out")).unwrap();
    fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
    read(&origin, folder.path(), &data, &go_sum, as_nobody);
}

fn lost_and_found() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let (data, go_sum) = filled(&origin, folder.path());
    let (out, sumdb) = (folder.path().join("out"), origin.gosumdb());
    let run = |mut command: Command, words: &[&str], data: &Path| {
        let output = command.args(words).args(["--sumdb", &sumdb, "--data"]).arg(data).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let export = ["cache", "export", "--nosumdb", "example.com/dep", "--for", &go_sum, out.to_str().unwrap()];
    assert_eq!(run(sumgate(), &export, &data).0, Some(0));
    set_modes(folder.path(), 0o755);
    let there = folder.path().join("there");
    fs::create_dir(&there).unwrap();
    chown(&there, Some(NOBODY), Some(NOBODY)).unwrap();
    let import = ["cache", "import", "--nosumdb", "example.com/dep", out.to_str().unwrap()];
    let with = |name: &str| {
        let hidden = out.join(name);
        fs::create_dir(&hidden).unwrap();
        fs::set_permissions(&hidden, Permissions::from_mode(0o700)).unwrap();
        let result = run(as_nobody(), &import, &there);
        fs::remove_dir(&hidden).unwrap();
        result
    };
    for name in ["lost+found", "System Volume Information", ".Trashes"] {
        let (code, said) = with(name);
        let is_named = said.contains(name) && said.contains("remove it, or copy the rest to a folder and import that");
        assert!(code == Some(1) && is_named, "{code:?} {said}");
    }
    let (code, said) = with("example.org");
    assert!(code == Some(2) && said.contains("example.org: Permission denied"), "it may be of the export: {said}");
    let (code, said) = run(as_nobody(), &import, &there);
    assert_eq!(code, Some(0), "{said}");
}

fn of_another_user() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let (data, go_sum) = filled(&origin, folder.path());
    set_modes(folder.path(), 0o755);
    // For the export.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    read(&origin, folder.path(), &data, &go_sum, as_nobody);
}

fn read_only_medium() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let (data, go_sum) = filled(&origin, folder.path());
    let again = "f() { mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\"; }; f";
    let by = || on_mount(&data, again, Path::new(env!("CARGO_BIN_EXE_sumgate")));
    read(&origin, folder.path(), &data, &go_sum, by);
    let said = |words: &[&str]| {
        let output = by().args(words).args(["--sumdb", &origin.gosumdb(), "--data"]).arg(&data).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    // The log grows: the new head counts for one command.
    origin.world().add_simple("example.com/new@v1.0.0", "", "package new\n");
    let (code, told) = said(&["why", "example.com/new@v1.0.0"]);
    assert!(code == Some(0) && told.contains("608 records"), "{told}");
    // A fork is still reported as one, with evidence that can be verified.
    let fork = origin.world().fork(400, 900);
    let honest = std::mem::replace(&mut *origin.world(), fork);
    let (code, told) = said(&["why", "example.com/Upper/CaseMod@v1.2.3"]);
    assert!(code == Some(3) && told.contains("signed two histories"), "{told}");
    let evidence = told.split("The evidence is in ").nth(1).unwrap().split(' ').next().unwrap().trim_end_matches('.');
    let verified = sumgate().args(["verify", evidence, "--sumdb", &origin.gosumdb()]).output().unwrap();
    assert_eq!(verified.status.code(), Some(0), "{}", String::from_utf8_lossy(&verified.stderr));
    fs::remove_file(evidence).unwrap();
    *origin.world() = honest;

    // A wrong file stays, and is not served.
    let zip = data.join(format!("proxy{}", FILES[0]));
    fs::write(&zip, "PK").unwrap();
    let mirror = Mirror::start_by(by(), &data, &["--offline", "--sumdb", &origin.gosumdb()]);
    let answer = get(&mirror.url, FILES[0]);
    assert!(answer.status == 502 && answer.text().contains("is not in the mirror"), "{}", answer.text());
    drop(mirror);
    assert_eq!(fs::read(&zip).unwrap(), b"PK");
    assert!(fs::read_to_string(data.with_extension("log")).unwrap().contains("the stored file is wrong"));
    // A store of another database: there is no folder for this one.
    fs::remove_dir_all(data.join("sumdb")).unwrap();
    let (code, told) = said(&["why", HELLO]);
    assert!(code == Some(1) && told.contains("verified: it is in the tree"), "the zip is still wrong: {told}");
}
