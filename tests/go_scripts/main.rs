//! The script tests of the `go` command's own source, with all module requests through a mirror.
//!
//! They come with the `go` on the PATH, and run with its test proxy and test database. An overlay adds one file to the tests of
//! `cmd/go`, which starts the mirror (`through_mirror_test.go`); no file of Go is changed. They take minutes: the trial is ignored
//! unless `SUMGATE_GO_SCRIPTS` is `short` (the scripts that `go test -short` runs) or `full`.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Trial};

/// What fails through a mirror, and why it is right. A script that does not fail any more must be deleted here.
const DIFFERENCES: [(&str, &str); 5] = [
    ("mod_bad_filenames", "The mirror refuses the zip first, with its own message."),
    ("mod_get_nopkgs", "It expects the text of the test proxy's own 404."),
    ("mod_install_pkg_version", "It expects the text of the test proxy's own 404."),
    ("mod_invalid_path_dotname", "The record of its module has the hash of another zip."),
    ("mod_load_badzip", "The mirror refuses the zip first, with its own message."),
];

/// As [`DIFFERENCES`]; only a run with `full` has these scripts.
const FULL_DIFFERENCES: [(&str, &str); 1] =
    [("mod_run_pkg_version", "It expects the text of the test proxy's own 404.")];

/// Fewer scripts that pass mean that the scripts were not found, or that most were skipped.
const MUST_PASS: usize = 550;

/// The build cache of the end-to-end trials, too.
const BUILD_CACHE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/go-build");

/// What the scripts printed in the last run.
const RESULTS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/go_scripts.log");

fn main() -> ExitCode {
    let mode = std::env::var("SUMGATE_GO_SCRIPTS").unwrap_or_default();
    assert!(["", "short", "full"].contains(&mode.as_str()), "SUMGATE_GO_SCRIPTS must be short or full, found {mode:?}");
    let ignored = mode.is_empty();
    let trial = Trial::test("go scripts: through a mirror", move || {
        scripts_pass(mode == "full");
        Ok(())
    });
    libtest_mimic::run(&Arguments::from_args(), vec![trial.with_ignored_flag(ignored)]).exit_code()
}

fn scripts_pass(full: bool) {
    let folder = tempfile::tempdir().unwrap();
    let goroot = String::from_utf8(go(folder.path()).args(["env", "GOROOT"]).output().unwrap().stdout).unwrap();
    let source = Path::new(goroot.trim()).join("src/cmd/go");
    let program = build(folder.path(), &source);

    let file = File::create(RESULTS).unwrap();
    let mut tests = Command::new(&program);
    clean(&mut tests, folder.path()).current_dir(&source).env("SUMGATE", env!("CARGO_BIN_EXE_sumgate"));
    tests.args(["-test.v", "-test.run", "^TestThroughMirror$"]).stdout(file.try_clone().unwrap()).stderr(file);
    // Ten times what they take on two cores.
    tests.args(if full { vec!["-test.timeout", "3h"] } else { vec!["-test.short", "-test.timeout", "20m"] });
    tests.status().unwrap();
    compare(&String::from_utf8_lossy(&fs::read(RESULTS).unwrap()), full);
}

/// The tests of `cmd/go` with the file of the overlay.
fn build(folder: &Path, source: &Path) -> PathBuf {
    let added = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go_scripts/through_mirror_test.go");
    let overlay =
        serde_json::json!({ "Replace": { source.join("a_through_mirror_test.go").to_str().unwrap(): added } });
    fs::write(folder.join("overlay.json"), overlay.to_string()).unwrap();
    let program = folder.join("cmdgo.test");
    let mut build = go(folder);
    build.current_dir(source).args(["test", "-c", "-vet=off", "-overlay"]).arg(folder.join("overlay.json"));
    assert!(build.arg("-o").arg(&program).arg("cmd/go").status().unwrap().success(), "go test -c failed");
    program
}

fn go(home: &Path) -> Command {
    let mut command = Command::new("go");
    clean(&mut command, home);
    command
}

/// Settings of the machine must not change the result.
fn clean<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    command.env_clear().stdin(Stdio::null()).env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", home);
    command.env("TMPDIR", home).env("GOCACHE", BUILD_CACHE).env("GOENV", "off").env("GOTOOLCHAIN", "local")
}

fn compare(output: &str, full: bool) {
    let names = |outcome: &str| -> BTreeSet<&str> {
        let line = format!("--- {outcome}: TestThroughMirror/scripts/");
        let rest = output.lines().filter_map(|text| text.trim_start().strip_prefix(line.as_str()));
        rest.map(|rest| rest.split(' ').next().unwrap()).collect()
    };
    let (passed, failed) = (names("PASS"), names("FAIL"));
    let mut expected: BTreeSet<&str> = DIFFERENCES.iter().map(|(name, _)| *name).collect();
    if full {
        expected.extend(FULL_DIFFERENCES.iter().map(|(name, _)| *name));
    }
    println!("{} scripts passed, {} were skipped, {} differ", passed.len(), names("SKIP").len(), failed.len());
    println!("their output is in {RESULTS}");
    let unexpected: Vec<_> = failed.difference(&expected).collect();
    assert!(unexpected.is_empty(), "these scripts fail through a mirror: {unexpected:?}");
    let gone: Vec<_> = expected.difference(&failed).collect();
    assert!(gone.is_empty(), "these scripts pass now; delete them from the table: {gone:?}");
    assert!(passed.len() >= MUST_PASS, "only {} scripts passed, expected at least {MUST_PASS}", passed.len());
}
