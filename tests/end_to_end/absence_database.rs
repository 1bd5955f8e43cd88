//! When the checksum database makes a version absent (404), and when it does not.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use libtest_mimic::Trial;
use testkit::{Fault, Origin, World};

use crate::fixture::{Go, Mirror, get, go_trial, origin, run, trial};

const HELLO: &str = "example.com/hello@v1.0.0";
const MOD: &str = "/example.com/hello/@v/v1.0.0.mod";
const ZIP: &str = "/example.com/hello/@v/v1.0.0.zip";
const LOOKUP: &str = "/lookup/example.com/hello@v1.0.0";
/// A module that does not exist.
const NOBODY: [&str; 3] =
    ["/example.com/nobody/@v/v1.0.0.mod", "/example.com/nobody/@v/v1.0.0.zip", "/lookup/example.com/nobody@v1.0.0"];

pub fn trials() -> Vec<Trial> {
    vec![
        trial("absence: a tile that is 404 makes nothing absent", tile_404),
        trial("absence: a tree head that is 404 makes nothing absent", head_404),
        trial("absence: a request for a tile beyond the tree is not 404", tile_beyond),
        trial("absence: if the first database cannot be verified, the second does not decide", second_database),
        trial("absence: audit, a tile that is 404 leaves lines unchecked", audit_tile_404),
        trial("absence: an address that shows no signed head makes nothing absent", no_head),
        trial("absence: audit, an address that shows no signed head leaves lines unchecked", audit_no_head),
        trial("absence: an address is asked for its head once", head_once),
        trial("absence: a version that an upstream has and the database lacks is not absent yet", not_yet),
        trial("absence: the same holds for upper case, +incompatible and toolchains", kinds_of_names),
        trial("absence: after two hours the database's 404 counts", overdue),
        trial("absence: a version whose first request was evicted counts as new", evicted),
        trial("absence: an upstream that cannot be reached makes nothing absent", sources_down),
        trial("absence: with two databases, both must have no record", two_databases),
        go_trial("absence: go get waits for the record of a new version", go_waits),
        go_trial("absence: go fails quickly for a version that does not exist", go_ends),
        go_trial("absence: go asks no other proxy while the database fails", go_stays),
    ]
}

/// A mirror of one origin that does not wait for records.
fn mirror(origin: &Origin, more: &[&str]) -> (tempfile::TempDir, Mirror) {
    let folder = tempfile::tempdir().unwrap();
    let (url, sumdb) = (origin.url(), origin.gosumdb());
    let words = [&["--upstream", &url, "--sumdb", &sumdb, "--hold-for", "0s"], more].concat();
    let mirror = Mirror::start_with(&folder.path().join("data"), &words);
    (folder, mirror)
}

#[track_caller]
fn assert_status(mirror: &Mirror, path: &str, status: u16) -> String {
    let answer = get(&mirror.url, path);
    assert_eq!(answer.status, status, "{path}: {}", answer.text());
    answer.text()
}

const NOT_FOUND: Fault = Fault::Status(404, "not found\n");

fn tile_404() {
    for path in [MOD, ZIP, LOOKUP] {
        let origin = origin(World::demo());
        let (_folder, mirror) = mirror(&origin, &[]);
        origin.misbehave("/tile/*", NOT_FOUND);
        let said = assert_status(&mirror, path, 502);
        assert!(said.contains("cannot be verified"), "{said}");
        origin.behave();
        // Requests of that lookup for other tiles may be under way, and are shared.
        std::thread::sleep(Duration::from_millis(500));
        assert_status(&mirror, path, 200);
    }
}

fn head_404() {
    let origin = origin(World::demo());
    let (_folder, mirror) = mirror(&origin, &[]);
    origin.misbehave("/latest", NOT_FOUND);
    assert_status(&mirror, "/latest", 502);
    assert_status(&mirror, &format!("/sumdb/{}/latest", origin.world().name()), 502);
}

fn tile_beyond() {
    let origin = origin(World::demo());
    let (_folder, mirror) = mirror(&origin, &[]);
    assert_status(&mirror, "/tile/8/0/x999/999", 502);
    assert_status(&mirror, "/tile/8/5/000", 502);
}

/// Another world under another key, with the same modules.
fn second_world() -> Origin {
    let mut world = World::new("second.localdev", [9; 32]);
    world.add_simple(HELLO, "", "package hello\n");
    origin(world)
}

