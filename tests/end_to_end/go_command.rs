//! The real `go` command downloads through the mirror.

use std::path::Path;

use libtest_mimic::Trial;
use testkit::World;

use crate::fixture::{Go, Mirror, go_trial, origin, wait};

/// Upper case, `+incompatible`, `/v2`, pseudo-version, dependencies.
const MODULES: [&str; 6] = [
    "example.com/hello@v1.0.0",
    "example.com/hello@v1.1.0",
    "example.com/Upper/CaseMod@v1.2.3",
    "example.com/legacy@v2.0.0+incompatible",
    "example.com/dep/v2@v2.0.1",
    "example.com/pseudo@v0.0.0-20260102030405-0123456789ab",
];

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("go: the origin itself is a proxy and a database", straight_to_the_origin),
        go_trial("go: GOPROXY alone", goproxy_alone),
        go_trial("go: GOSUMDB with the mirror's url", gosumdb_with_url),
        go_trial("go: below a base path", below_a_base_path),
        go_trial("go: with direct after the mirror", with_direct_behind),
        go_trial("go: a toolchain", a_toolchain),
        go_trial("go: builds, lists, and gets by query", builds_lists_and_queries),
        go_trial("go: file:// on the data folder when the mirror is down", file_tree_without_the_mirror),
        go_trial("go: a warm mirror makes no requests", warm_asks_nobody),
        go_trial("go: the printed go env command works", the_printed_line_works),
        go_trial("go: the name of an exempt module is not sent to the database", exempt_modules),
    ]
}

fn download_all(go: &Go) {
    let mut arguments = vec!["mod", "download"];
    arguments.extend(MODULES);
    go.must(&arguments);
    let downloaded = go.module_cache().join("cache/download/example.com/!upper/!case!mod/@v/v1.2.3.zip");
    assert!(downloaded.is_file());
}

fn straight_to_the_origin(go: &Path) {
    let origin = origin(World::demo());
    download_all(&Go::new(go, &origin.url(), &origin.gosumdb()));
}

fn goproxy_alone(go: &Path) {
    let (origin, data) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &data.path().join("data"));
    let key = origin.key();
    download_all(&Go::new(go, &mirror.url, &key));
}

fn gosumdb_with_url(go: &Path) {
    let (origin, data) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &data.path().join("data"));
    let gosumdb = format!("{} {}", origin.key(), mirror.url);
    download_all(&Go::new(go, &mirror.url, &gosumdb));
}

fn below_a_base_path(go: &Path) {
    let (origin, data) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let more = ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb(), "--base-path", "/go/mirror"];
    let mirror = Mirror::start_with(&data.path().join("data"), &more);
    assert!(mirror.url.ends_with("/go/mirror"));
    let key = origin.key();
    download_all(&Go::new(go, &mirror.url, &key));
    download_all(&Go::new(go, &mirror.url, &format!("{key} {}", mirror.url)));
}

fn with_direct_behind(go: &Path) {
    let (origin, data) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &data.path().join("data"));
    let key = origin.key();
    download_all(&Go::new(go, &format!("{},direct", mirror.url), &key));
    // A refusal must not send `go` round the mirror: 403 is final, where 404 would lead on to direct.
    let path = "/example.com/hello/@v/v1.0.0.zip";
    let other = origin.world().module(&hello("v1.1.0")).unwrap().zip.clone();
    origin.misbehave(path, testkit::Fault::Body(other.into()));
    drop(mirror);
    let fresh = Mirror::start(&origin, &data.path().join("fresh"));
    let go = Go::new(go, &format!("{},direct", fresh.url), &key);
    go.must_fail(&["mod", "download", "example.com/hello@v1.0.0"], "403 Forbidden");
}

fn hello(version: &str) -> gomodule::module::ModuleVersion {
    gomodule::module::ModuleVersion::parse(&format!("example.com/hello@{version}")).unwrap()
}

fn a_toolchain(go: &Path) {
    let (origin, data) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &data.path().join("data"));
    let key = origin.key();
    for gosumdb in [key.clone(), format!("{key} {}", mirror.url)] {
        // GONOSUMDB does not exempt a toolchain from the database.
        let go = Go::new(go, &mirror.url, &gosumdb).set("GOTOOLCHAIN", "go1.99.1").set("GONOSUMDB", "golang.org");
        let output = go.must(&["version"]);
        assert!(output.contains("go version go1.99.1 demo"), "{output}");
    }
}

