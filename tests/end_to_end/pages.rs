//! Completions and manual pages come from the same tree as the help.

use std::process::Command;

use libtest_mimic::Trial;

use crate::commands::COMMANDS;
use crate::fixture::{files, run, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("pages: bash completes commands and flags", completed),
        trial("pages: every command has a manual page", manual),
        trial("pages: a folder that cannot be written is an error", unwritable),
    ]
}

/// What bash offers for the last of the words, with our completions.
fn offered(script: &str, words: &[&str]) -> Vec<String> {
    let ask = r#"source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sumgate sumgate "${@: -1}" "${@: -2:1}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let output = Command::new("bash").args(["--norc", "-c", ask, script]).args(words).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn completed() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("sumgate.bash");
    std::fs::write(&script, run(&["completions", "bash"]).stdout).unwrap();
    let script = script.to_str().unwrap();
    assert_eq!(offered(script, &["sumgate", "au"]), ["audit"]);
    assert_eq!(offered(script, &["sumgate", "cache", "pins", "f"]), ["forget"]);
    assert_eq!(offered(script, &["sumgate", "audit", "--modc"]), ["--modcache"]);
    for (shell, begins) in [("zsh", "#compdef sumgate"), ("fish", "# Print an optspec")] {
        let output = run(&["completions", shell]);
        assert!(output.status.success() && output.stdout.starts_with(begins.as_bytes()), "{shell}: {output:?}");
    }
}

fn manual() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("new/man1");
    assert!(run(&["man", place.to_str().unwrap()]).status.success());
    let pages = files(&place);
    for command in std::iter::once("").chain(COMMANDS) {
        let title = format!("sumgate {command}").trim_end().replace(' ', "-");
        let page = String::from_utf8_lossy(&pages[&format!("{title}.1")]).into_owned();
        assert!(page.contains(&format!("\n.TH {title} 1")), "{page}");
    }
    assert_eq!(pages.len(), COMMANDS.len() + 1, "{:?}", pages.keys());
    let audit = String::from_utf8_lossy(&pages["sumgate-audit.1"]).into_owned();
    assert!(audit.contains(r"\-\-modcache") && audit.contains("sumgate audit \\-\\-base"), "{audit}");
}

fn unwritable() {
    let output = run(&["man", "/proc/nothing"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("cannot write the manual pages to /proc/nothing"), "{said}");
}
