//! The scripts that make packages, and those inside them.

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;

use crate::tools::{command, run, tool, tool_trial};

pub fn trials() -> Vec<Trial> {
    vec![tool_trial("scripts: shellcheck finds nothing, and each says what it does", &["shellcheck"], checked)]
}

/// The files below a folder that a shell runs.
fn scripts(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            scripts(&path, found);
        } else if let Ok(text) = fs::read_to_string(&path)
            && ["#!/bin/sh\n", "#!/usr/bin/env bash\n"].iter().any(|first| text.starts_with(first))
        {
            assert!(text.lines().nth(1).is_some_and(|line| line.starts_with("# ")), "{}", path.display());
            found.push(path);
        }
    }
}

fn checked() {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    scripts(&checkout.join("packaging"), &mut found);
    for name in ["build", "steps/deb-rpm", "deb-rpm/deb-postrm", "deb-rpm/rpm-preun"] {
        assert!(found.contains(&checkout.join("packaging").join(name)), "{name}");
    }
    let mut shellcheck = command(tool("shellcheck").unwrap());
    run(shellcheck.arg("--external-sources").args(found).current_dir(checkout));
}
