//! A full disk: caches may be lost; heads, pins and evidence may not.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use testkit::{Origin, World};

use crate::fixture::{Mirror, get, mount_trial, on_mount, origin};

pub fn trials() -> Vec<Trial> {
    vec![
        mount_trial("full disk: answers that need no storage are served, and the cause is logged once", full),
        mount_trial("full disk: a fork is not forgotten, and the head does not move", full_fork),
        mount_trial("read-only disk: stored files are served and audited", read_only),
    ]
}

const MODULES: usize = 40;

fn world() -> World {
    let mut world = World::new("localhost.localdev/sumdb", [7; 32]);
    for nth in 0..MODULES {
        world.add_simple(&format!("example.com/m{nth}@v1.0.0"), "", "package m\n");
    }
    world.pad(1000);
    world
}

/// A mirror whose data folder is on a small file system of its own.
fn mirror(origin: &Origin, mount: &Path) -> Mirror {
    let program = on_mount(mount, "mount -t tmpfs -o size=1m tmpfs", Path::new(env!("CARGO_BIN_EXE_sumgate")));
    let words = ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb(), "--nosumdb", "example.com/m39"];
    // It writes its log beside the data folder, which is outside.
    Mirror::start_by(program, mount, &words)
}

/// The data folder as the process sees it.
fn inside(mirror: &Mirror, mount: &Path) -> PathBuf {
    let root = Path::new("/proc").join(mirror.process.0.id().to_string()).join("root");
    root.join(mount.strip_prefix("/").unwrap())
}

/// Writes until nothing more fits. Returns the file.
fn fill(mirror: &Mirror, mount: &Path) -> PathBuf {
    let filler = inside(mirror, mount).join("filler");
    let mut file = File::create(&filler).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
    filler
}

fn lookup(nth: usize) -> String {
    format!("/sumdb/localhost.localdev/sumdb/lookup/example.com/m{nth}@v1.0.0")
}

fn full() {
    let (origin, folder) = (origin(world()), tempfile::tempdir().unwrap());
    let mount = folder.path().join("data");
    fs::create_dir(&mount).unwrap();
    origin.show(Some(1000));
    let mirror = mirror(&origin, &mount);
    let at = |path: &str| get(&mirror.url, path);
    for file in ["zip", "mod"] {
        assert_eq!(at(&format!("/example.com/m0/@v/v1.0.0.{file}")).status, 200);
    }
    // A zip without its line in the list, and a go.mod without its pin, as after another full disk.
    let (here, pinned) = (inside(&mirror, &mount), "example.com/m39/@v/v1.0.0.mod");
    assert_eq!(at(&format!("/{pinned}")).status, 200);
    for lost in ["proxy/example.com/m0/@v/list".to_owned(), format!("pins/{pinned}")] {
        fs::remove_file(here.join(lost)).unwrap();
    }
    for changed in ["example.com/m0/@v/v1.0.0.zip", pinned] {
        let file = File::options().write(true).open(here.join("proxy").join(changed)).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    }
    let filler = fill(&mirror, &mount);
    let tiles = "/sumdb/localhost.localdev/sumdb/tile/8";
    // The second and third are not here yet.
    let mut paths: Vec<String> =
        ["0/000", "0/001", "0/002", "0/003.p/232", "1/000.p/3"].iter().map(|tile| format!("{tiles}/{tile}")).collect();
    paths.push("/example.com/m0/@v/v1.0.0.zip".to_owned());
    for nth in 0..MODULES - 1 {
        let module = format!("/example.com/m{nth}/@v");
        paths.extend([lookup(nth), format!("{module}/v1.0.0.info"), format!("{module}/list")]);
    }
    let failed: Vec<String> = paths.into_iter().filter(|path| at(path).status != 200).collect();
    assert_eq!(failed, Vec::<String>::new());
    let log = || fs::read_to_string(mount.with_extension("log")).unwrap();
    assert_eq!(log().matches("No space left on device").count(), 1, "{}", log());

    // An exempt file is not served before its pin is on disk, and a head is not trusted before it is on disk.
    let unproved = at("/example.com/m39/@v/v1.0.0.mod");
    assert!(unproved.status == 500 && unproved.text().contains("pins/"), "{}", unproved.text());
    origin.show(None);
    origin.world().add_simple("example.com/new@v1.0.0", "", "package m\n");
    let new = "/sumdb/localhost.localdev/sumdb/lookup/example.com/new@v1.0.0";
    let answer = at(new);
    assert!(answer.status == 500 && answer.text().contains("make room there"), "{}", answer.text());
    assert!(at("/").text().contains("trusted tree size 1000"), "{}", at("/").text());

    fs::remove_file(filler).unwrap();
    for path in [new, "/example.com/m39/@v/v1.0.0.mod", "/example.com/m1/@v/v1.0.0.zip"] {
        assert_eq!(at(path).status, 200, "{path}");
    }
}

fn full_fork() {
    let (origin, folder) = (origin(world()), tempfile::tempdir().unwrap());
    let mount = folder.path().join("data");
    fs::create_dir(&mount).unwrap();
    let mirror = mirror(&origin, &mount);
    assert_eq!(get(&mirror.url, &lookup(0)).status, 200);
    let databases = inside(&mirror, &mount).join("sumdb");
    let database = fs::read_dir(databases).unwrap().next().unwrap().unwrap().path();
    let head = || fs::read_to_string(database.join("head")).unwrap();
    let before = head();
    let filler = fill(&mirror, &mount);
    let other = origin.world().fork(500, 700);
    *origin.world() = other;
    let answer = get(&mirror.url, &lookup(1));
    assert_eq!(answer.status, 500, "{}", answer.text());
    fs::remove_file(filler).unwrap();
    let answer = get(&mirror.url, &lookup(1));
    assert!(answer.status != 200 && answer.text().contains("fork"), "{}", answer.text());
    assert!(head() == before && database.join("fork.txt").is_file(), "the head stays, and the evidence is on disk");
}

fn read_only() {
    let (origin, folder) = (origin(world()), tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    let mirror = Mirror::start(&origin, &data);
    let zip = "/example.com/m0/@v/v1.0.0.zip";
    assert_eq!(get(&mirror.url, zip).status, 200);
    let reply = get(&mirror.url, &lookup(0)).text();
    drop(mirror);
    let go_sum = folder.path().join("go.sum");
    fs::write(
        &go_sum,
        reply.lines().filter(|line| line.contains(" h1:")).map(|line| format!("{line}\n")).collect::<String>(),
    )
    .unwrap();
    let again = "f() { mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\"; }; f";
    let here = || on_mount(&data, again, Path::new(env!("CARGO_BIN_EXE_sumgate")));
    let mut audit = here();
    audit.args(["audit", "--offline", "--sumdb", &origin.gosumdb(), "--data"]).arg(&data).arg(&go_sum);
    let told = audit.output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&[told.stdout, told.stderr].concat()));
    let offline = Mirror::start_by(here(), &data, &["--offline", "--sumdb", &origin.gosumdb()]);
    assert_eq!(get(&offline.url, zip).status, 200);
    drop(offline);
    let log = fs::read_to_string(data.with_extension("log")).unwrap();
    assert!(!log.contains("Read-only file system"), "nothing is lost where nothing is kept: {log}");
    // Commands that write fail.
    let mut fetch = here();
    fetch.args(["cache", "fetch", "example.com/m1@v1.0.0", "--sumdb", &origin.gosumdb(), "--data"]).arg(&data);
    let told = fetch.output().unwrap();
    let said = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(
        told.status.code() == Some(2) && said.contains("Read-only file system") && said.contains("--data"),
        "{said}"
    );
}
