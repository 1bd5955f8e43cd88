//! Zips that Go writes have the same hash as in Go.

use std::path::Path;

use libtest_mimic::Trial;

use crate::fixture::{Go, go_trial, run};

pub fn trials() -> Vec<Trial> {
    vec![go_trial("zips: Go's archive/zip and Go's h1", as_go_hashes_them)]
}

fn as_go_hashes_them(go: &Path) {
    let go = Go::new(go, "off", "off");
    go.must(&["mod", "init", "example.org/zips"]);
    std::fs::write(go.home().join("main.go"), include_str!("../../testdata/zips/main.go")).unwrap();
    // Small, with folders; stored; more entries than the plain end record can count.
    for kind in ["small", "stored", "many"] {
        let zip = go.home().join(format!("{kind}.zip"));
        let zip = zip.to_str().unwrap();
        let expected = go.must(&["run", ".", kind, zip]);
        let output = run(&["hash", zip]);
        let found = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{kind}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(found.split(' ').next(), Some(expected.trim()), "{kind}");
    }
}
