//! `sumgate audit --modcache`: everything that `go` would compile from a module cache is hashed again.

use std::path::Path;

use libtest_mimic::Trial;
use testkit::World;

use crate::audit::{audit, findings};
use crate::fixture::{Go, fifo, files, go_trial, origin};

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("audit: every changed file of the module cache is found", module_cache),
        go_trial("audit: links and FIFOs in the module cache are findings, also for run", links_and_fifos),
        go_trial("audit: what the toolchain unpacks into the module cache is not a finding", of_the_toolchain),
        go_trial("audit: no file of the module cache escapes the audit", hidden_in_module_cache),
    ]
}

fn module_cache(go: &Path) {
    let origin = origin(World::demo());
    let home = Go::new(go, &origin.url(), &origin.gosumdb());
    home.must(&["mod", "download", "example.com/hello@v1.1.0", "example.com/Upper/CaseMod@v1.2.3"]);
    let (code, output) = audit(&home, &["--modcache"]);
    assert_eq!(code, Some(0), "{output}");
    // Two zips, two unpacked folders, and the go.mod files.
    assert!(output.contains("clean: ") && !output.contains("0 proved"), "{output}");

    let cache = home.module_cache();
    let changed = |path: &str, code: &str| {
        let file = cache.join(path);
        let honest = std::fs::read(&file).unwrap();
        let mut bytes = honest.clone();
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        let (exit, found) = findings(&home, &["--modcache"]);
        assert_eq!(exit, Some(1), "{path}");
        assert_eq!(found.iter().map(|(code, ..)| code.as_str()).collect::<Vec<_>>(), [code], "{path}");
        std::fs::write(&file, honest).unwrap();
    };
    changed("cache/download/example.com/hello/@v/v1.1.0.mod", "hash-mismatch");
    changed("cache/download/example.com/hello/@v/v1.1.0.zip", "unreadable-file");
    // What go build compiles. `go` itself does not check them again.
    changed("example.com/!upper/!case!mod@v1.2.3/a.go", "hash-mismatch");
    assert_eq!(audit(&home, &["--modcache"]).0, Some(0));
    assert!(files(&cache).len() > 4);
    let nowhere = home.set("GOMODCACHE", "/no/such/cache");
    let (code, output) = audit(&nowhere, &["--modcache"]);
    assert_eq!((code, output.contains("cannot read the module cache")), (Some(2), true), "{output}");
}

/// `go` compiles an unpacked folder without its zip, and follows links.
fn hidden_in_module_cache(go: &Path) {
    let origin = origin(World::demo());
    let home = Go::new(go, &origin.url(), &origin.gosumdb());
    home.must(&["mod", "download", "example.com/Upper/CaseMod@v1.2.3"]);
    let cache = home.module_cache();
    let download = cache.join("cache/download/example.com/!upper/!case!mod/@v");
    std::fs::remove_file(download.join("v1.2.3.zip")).unwrap();
    assert_eq!(audit(&home, &["--modcache"]).0, Some(0));
    std::fs::write(cache.join("example.com/!upper/!case!mod@v1.2.3/a.go"), "package evil\n").unwrap();
    let (code, found) = findings(&home, &["--modcache"]);
    assert_eq!((code, found.len(), found[0].0.as_str()), (Some(1), 1, "hash-mismatch"));

    let elsewhere = home.home().join("elsewhere");
    std::fs::rename(cache.join("cache/download/example.com"), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, cache.join("cache/download/example.com")).unwrap();
    let link =
        ("not-a-regular-file".to_owned(), cache.join("cache/download/example.com").to_str().unwrap().to_owned(), 0);
    assert_eq!(findings(&home, &["--modcache"]), (Some(1), vec![link]));
    std::fs::remove_file(cache.join("cache/download/example.com")).unwrap();
    let (code, output) = audit(&home, &["--modcache"]);
    assert_eq!((code, output.contains("go mod download` first")), (Some(2), true), "{output}");
}