fn second_database() {
    let (first, second) = (origin(World::demo()), second_world());
    let (_folder, mirror) = mirror(&first, &["--sumdb", &second.gosumdb()]);
    first.misbehave("/tile/*", NOT_FOUND);
    assert_status(&mirror, ZIP, 502);
    assert_eq!(second.take_requests(), Vec::<String>::new());
}

fn audit(origin: &Origin, lines: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let (sums, data) = (folder.path().join("go.sum"), folder.path().join("data"));
    std::fs::write(&sums, lines).unwrap();
    let words = ["audit", sums.to_str().unwrap(), "--data", data.to_str().unwrap(), "--sumdb", &origin.gosumdb()];
    let output = run(&words);
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

const LINE: &str = "example.com/hello v1.0.0/go.mod h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=\n";
const UNKNOWN_LINE: &str = "example.com/nobody v1.0.0/go.mod h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=\n";

fn audit_tile_404() {
    let origin = origin(World::demo());
    origin.misbehave("/tile/*", NOT_FOUND);
    let (code, said) = audit(&origin, LINE);
    assert!(code == Some(2) && !said.contains("unknown-version"), "{said}");
}

fn no_head() {
    for fault in [NOT_FOUND, Fault::Body("<html>Log in</html>".into()), Fault::Status(500, "down"), Fault::Reset] {
        let origin = origin(World::demo());
        let (_folder, mirror) = mirror(&origin, &[]);
        // A captive portal, a wrong path, a proxy in between: every lookup is 404, and there is no head.
        origin.misbehave("/lookup/*", NOT_FOUND);
        origin.misbehave("/latest", fault.clone());
        for path in NOBODY.iter().chain(&[MOD, ZIP, LOOKUP]) {
            let said = assert_status(&mirror, path, 502);
            assert!(said.contains("checksum database"), "{fault:?}: {said}");
        }
    }
    // A head signed by another key does not count.
    let (origin, other) = (origin(World::demo()), second_world());
    let note = other.world().head_at(1).unwrap();
    let (_folder, mirror) = mirror(&origin, &[]);
    origin.misbehave("/latest", Fault::Body(note.into()));
    assert_status(&mirror, NOBODY[0], 502);
    // A head of any size counts.
    let old = origin.world().head_at(5).unwrap();
    origin.misbehave("/latest", Fault::Body(old.into()));
    assert_status(&mirror, NOBODY[0], 404);
}

fn audit_no_head() {
    let origin = origin(World::demo());
    assert_eq!(audit(&origin, UNKNOWN_LINE).0, Some(1), "an honest 404 is a finding at once");
    origin.misbehave("/latest", NOT_FOUND);
    let (code, said) = audit(&origin, UNKNOWN_LINE);
    assert!(code == Some(2) && !said.contains("unknown-version"), "{said}");
}

fn head_once() {
    let origin = origin(World::demo());
    let (_folder, mirror) = mirror(&origin, &[]);
    for nth in 0..20 {
        assert_status(&mirror, &format!("/lookup/example.com/nobody@v1.0.{nth}"), 404);
    }
    assert_eq!(origin.asked("/latest"), 1);
}

/// An origin that has a version without its record: the lookup of it is 404, its files are there.
fn with_new(module: &str) -> Origin {
    let origin = origin(World::demo());
    origin.world().add_simple(module, "", "package fresh\n");
    let (path, version) = module.split_once('@').unwrap();
    let escaped = gomodule::module::ModulePath::parse(path).unwrap().escaped();
    origin.misbehave(&format!("/lookup/{escaped}@{version}"), NOT_FOUND);
    origin
}

const FRESH: &str = "example.com/fresh@v1.0.0";
const FRESH_FILES: [&str; 3] =
    ["/example.com/fresh/@v/v1.0.0.mod", "/example.com/fresh/@v/v1.0.0.zip", "/lookup/example.com/fresh@v1.0.0"];

fn not_yet() {
    for path in FRESH_FILES {
        let origin = with_new(FRESH);
        let (_folder, mirror) = mirror(&origin, &[]);
        let answer = get(&mirror.url, path);
        assert_eq!(answer.status, 502, "{}", answer.text());
        assert!(answer.header("retry-after").is_some(), "{}", answer.head);
        assert!(answer.text().contains("try again"), "{}", answer.text());
        // An upstream whose .info names another version may have it, too.
        origin.misbehave("/example.com/fresh/@v/v1.0.0.info", Fault::Body(r#"{"Version":"v1.0.1"}"#.into()));
        let (_other, confused) = self::mirror(&origin, &[]);
        let answer = get(&confused.url, path);
        assert!(answer.status == 502 && answer.header("retry-after").is_some(), "{}", answer.head);
        // So may one without .info files.
        origin.misbehave("/example.com/fresh/@v/v1.0.0.info", NOT_FOUND);
        assert_status(&mirror, path, 502);
        // And one with only a zip.
        origin.misbehave("/example.com/fresh/@v/v1.0.0.mod", NOT_FOUND);
        let (_other, alone) = self::mirror(&origin, &[]);
        assert_status(&alone, path, 502);
        // One without any file says that the version does not exist.
        origin.misbehave("/example.com/fresh/@v/v1.0.0.zip", NOT_FOUND);
        let (_folder, mirror) = self::mirror(&origin, &[]);
        assert_status(&mirror, path, 404);
    }
}

fn kinds_of_names() {
    for (module, file) in [
        ("example.com/Fresh@v1.0.0", "/example.com/!fresh/@v/v1.0.0.zip"),
        ("example.com/fresh@v3.0.0+incompatible", "/example.com/fresh/@v/v3.0.0+incompatible.zip"),
    ] {
        let origin = with_new(module);
        let (_folder, mirror) = mirror(&origin, &[]);
        assert_status(&mirror, file, 502);
    }
    let origin = origin(World::demo());
    origin.world().add_toolchain("v0.0.1-go1.99.2.linux-amd64", "go1.99.2");
    origin.misbehave("/lookup/golang.org/toolchain@*", NOT_FOUND);
    let (_folder, mirror) = mirror(&origin, &[]);
    assert_status(&mirror, "/golang.org/toolchain/@v/v0.0.1-go1.99.2.linux-amd64.zip", 502);
    assert_status(&mirror, "/golang.org/toolchain/@v/v0.0.1-go1.99.3.linux-amd64.zip", 404);
}

/// The file with the times of the first lookups in the database below `data`.
fn first_asked(data: &Path) -> std::path::PathBuf {
    let state = std::fs::read_dir(data.join("sumdb")).unwrap().next().unwrap().unwrap().path();
    state.join("first-asked")
}

/// A data folder with first lookups of some versions so many seconds ago.
fn noted(origin: &Origin, folder: &Path, versions: &[(&str, u64)]) -> std::path::PathBuf {
    let data = folder.join("data");
    drop(Mirror::start(origin, &data));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let lines: String = versions.iter().map(|(module, ago)| format!("{} {module}\n", now - ago)).collect();
    std::fs::write(first_asked(&data), lines).unwrap();
    data
}

fn overdue() {
    for (ago, status) in [(3600, 502), (2 * 3600 - 60, 502), (2 * 3600 + 1, 404)] {
        let (origin, folder) = (with_new(FRESH), tempfile::tempdir().unwrap());
        let data = noted(&origin, folder.path(), &[(FRESH, ago)]);
        let words = ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb(), "--hold-for", "0s"];
        let mirror = Mirror::start_with(&data, &words);
        for path in FRESH_FILES {
            assert_status(&mirror, path, status);
        }
        // A request for a list is not a lookup.
        assert_status(&mirror, "/example.com/fresh/@v/list", 200);
    }
    // The time of the first request is kept over a restart.
    let (origin, folder) = (with_new(FRESH), tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    let words = ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb(), "--hold-for", "0s"];
    let mirror = Mirror::start_with(&data, &words);
    assert_status(&mirror, "/example.com/fresh/@v/list", 200);
    assert!(!first_asked(&data).exists(), "a list is no such moment");
    assert_status(&mirror, FRESH_FILES[0], 502);
    let noted = std::fs::read_to_string(first_asked(&data)).unwrap();
    assert!(noted.ends_with(&format!(" {FRESH}\n")) && noted.lines().count() == 1, "{noted}");
    drop(mirror);
    let mirror = Mirror::start_with(&data, &words);
    assert_status(&mirror, FRESH_FILES[1], 502);
    assert_eq!(std::fs::read_to_string(first_asked(&data)).unwrap(), noted);
}

fn evicted() {
    let (origin, folder) = (with_new(FRESH), tempfile::tempdir().unwrap());
    let others: Vec<String> = (0..10_000).map(|nth| format!("example.com/other@v1.0.{nth}")).collect();
    let mut all = vec![(FRESH, 3 * 3600)];
    all.extend(others.iter().map(|other| (other.as_str(), 3600)));
    let data = noted(&origin, folder.path(), &all);
    let words = ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb(), "--hold-for", "0s"];
    let mirror = Mirror::start_with(&data, &words);
    assert_status(&mirror, FRESH_FILES[0], 502);
}

fn sources_down() {
    for fault in [Fault::Status(500, "down"), Fault::Reset, Fault::Body("<html>Log in</html>".into())] {
        let origin = origin(World::demo());
        let (_folder, mirror) = mirror(&origin, &[]);
        origin.misbehave("/example.com/nobody/*", fault);
        for path in NOBODY {
            assert_status(&mirror, path, 502);
        }
    }
}

fn two_databases() {
    let (first, second) = (origin(World::demo()), second_world());
    second.world().add_simple("example.com/ours@v1.0.0", "", "package ours\n");
    first.world().add_simple("example.com/ours@v1.0.0", "", "package ours\n");
    first.misbehave("/lookup/example.com/ours@v1.0.0", NOT_FOUND);
    let (_folder, mirror) = mirror(&first, &["--sumdb", &second.gosumdb()]);
    assert_status(&mirror, "/example.com/ours/@v/v1.0.0.mod", 200);
    assert_status(&mirror, NOBODY[0], 404);
    second.misbehave("/lookup/*", Fault::Status(500, "down"));
    assert_status(&mirror, "/example.com/nothing/@v/v1.0.0.mod", 502);
    second.behave();
    second.misbehave("/lookup/*", NOT_FOUND);
    second.misbehave("/latest", NOT_FOUND);
    let other = self::mirror(&first, &["--sumdb", &second.gosumdb()]);
    assert_status(&other.1, "/example.com/nothing/@v/v1.0.0.mod", 502);
}

/// A `go` with another origin after the mirror in GOPROXY.
fn go_with_next(go: &Path, origin: &Origin, mirror: &Mirror, next: &Origin) -> Go {
    let proxies = format!("{},{}", mirror.url, next.url());
    let go = Go::new(go, &proxies, &format!("{} {}", origin.key(), mirror.url));
    go.write("go.mod", "module example.org/app\n\ngo 1.21\n");
    go
}

fn go_waits(go: &Path) {
    let (origin, next) = (with_new(FRESH), origin(World::demo()));
    next.world().add_simple(FRESH, "", "package fresh\n");
    let folder = tempfile::tempdir().unwrap();
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    let go = go_with_next(go, &origin, &mirror, &next);
    let lookup = "/lookup/example.com/fresh@v1.0.0";
    let start = Instant::now();
    std::thread::scope(|scope| {
        // 404, then 500, then a reset, 10 s long, then the record.
        scope.spawn(|| {
            let then = |seconds: u64| std::thread::sleep(Duration::from_secs(seconds).saturating_sub(start.elapsed()));
            then(4);
            origin.misbehave(lookup, Fault::Status(500, "busy"));
            then(7);
            origin.misbehave(lookup, Fault::Reset);
            then(10);
            origin.behave();
        });
        go.must(&["get", FRESH]);
    });
    assert!(start.elapsed() >= Duration::from_secs(10), "the record was not there before");
    assert_eq!(next.take_requests(), Vec::<String>::new());
}

fn go_ends(go: &Path) {
    let (origin, next) = (origin(World::demo()), origin(World::demo()));
    let folder = tempfile::tempdir().unwrap();
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    let go = go_with_next(go, &origin, &mirror, &next);
    let start = Instant::now();
    go.must_fail(&["get", "example.com/hello@v1.7.7"], "v1.7.7");
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

fn go_stays(go: &Path) {
    let of_tile = |origin: &Origin| origin.misbehave("/tile/*", NOT_FOUND);
    let of_portal = |origin: &Origin| {
        origin.misbehave("/lookup/*", NOT_FOUND);
        origin.misbehave("/latest", Fault::Body("<html>Log in</html>".into()));
    };
    let of_new = |origin: &Origin| origin.misbehave("/lookup/*", NOT_FOUND);
    let ways: [&dyn Fn(&Origin); 3] = [&of_tile, &of_portal, &of_new];
    for way in ways {
        let (origin, next) = (origin(World::demo()), origin(World::demo()));
        way(&origin);
        let (_folder, mirror) = mirror(&origin, &[]);
        let go = go_with_next(go, &origin, &mirror, &next);
        go.must_fail(&["mod", "download", HELLO], "502 Bad Gateway");
        assert_eq!(next.take_requests(), Vec::<String>::new());
    }
}
