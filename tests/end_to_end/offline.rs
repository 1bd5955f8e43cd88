//! Offline: stored files are proved and served, and everything else is refused, not absent.
//!
//! The origin keeps running and records requests, so that trials can check that there are none.

use std::path::Path;

use gomodule::module::ModuleVersion;
use libtest_mimic::Trial;
use testkit::{Origin, World};

use crate::airgap::{exported_from, import, nowhere};
use crate::fixture::{Go, Mirror, get, go_trial, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("offline: go builds from the store, without requests", go_builds),
        trial("offline: what is not in the store is 502 with a reason", what_is_not_there),
        trial("offline: lists and @latest contain the released versions", lists),
        go_trial("offline: what is imported while the mirror runs is served", imported_meanwhile),
        trial("offline: a missing .info is generated from the proved version", made_info),
        trial("offline: a file that changed on disk is not served", changed_on_disk),
        trial("offline: retractions are those of the newest stored version", retractions),
    ]
}

const MAIN: &str = "package main\n\nimport \"example.com/hello\"\n\nfunc main() { println(hello.Text()) }\n";

/// Downloads every file of these modules through a mirror over `origin`, and stops it.
fn warm(origin: &Origin, data: &Path, modules: &[&str]) {
    let mirror = Mirror::start(origin, data);
    for module in modules {
        for kind in ["info", "mod", "zip"] {
            let path = file(module, kind);
            assert_eq!(get(&mirror.url, &path).status, 200, "{path}");
        }
    }
    drop(mirror);
    origin.take_requests();
}

/// The path of a file of `module`, which has no upper case.
fn file(module: &str, kind: &str) -> String {
    let (path, version) = module.split_once('@').unwrap();
    format!("/{path}/@v/{version}.{kind}")
}

/// An offline mirror that is configured with the origin.
fn offline(origin: &Origin, data: &Path) -> Mirror {
    Mirror::start_with(data, &["--offline", "--upstream", &origin.url(), "--sumdb", &origin.gosumdb()])
}

fn go_builds(go: &Path) {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let online = Mirror::start(&origin, &data);
    let first = Go::new(go, &online.url, &format!("{} {}", origin.key(), online.url));
    first.write("go.mod", "module example.com/main\n\ngo 1.21\n\nrequire example.com/hello v1.1.0\n");
    first.write("main.go", MAIN);
    first.must(&["build", "-o", "main"]);
    drop(online);
    origin.take_requests();

    let mirror = offline(&origin, &data);
    assert!(mirror.greeting.contains("upstream  none: offline"), "{}", mirror.greeting);
    // A new `go` installation: it looks up every module, and verifies records and tiles itself.
    let second = Go::new(go, &mirror.url, &format!("{} {}", origin.key(), mirror.url));
    second.write("go.mod", "module example.com/main\n\ngo 1.21\n\nrequire example.com/hello v1.1.0\n");
    second.write("main.go", MAIN);
    second.must(&["build", "-o", "main"]);
    let sums = std::fs::read_to_string(second.home().join("go.sum")).unwrap();
    assert_eq!(sums, std::fs::read_to_string(first.home().join("go.sum")).unwrap());
    second.must_fail(
        &["mod", "download", "example.com/legacy@v2.0.0+incompatible"],
        "example.com/legacy@v2.0.0+incompatible .info is not in the mirror, and the mirror is offline",
    );
    assert_eq!(origin.take_requests(), Vec::<String>::new());
}