fn builds_lists_and_queries(go: &Path) {
    let (origin, data) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &data.path().join("data"));
    let gosumdb = format!("{} {}", origin.key(), mirror.url);
    let go = Go::new(go, &mirror.url, &gosumdb);
    go.must(&["mod", "init", "example.org/app"]);
    let program = "package main\n\nimport \"example.com/hello\"\n\nfunc main() { println(hello.Text()) }\n";
    std::fs::write(go.home().join("main.go"), program).unwrap();
    go.must(&["get", "example.com/hello@v1.0.0"]);
    assert!(go.must(&["run", "."]).contains("hello"));
    go.must(&["get", "example.com/hello@main"]);
    assert!(go.must(&["run", "."]).contains("C2"));
    go.must(&["get", "-u", "./..."]);
    assert!(go.must(&["list", "-m", "-versions", "example.com/hello"]).contains("v1.0.0 v1.1.0"));
    go.must_fail(&["get", "example.com/nothing@v1.0.0"], "404 Not Found");
    go.must(&["mod", "verify"]);
}

fn file_tree_without_the_mirror(go: &Path) {
    let (origin, data) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let data = data.path().join("data");
    let mirror = Mirror::start(&origin, &data);
    download_all(&Go::new(go, &mirror.url, &origin.key()));
    drop((mirror, origin));
    let go = Go::new(go, &format!("file://{}/proxy", data.canonicalize().unwrap().display()), "off");
    download_all(&go);
    assert!(go.must(&["list", "-m", "-versions", "example.com/hello"]).contains("v1.0.0 v1.1.0"));
}

fn warm_asks_nobody(go: &Path) {
    let (origin, data) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let data = data.path().join("data");
    let key = origin.key();
    let mirror = Mirror::start(&origin, &data);
    download_all(&Go::new(go, &mirror.url, &format!("{key} {}", mirror.url)));
    drop(mirror);
    origin.take_requests();
    // Also after a restart: files are hashed and proofs verified again, without requests.
    let mirror = Mirror::start(&origin, &data);
    download_all(&Go::new(go, &mirror.url, &format!("{key} {}", mirror.url)));
    assert_eq!(origin.take_requests(), Vec::<String>::new());
}

fn the_printed_line_works(go: &Path) {
    let (origin, data) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mut mirror = Mirror::start(&origin, &data.path().join("data"));
    let line = mirror.greeting.lines().find(|line| line.contains("go env -w")).unwrap().trim();
    let (proxy, rest) = line.strip_prefix("go env -w GOPROXY=").unwrap().split_once(' ').unwrap();
    let sumdb = rest.strip_prefix("GOSUMDB=\"").unwrap().strip_suffix('"').unwrap();
    download_all(&Go::new(go, proxy, sumdb));
    // It stops on a signal.
    let id = mirror.process.0.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(wait(&mut mirror.process.0).code(), Some(0));
}

fn exempt_modules(go: &Path) {
    let (origin, data) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let data = data.path().join("data");
    let more = ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb(), "--nosumdb", "example.com/Upper"];
    let mirror = Mirror::start_with(&data, &more);
    let gosumdb = format!("{} {}", origin.key(), mirror.url);
    let module = "example.com/Upper/CaseMod@v1.2.3";
    Go::new(go, &mirror.url, &gosumdb).set("GONOSUMDB", "example.com/Upper").must(&["mod", "download", module]);
    // A client without GONOSUMDB leaks nothing: the mirror does not look it up.
    Go::new(go, &mirror.url, &gosumdb).must_fail(&["mod", "download", module], "exempt");
    let asked = origin.take_requests();
    assert!(!asked.iter().any(|path| path.contains("lookup") && path.contains("upper")), "{asked:?}");
    // The first bytes are pinned: others are refused, also after the cached file is gone.
    drop(mirror);
    std::fs::remove_file(data.join("proxy/example.com/!upper/!case!mod/@v/v1.2.3.mod")).unwrap();
    origin.misbehave("/example.com/!upper/!case!mod/@v/v1.2.3.mod", testkit::Fault::Body("module other\n".into()));
    let mirror = Mirror::start_with(&data, &more);
    let answer = crate::fixture::get(&mirror.url, "/example.com/!upper/!case!mod/@v/v1.2.3.mod");
    assert_eq!(answer.status, 403, "{}", answer.text());
}