/// None of them ends the audit, and none is followed.
fn links_and_fifos(go: &Path) {
    let origin = origin(World::demo());
    let home = Go::new(go, &origin.url(), &origin.gosumdb());
    home.must(&["mod", "download", "example.com/hello@v1.1.0", "example.com/Upper/CaseMod@v1.2.3"]);
    let cache = home.module_cache();
    let unpacked = cache.join("example.com/!upper/!case!mod@v1.2.3");
    let elsewhere = home.home().join("elsewhere");
    let code_of = |found: &[(String, String, u64)], file: &Path| {
        found.iter().find(|(_, at, _)| Path::new(at) == file).map(|(code, ..)| code.clone())
    };
    let finds = |file: &Path, expected: &str| {
        let (code, found) = findings(&home, &["--modcache"]);
        assert_eq!((code, code_of(&found, file).as_deref()), (Some(1), Some(expected)), "{found:?}");
        assert!(!found.iter().any(|(_, at, _)| at.contains("hello")), "the rest is audited all the same: {found:?}");
        let words = ["run", "--module-cache", "inherit", "--", "touch", "ran"];
        let (code, output) = home.sumgate(&words);
        assert_eq!((code, output.contains(expected)), (Some(120), true), "{output}");
        assert!(!home.home().join("ran").exists());
    };
    // The folder that is compiled, and one above it.
    for folder in [&unpacked, &cache.join("example.com/!upper")] {
        std::fs::rename(folder, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, folder).unwrap();
        finds(folder, "not-a-regular-file");
        std::fs::remove_file(folder).unwrap();
        std::fs::rename(&elsewhere, folder).unwrap();
    }
    // A zip with honest bytes, which may be changed later.
    let zip = cache.join("cache/download/example.com/!upper/!case!mod/@v/v1.2.3.zip");
    std::fs::rename(&zip, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &zip).unwrap();
    finds(&zip, "not-a-regular-file");
    std::fs::remove_file(&zip).unwrap();
    fifo(&zip);
    finds(&zip, "not-a-regular-file");
    std::fs::remove_file(&zip).unwrap();
    std::fs::rename(&elsewhere, &zip).unwrap();
    // A file of the code: with the honest bytes, and one that never ends.
    let file = unpacked.join("a.go");
    std::fs::rename(&file, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    finds(&unpacked, "unreadable-file");
    std::fs::remove_file(&file).unwrap();
    fifo(&file);
    finds(&unpacked, "unreadable-file");
    std::fs::remove_file(&file).unwrap();
    std::fs::rename(&elsewhere, &file).unwrap();
    assert_eq!(audit(&home, &["--modcache"]).0, Some(0));
}

/// `go` unpacks golang.org/fips140 from GOROOT; it is not downloaded, and there is no record of it.
fn of_the_toolchain(go: &Path) {
    let origin = origin(World::demo());
    let home = Go::new(go, &origin.url(), &origin.gosumdb()).set("GOFIPS140", "v1.0.0");
    home.must(&["mod", "download", "example.com/hello@v1.1.0"]);
    home.write("go.mod", "module a.com/b\n\ngo 1.24\n");
    home.write("main.go", "package main\n\nimport \"crypto/sha256\"\n\nfunc main() { println(sha256.Size) }\n");
    home.must(&["list", "-deps", "."]);
    let folders = std::fs::read_dir(home.module_cache().join("golang.org")).unwrap();
    let fips: Vec<_> = folders.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(fips.len(), 1, "go unpacked it: {fips:?}");
    assert_eq!(audit(&home, &["--modcache"]).0, Some(0));
    // Accepted by its content, not by its name; with and without the `.ziphash` of `go`.
    std::fs::write(fips[0].join("evil.go"), "package evil\n").unwrap();
    let download = home.module_cache().join("cache/download/golang.org");
    // Otherwise each `go env` unpacks it again if its `.ziphash` is missing.
    let home = home.set("GOFIPS140", "off");
    for is_left in [true, false] {
        if !is_left {
            std::fs::remove_dir_all(&download).unwrap();
        }
        let (code, found) = findings(&home, &["--modcache"]);
        assert_eq!((code, found.len(), found[0].0.as_str()), (Some(1), 1, "unknown-version"), "{found:?}");
    }
}
