//! Long work shows on a terminal what it does and what it waits for, and elsewhere nothing.

use std::fs::{self, File};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use libtest_mimic::Trial;
use testkit::{Fault, World};

use crate::airgap::{fetch, go_sum};
use crate::fixture::{origin, sumgate, trial};
use crate::programs::tool_trial;

/// Runs a command on a terminal of its own (util-linux).
const SCRIPT: &str = "/usr/bin/script";
/// Longer than the time after which a line names the part that takes long.
const SLOW: Duration = Duration::from_secs(4);

pub fn trials() -> Vec<Trial> {
    vec![
        tool_trial(SCRIPT, trial("progress: a fetch on a terminal counts files, and names the slow module", counted)),
        tool_trial(SCRIPT, trial("progress: a lookup on a terminal says what it waits for", looked_up)),
        tool_trial(SCRIPT, trial("progress: the name of a folder cannot write to the terminal", hostile)),
        trial("progress: without a terminal nothing more is printed", silent),
    ]
}

/// What the command of `words` prints to a terminal with lines of 120 characters.
fn on_terminal(words: &[&str]) -> (Option<i32>, String) {
    let quoted = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let line = format!("stty rows 40 cols 120; exec '{}' {quoted}", env!("CARGO_BIN_EXE_sumgate"));
    // The environment of `sumgate`, without the settings of this machine.
    let clean = sumgate();
    let mut command = Command::new(SCRIPT);
    for (name, value) in clean.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.args(["-q", "-e", "-c", &line, "/dev/null"]).env("TERM", "xterm").env("SHELL", "/bin/sh");
    let Output { status, stdout, .. } = command.stdin(Stdio::null()).output().unwrap();
    (status.code(), String::from_utf8_lossy(&stdout).into_owned())
}

fn counted() {
    let origin = origin(World::demo());
    let (folder, upstream, database) = (tempfile::tempdir().unwrap(), origin.url(), origin.gosumdb());
    let go_sum = go_sum(&origin, folder.path(), &["example.com/hello@v1.1.0", "example.com/dep/v2@v2.0.1"]);
    origin.misbehave("/example.com/hello/@v/v1.1.0.zip", Fault::Delay(SLOW, None));
    let data = folder.path().join("data");
    let words = ["--upstream", &upstream, "--sumdb", &database, "--data", data.to_str().unwrap(), "-m", &go_sum];
    let (code, shown) = on_terminal(&[&["cache", "fetch"], &words[..]].concat());
    assert_eq!(code, Some(0), "{shown}");
    let (before, after) = shown.rsplit_once("fetched 6 files (").unwrap();
    let waiting = " s for example.com/hello@v1.1.0";
    assert!(before.contains("fetching ") && before.contains("/6 ") && before.contains(waiting), "{shown:?}");
    assert!(!before.contains("for example.com/dep"), "{shown:?}");
    assert!(before.trim_start_matches(['\r', '\u{1b}', '[', '2', 'K']).starts_with("fetching "), "{shown:?}");
    assert!(!after.contains("fetching"), "the line is removed before the result: {shown:?}");
}

fn looked_up() {
    let origin = origin(World::demo());
    let (folder, database) = (tempfile::tempdir().unwrap(), origin.gosumdb());
    // Shorter than the time after which the database is named.
    origin.misbehave("/lookup/example.com/hello@v1.0.0", Fault::Delay(Duration::from_millis(1500), None));
    let data = folder.path().to_str().unwrap();
    let lookup = ["sumdb", "lookup", "example.com/hello@v1.0.0", "--sumdb", &database, "--data", data];
    let (code, shown) = on_terminal(&lookup);
    assert_eq!(code, Some(0), "{shown}");
    let (before, _) = shown.rsplit_once("record ").unwrap();
    assert!(before.contains("looking up example.com/hello@v1.0.0"), "{shown:?}");
}

/// A folder that takes longer to hash than the time after which a line is shown.
fn hostile() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("a\u{1b}]0;title\u{7}\r::error::b");
    fs::create_dir(&folder).unwrap();
    File::create(folder.join("large")).unwrap().set_len(480 << 20).unwrap();
    for nth in 0..20_000 {
        File::create(folder.join(format!("small{nth}"))).unwrap();
    }
    let (code, shown) = on_terminal(&["hash", "--module", "example.com/m@v1.0.0", folder.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{shown:?}");
    let (before, _) = shown.rsplit_once("h1:").unwrap();
    assert!(before.contains("hashing ") && before.contains("a\\u{1b}]0;title\\u{7}"), "{shown:?}");
    assert!(!before.contains("\u{1b}]0"), "{before:?}");
}

fn silent() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let go_sum = go_sum(&origin, folder.path(), &["example.com/hello@v1.1.0"]);
    origin.misbehave("/example.com/hello/@v/v1.1.0.zip", Fault::Delay(SLOW, None));
    let (code, said) = fetch(&origin, &folder.path().join("data"), &["-m", &go_sum]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("fetched 3 files (") && said.lines().count() == 1, "{said}");
}