fn what_is_not_there() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    warm(&origin, &data, &["example.com/hello@v1.0.0"]);
    let mirror = offline(&origin, &data);
    for absent in [
        "/example.com/hello/@v/v1.1.0.zip",
        "/example.com/hello/@v/v1.1.0.mod",
        "/example.com/hello/@v/v1.1.0.info",
        "/example.com/hello/@v/main.info",
        "/example.com/dep/v2/@v/list",
        "/example.com/dep/v2/@latest",
        "/example.com/nobody/@v/v1.0.0.zip",
        "/lookup/example.com/hello@v1.1.0",
        "/tile/8/0/000.p/200",
    ] {
        let answer = get(&mirror.url, absent);
        let said = answer.text();
        assert_eq!(answer.status, 502, "{absent}: {said}");
        assert!(said.contains(" is not in the mirror, and the mirror is offline"), "{absent}: {said}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    let sumdb = format!("/sumdb/{}", origin.world().name());
    for there in ["/lookup/example.com/hello@v1.0.0", "/latest", &format!("{sumdb}/supported"), "/"] {
        assert_eq!(get(&mirror.url, there).status, 200, "{there}");
    }
    assert_eq!(origin.take_requests(), Vec::<String>::new());

    // An empty folder.
    let mirror = offline(&origin, &folder.path().join("empty"));
    for absent in ["/latest", "/lookup/example.com/hello@v1.0.0", "/tile/8/0/000", "/example.com/hello/@v/list"] {
        let answer = get(&mirror.url, absent);
        assert_eq!(answer.status, 502, "{absent}: {}", answer.text());
        assert!(answer.text().contains("the mirror is offline"), "{absent}: {}", answer.text());
    }
    assert_eq!(origin.take_requests(), Vec::<String>::new());
}

fn lists() {
    let origin = origin(World::demo());
    for module in ["example.com/many@v1.0.0", "example.com/many@v1.2.0-rc.1", "example.com/many@v1.1.0"] {
        origin.world().add_simple(module, "", "package many\n");
    }
    origin.world().pad(1);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let pseudo = "example.com/pseudo@v0.0.0-20260102030405-0123456789ab";
    warm(&origin, &data, &["example.com/many@v1.2.0-rc.1", "example.com/many@v1.0.0", pseudo]);
    let mirror = offline(&origin, &data);
    let answer = |path: &str| get(&mirror.url, path).text();
    assert_eq!(answer("/example.com/many/@v/list"), "v1.0.0\nv1.2.0-rc.1\n");
    assert!(answer("/example.com/many/@latest").contains("\"v1.0.0\""), "a release comes before a newer pre-release");
    assert_eq!(answer("/example.com/pseudo/@v/list"), "");
    assert!(answer("/example.com/pseudo/@latest").contains("v0.0.0-20260102030405-0123456789ab"));
    assert_eq!(origin.take_requests(), Vec::<String>::new());
}

fn imported_meanwhile(go: &Path) {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mirror = Mirror::start_with(&data, &["--offline", "--sumdb", &nowhere(&origin)]);
    // The second record is beyond the head that the mirror trusts after the first.
    origin.world().add_simple("example.com/late@v1.0.0", "", "package late\n");
    for (size, module) in [(Some(310), "example.com/hello@v1.0.0"), (None, "example.com/late@v1.0.0")] {
        origin.show(size);
        let carried = exported_from("store", &origin, folder.path(), &format!("out-{size:?}"), &[module]);
        assert_eq!(import(&origin, &data, &carried).0, Some(0));
        let home = Go::new(go, &mirror.url, &format!("{} {}", origin.key(), mirror.url));
        home.must(&["mod", "download", module]);
    }
    assert_eq!(origin.take_requests(), Vec::<String>::new());
}

fn made_info() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let module = "example.com/hello@v1.0.0";
    warm(&origin, &data, &[module]);
    let kept = get(&offline(&origin, &data).url, &file(module, "info")).text();
    assert!(kept.contains("\"Origin\""), "{kept}");
    std::fs::remove_file(data.join(format!("proxy{}", file(module, "info")))).unwrap();
    let mirror = offline(&origin, &data);
    assert_eq!(get(&mirror.url, &file(module, "info")).text(), "{\"Version\":\"v1.0.0\"}");
    assert!(!data.join(format!("proxy{}", file(module, "info"))).exists(), "what is made is not kept as if it came");
    assert_eq!(origin.take_requests(), Vec::<String>::new());
}

fn changed_on_disk() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let module = "example.com/hello@v1.0.0";
    warm(&origin, &data, &[module]);
    let zip = origin.world().module(&ModuleVersion::parse("example.com/dep/v2@v2.0.1").unwrap()).unwrap().zip.clone();
    std::fs::write(data.join(format!("proxy{}", file(module, "zip"))), &zip).unwrap();
    let mirror = offline(&origin, &data);
    let answer = get(&mirror.url, &file(module, "zip"));
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert!(answer.text().contains("is not in the mirror, and the mirror is offline"), "{}", answer.text());
    assert!(mirror.quarantine().values().any(|bytes| *bytes == zip), "it is set aside");
    assert_eq!(origin.take_requests(), Vec::<String>::new());
}

fn retractions() {
    let origin = origin(World::demo());
    origin.world().add_simple("example.com/many@v1.0.0", "", "package many\n");
    origin.world().add_simple("example.com/many@v1.1.0", "retract v1.0.0 // broken\n", "package many\n");
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    warm(&origin, &data, &["example.com/many@v1.0.0", "example.com/many@v1.1.0"]);
    let policy = folder.path().join("policy.toml");
    std::fs::write(&policy, "[policy]\nretracted = \"deny\"\n").unwrap();
    let (url, sumdb) = (origin.url(), origin.gosumdb());
    let policy = ["--offline", "--upstream", &url, "--sumdb", &sumdb, "--policy", policy.to_str().unwrap()];
    let mirror = Mirror::start_with(&data, &policy);
    let answer = get(&mirror.url, &file("example.com/many@v1.0.0", "zip"));
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(get(&mirror.url, &file("example.com/many@v1.1.0", "zip")).status, 200);
    assert_eq!(origin.take_requests(), Vec::<String>::new());
}
