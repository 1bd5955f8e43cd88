//! Offline, and while upstreams are down: answers come from the store, and folders of a module are 404.

use std::path::Path;

use libtest_mimic::Trial;
use testkit::{Fault, Origin, World};

use crate::fixture::{Go, Mirror, get, go_trial, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("absence, offline: only .info, lists and @latest of a folder with Go files", folders),
        trial("absence, offline: a folder that was once a module is not absent", seen_as_a_module),
        trial("absence, offline: the zip of the requested version decides", of_that_version),
        trial("absence, offline: no path below a private module is absent while its upstream is down", private_folders),
        trial("stored: a released version is served after its upstream deleted it", gone),
        trial("stored: queries are answered from the store", queries),
        go_trial("stored: go install, run, get and tidy with packages below a module", go_commands),
    ]
}

const TOOL: &str = "example.com/tool@v1.0.0";

/// Modules with packages in folders, and one without a tag.
fn with_folders() -> Origin {
    let origin = origin(World::demo());
    let tool = |version: &str, code: &str| {
        let files = [
            ("go.mod", "module example.com/tool\n\ngo 1.21\n"),
            ("tool.go", "package tool\n"),
            ("cmd/x/main.go", code),
            ("docs/README", "no Go here\n"),
        ];
        origin.world().add_files(&format!("example.com/tool@{version}"), &files);
    };
    tool("v1.0.0", "package main\n\nfunc main() { println(\"one\") }\n");
    tool("v1.1.0", "package main\n\nfunc main() { println(\"two\") }\n");
    let v2 = [
        ("go.mod", "module example.com/tool/v2\n\ngo 1.21\n"),
        ("tool.go", "package tool\n"),
        ("cmd/x/main.go", "package main\n\nfunc main() { println(\"v2\") }\n"),
    ];
    origin.world().add_files("example.com/tool/v2@v2.0.0", &v2);
    origin.world().pad(1);
    origin
}

fn warm(mirror: &Mirror, modules: &[&str]) {
    for module in modules {
        let (path, version) = module.split_once('@').unwrap();
        for kind in ["info", "mod", "zip"] {
            let file = format!("/{path}/@v/{version}.{kind}");
            assert_eq!(get(&mirror.url, &file).status, 200, "{file}");
        }
    }
}

/// A mirror that has these modules and then is offline, or whose upstream is down.
fn cold(origin: &Origin, data: &Path, modules: &[&str], offline: bool) -> Mirror {
    let warm_one = Mirror::start(origin, data);
    warm(&warm_one, modules);
    drop(warm_one);
    origin.take_requests();
    let (url, sumdb) = (origin.url(), origin.gosumdb());
    let words = ["--upstream", &url, "--sumdb", &sumdb, "--hold-for", "0s"];
    if offline {
        return Mirror::start_with(data, &[&words[..], &["--offline"]].concat());
    }
    // A failure that is not retried, so that the trials are short.
    origin.misbehave("*", Fault::Status(418, "out of order"));
    Mirror::start_with(data, &words)
}

