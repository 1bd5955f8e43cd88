//! `sumgate audit --modcache`: everything that `go` would compile from a module cache is hashed again.

use std::path::Path;

use libtest_mimic::Trial;
use sumgate::demo::World;

use crate::audit::{audit, findings};
use crate::fixture::{Go, files, go_trial, origin};

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("audit: the module cache, and every file of it that was changed", module_cache),
        go_trial("audit: nothing in the module cache hides from the audit", hidden_in_module_cache),
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
    // What go build compiles. `go` itself looks at neither again.
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
    let (code, output) = audit(&home, &["--modcache"]);
    assert_eq!((code, output.contains("is a link to a folder")), (Some(2), true), "{output}");
    std::fs::remove_file(cache.join("cache/download/example.com")).unwrap();
    let (code, output) = audit(&home, &["--modcache"]);
    assert_eq!((code, output.contains("there is nothing in the module cache")), (Some(2), true), "{output}");
}
