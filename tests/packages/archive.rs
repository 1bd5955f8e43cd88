//! The archive: one folder of its own name.

use std::path::Path;

use libtest_mimic::Trial;

use crate::tools::{VERSION, command, dist_trial, package, run};

pub fn trials() -> Vec<Trial> {
    vec![dist_trial("archive: unpacked, the program runs", &["tar", "gzip"], unpacked_it_runs)]
}

fn unpacked_it_runs(dist: &Path) {
    let archive = package(dist, ".tar.gz");
    let folder = tempfile::tempdir().unwrap();
    run(command("tar").arg("-xzf").arg(&archive).arg("-C").arg(folder.path()));
    let name = format!("sumgate-{VERSION}-x86_64-unknown-linux-gnu");
    let found: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(found, [name.as_str()]);
    let printed = run(command(folder.path().join(name).join("sumgate")).arg("--version"));
    assert!(printed.starts_with(&format!("sumgate {VERSION} (")), "{printed}");
}