#[track_caller]
fn assert_statuses(mirror: &Mirror, paths: &[&str], status: u16) {
    for path in paths {
        let answer = get(&mirror.url, path);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
}

fn folders() {
    for offline in [true, false] {
        let (origin, folder) = (with_folders(), tempfile::tempdir().unwrap());
        let mirror = cold(&origin, &folder.path().join("data"), &[TOOL, "example.com/tool/v2@v2.0.0"], offline);
        let absent = [
            "/example.com/tool/cmd/x/@v/list",
            "/example.com/tool/cmd/x/@latest",
            "/example.com/tool/cmd/x/@v/v1.0.0.info",
            "/example.com/tool/cmd/@latest",
            "/example.com/tool/v2/cmd/x/@v/v2.0.0.info",
            "/example.com/tool/v2/cmd/x/@latest",
        ];
        assert_statuses(&mirror, &absent, 404);
        let trouble = [
            "/example.com/tool/cmd/x/@v/v1.0.0.mod",
            "/example.com/tool/cmd/x/@v/v1.0.0.zip",
            "/example.com/tool/docs/@latest",
            "/example.com/tool/docs/@v/v1.0.0.info",
            "/example.com/tool/cmd/y/@latest",
            "/example.com/tool/cm/@latest",
            "/example.com/@latest",
            "/example.com/other/cmd/x/@latest",
        ];
        assert_statuses(&mirror, &trouble, 502);
    }
}

fn seen_as_a_module() {
    let (origin, folder) = (with_folders(), tempfile::tempdir().unwrap());
    origin.world().add_simple("example.com/tool/cmd/x@v1.5.0", "", "package main\n\nfunc main() {}\n");
    origin.world().pad(1);
    let list = ["/example.com/tool/cmd/x/@v/list", "/example.com/tool/cmd/x/@v/v1.0.0.info"];
    let nothing = cold(&origin, &folder.path().join("nothing"), &[TOOL], true);
    assert_statuses(&nothing, &list, 404);
    for way in ["a file", "a record", "a pin"] {
        let data = folder.path().join(way);
        let first = Mirror::start(&origin, &data);
        match way {
            "a file" => assert_statuses(&first, &["/example.com/tool/cmd/x/@v/v1.5.0.info"], 200),
            "a record" => assert_statuses(&first, &["/lookup/example.com/tool/cmd/x@v1.5.0"], 200),
            _ => {
                let pins = data.join("pins/example.com/tool/cmd/x/@v");
                std::fs::create_dir_all(&pins).unwrap();
                std::fs::write(pins.join("v0.1.0.mod"), "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n").unwrap();
            }
        }
        drop(first);
        let mirror = cold(&origin, &data, &[TOOL], true);
        assert_statuses(&mirror, &list[1..], 502);
    }
}

fn of_that_version() {
    let (origin, folder) = (with_folders(), tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    let mirror = cold(&origin, &data, &[TOOL], true);
    assert_statuses(&mirror, &["/example.com/tool/cmd/x/@v/v1.0.0.info"], 404);
    // The go.mod of another version is stored, its zip is not.
    assert_statuses(&mirror, &["/example.com/tool/cmd/x/@v/v1.1.0.info", "/example.com/tool/cmd/x/@v/main.info"], 502);
    // A zip that was changed on disk does not count.
    drop(mirror);
    let zip = data.join("proxy/example.com/tool/@v/v1.0.0.zip");
    let bytes = std::fs::read(&zip).unwrap();
    std::fs::write(&zip, &bytes[..bytes.len() - 1]).unwrap();
    let mirror = cold(&origin, &folder.path().join("other"), &[], true);
    assert_statuses(&mirror, &["/example.com/tool/cmd/x/@v/v1.0.0.info"], 502);
    let damaged = Mirror::start_with(&data, &["--offline", "--sumdb", &origin.gosumdb()]);
    assert_statuses(&damaged, &["/example.com/tool/cmd/x/@v/v1.0.0.info", "/example.com/tool/cmd/x/@latest"], 502);
}

/// A private path may be a new module, and its name must not be sent to others, except if the mirror is the only proxy.
fn private_folders() {
    let folder = "/example.com/tool/cmd/x/@v/v1.0.0.info";
    for (offline, status) in [(false, 502), (true, 404)] {
        let (origin, data) = (with_folders(), tempfile::tempdir().unwrap());
        let (url, sumdb, data) = (origin.url(), origin.gosumdb(), data.path().join("data"));
        let words = ["--upstream", &url, "--sumdb", &sumdb, "--nosumdb", "example.com/tool"];
        let warm_one = Mirror::start_with(&data, &words);
        warm(&warm_one, &[TOOL]);
        drop(warm_one);
        origin.misbehave("*", Fault::Status(418, "out of order"));
        let more: &[&str] = if offline { &["--offline"] } else { &[] };
        let mirror = Mirror::start_with(&data, &[&words[..], more].concat());
        assert_statuses(&mirror, &[folder], status);
    }
}

fn gone() {
    let (origin, folder) = (with_folders(), tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    let pseudo = "example.com/pseudo@v0.0.0-20260102030405-0123456789ab";
    let first = Mirror::start(&origin, &data);
    warm(&first, &[TOOL, pseudo]);
    drop(first);
    std::fs::remove_file(data.join("proxy/example.com/tool/@v/v1.0.0.info")).unwrap();
    origin.misbehave("/example.com/*", Fault::Status(410, "taken down"));
    let mirror = Mirror::start(&origin, &data);
    for (path, version) in [
        ("/example.com/tool/@v/v1.0.0.info", "v1.0.0"),
        ("/example.com/tool/@latest", "v1.0.0"),
        ("/example.com/tool/@v/list", "v1.0.0\n"),
        ("/example.com/pseudo/@latest", "v0.0.0-20260102030405-0123456789ab"),
        ("/example.com/pseudo/@v/0123456789abcdef.info", "v0.0.0-20260102030405-0123456789ab"),
    ] {
        let answer = get(&mirror.url, path);
        assert!(answer.status == 200 && answer.text().contains(version), "{path}: {}", answer.text());
    }
    assert_statuses(&mirror, &["/example.com/tool/@v/v1.1.0.info", "/example.com/pseudo/@v/list"], 404);
}

fn queries() {
    let pseudo = "example.com/pseudo@v0.0.0-20260102030405-0123456789ab";
    for offline in [true, false] {
        let (origin, folder) = (with_folders(), tempfile::tempdir().unwrap());
        let modules = [pseudo, "example.com/legacy@v2.0.0+incompatible", TOOL];
        let mirror = cold(&origin, &folder.path().join("data"), &modules, offline);
        for (path, version) in [
            ("/example.com/legacy/@v/v2.0.0.info", "v2.0.0+incompatible"),
            ("/example.com/pseudo/@v/0123456789abcdef0123456789abcdef01234567.info", "v0.0.0-20260102030405-"),
            ("/example.com/pseudo/@latest", "v0.0.0-20260102030405-"),
            ("/example.com/tool/@latest", "v1.0.0"),
            ("/example.com/tool/@v/v1.0.0.info", "v1.0.0"),
        ] {
            let answer = get(&mirror.url, path);
            assert!(answer.status == 200 && answer.text().contains(version), "{path}: {}", answer.text());
        }
        let nowhere = ["/example.com/pseudo/@v/fedcba9876543210.info", "/example.com/tool/@v/v1.1.0.info"];
        assert_statuses(&mirror, &nowhere, 502);
    }
}

fn go_commands(go: &Path) {
    for offline in [true, false] {
        let (origin, folder) = (with_folders(), tempfile::tempdir().unwrap());
        let data = folder.path().join("data");
        let mirror = cold(&origin, &data, &[TOOL, "example.com/tool/v2@v2.0.0"], offline);
        let next = crate::fixture::origin(World::demo());
        let home = || {
            let proxies = format!("{},{}", mirror.url, next.url());
            let home = Go::new(go, &proxies, &format!("{} {}", origin.key(), mirror.url));
            home.write("go.mod", "module example.org/app\n\ngo 1.21\n");
            home
        };
        home().set("GOFLAGS", "-modcacherw").must(&["install", "example.com/tool/cmd/x@v1.0.0"]);
        let said = home().set("GOFLAGS", "-modcacherw").must(&["run", "example.com/tool/cmd/x@v1.0.0"]);
        assert!(said.contains("one"), "{said}");
        let said = home().set("GOFLAGS", "-modcacherw").must(&["run", "example.com/tool/v2/cmd/x@latest"]);
        assert!(said.contains("v2"), "{said}");
        home().must(&["get", "example.com/tool/cmd/x"]);
        let tidy = home();
        tidy.write("a.go", "package app\n\nimport _ \"example.com/tool\"\n");
        tidy.must(&["mod", "tidy"]);
        // Only folders were requested from the next proxy: the mirror says that they are not modules.
        let files = |path: &String| path.contains("/@v/") && !path.contains("/cmd/");
        assert_eq!(next.take_requests().into_iter().filter(files).collect::<Vec<_>>(), Vec::<String>::new());
    }
}
