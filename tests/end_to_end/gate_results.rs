//! `sumgate run --report` and `--attest`, and `sumgate cache keygen --out`: results are written only where the user wants them, even
//! if the working folder or the command is malicious.

use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::fixture::{Go, fifo, trial, wait};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("results: a planted link is not followed, neither the file nor a folder on the way", planted_links),
        trial("results: links that the command plants are not followed", planted_meanwhile),
        trial("results: an earlier report is removed before the command starts", earlier_results),
        trial("results: a FIFO or device only as a descriptor, and not the output of the command", descriptors),
        trial("results: a key file is not written through a link", keys),
    ]
}

/// No `go` is run: any path will do.
fn here() -> Go {
    Go::new(Path::new("/nonexistent"), "http://127.0.0.1:9", "sum.golang.org http://127.0.0.1:9")
}

const VICTIM: &str = "precious\n";

/// A file outside the working folder, and its content at the end.
fn victim(home: &Go) -> std::path::PathBuf {
    let folder = home.root().join("outside");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("report.json"), VICTIM).unwrap();
    folder
}

fn is_unharmed(outside: &Path) {
    let names: Vec<_> = std::fs::read_dir(outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["report.json"]);
    assert_eq!(std::fs::read_to_string(outside.join("report.json")).unwrap(), VICTIM);
}

fn planted_links() {
    let home = here();
    let outside = victim(&home);
    home.write("real/deep/x", "");
    symlink(outside.join("report.json"), home.home().join("report.json")).unwrap();
    symlink(outside.join("none.json"), home.home().join("none.json")).unwrap();
    symlink(&outside, home.home().join("out")).unwrap();
    symlink(&outside, home.home().join("real/deep/out")).unwrap();
    symlink("real", home.home().join("inside")).unwrap();
    let absolute = home.home().join("out/report.json").to_str().unwrap().to_owned();
    for flag in ["--report", "--attest"] {
        for path in [
            "report.json",
            "none.json",
            "out/report.json",
            "out/new.json",
            "real/deep/out/report.json",
            "real/../out/report.json",
            "inside/report.json",
            &absolute,
        ] {
            let (code, output) = home.sumgate(&["run", flag, path, "--", "touch", "ran"]);
            assert_eq!((code, output.contains("link")), (Some(121), true), "{path}: {output}");
            assert!(!home.home().join("ran").exists(), "{path}");
            is_unharmed(&outside);
        }
    }
    // The working folder may be in an untrusted tree.
    home.git(&["init", "-q"]);
    let mut command = home.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
    command.current_dir(home.home().join("real/deep"));
    let output = command.args(["run", "--report", "../../out/new.json", "--", "true"]).output().unwrap();
    assert_eq!(output.status.code(), Some(121));
    is_unharmed(&outside);
    // Folders of the machine may be links.
    symlink(home.root().join("outside"), home.root().join("link")).unwrap();
    let (code, output) = home.sumgate(&["run", "--report", "../link/report.json", "--", "true"]);
    assert_eq!(code, Some(0), "{output}");
    assert!(std::fs::read_to_string(outside.join("report.json")).unwrap().contains("\"released\""));
}

fn planted_meanwhile() {
    let home = here();
    let outside = victim(&home);
    let target = outside.join("report.json");
    let plant = format!("ln -s {} report.json", target.display());
    let (code, output) = home.sumgate(&["run", "--report", "report.json", "--", "sh", "-c", &plant]);
    assert_eq!(code, Some(0), "{output}");
    let report = home.home().join("report.json");
    assert!(report.symlink_metadata().unwrap().is_file(), "the link was replaced");
    let _: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    is_unharmed(&outside);
    // The folder itself is replaced: an error, because the result is not at its path.
    home.write("out/x", "");
    let swap = format!("mv out old && ln -s {} out", outside.display());
    let (code, output) = home.sumgate(&["run", "--report", "out/report.json", "--", "sh", "-c", &swap]);
    assert_eq!((code, output.contains("its folder was replaced")), (Some(121), true), "{output}");
    is_unharmed(&outside);
}

fn earlier_results() {
    let home = here();
    for name in ["report.json", "attest.json"] {
        home.write(name, "old");
    }
    let script = "ls -a > seen; ln report.json other 2>/dev/null; exit 0";
    let words = ["run", "--report", "report.json", "--attest", "attest.json", "--", "sh", "-c", script];
    assert_eq!(home.sumgate(&words).0, Some(0));
    let seen = std::fs::read_to_string(home.home().join("seen")).unwrap();
    assert_eq!(seen.split_whitespace().collect::<Vec<_>>(), [".", "..", "seen"], "no file of ours is in the way");
    assert!(!home.home().join("attest.json").exists());
    // Another hard link of the old file keeps its content.
    home.write("kept.json", "old");
    std::fs::hard_link(home.home().join("kept.json"), home.home().join("again.json")).unwrap();
    assert_eq!(home.sumgate(&["run", "--report", "again.json", "--", "true"]).0, Some(0));
    assert_eq!(std::fs::read_to_string(home.home().join("kept.json")).unwrap(), "old");
    let rest: Vec<_> = std::fs::read_dir(home.home()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!rest.iter().any(|name| name.to_string_lossy().starts_with(".sumgate")), "{rest:?}");
}

fn descriptors() {
    let home = here();
    fifo(&home.home().join("pipe"));
    home.write("folder/x", "");
    for (path, why) in [
        ("-", "stdout belongs to the command"),
        ("pipe", "a FIFO: open it, and name the descriptor (--report fd:3 3>pipe)"),
        ("/dev/null", "name the descriptor (--report fd:3 3>/dev/null)"),
        ("folder", "found a folder"),
        ("folder/..", "expected a file name"),
        ("fd:", "expected fd:N"),
        ("fd:-1", "expected fd:N"),
        ("fd:1", "belong to the command"),
        ("fd:77", "no such descriptor is open"),
    ] {
        let (code, output) = home.sumgate(&["run", "--report", path, "--", "touch", "ran"]);
        assert_eq!((code, output.contains(why)), (Some(121), true), "{path}: {output}");
        assert!(!home.home().join("ran").exists(), "{path}");
    }
    let program = env!("CARGO_BIN_EXE_sumgate");
    let shell = |script: &str| {
        let mut command = home.command(Path::new("sh"));
        command.args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap()
    };
    // Through a FIFO, whose reader sees its end when the run ends.
    let mut running =
        shell(&format!("cat pipe & {program} run --report fd:3 -- sh -c 'exit 5' 3>pipe; code=$?; wait; exit $code"));
    let mut read = String::new();
    running.stdout.take().unwrap().read_to_string(&mut read).unwrap();
    assert_eq!(wait(&mut running).code(), Some(5));
    let report: Value = serde_json::from_str(&read).unwrap();
    assert_eq!(report["command"][0], "sh");
    // A file that the caller opened keeps its content.
    home.write("log", "before\n");
    let mut running = shell(&format!("exec {program} run --report fd:9 -- true 9>>log"));
    assert_eq!(wait(&mut running).code(), Some(0));
    let log = std::fs::read_to_string(home.home().join("log")).unwrap();
    assert!(log.starts_with("before\n{"), "{log}");
}

fn keys() {
    let home = here();
    let outside = victim(&home);
    symlink(outside.join("new.key"), home.home().join("key")).unwrap();
    symlink(&outside, home.home().join("out")).unwrap();
    for path in ["key", "out/new.key"] {
        let (code, output) = home.sumgate(&["cache", "keygen", "ci.example.com", "--out", path]);
        assert_eq!((code, output.contains("link")), (Some(2), true), "{path}: {output}");
        is_unharmed(&outside);
    }
    fifo(&home.home().join("pipe"));
    assert_eq!(home.sumgate(&["cache", "keygen", "ci.example.com", "--out", "pipe"]).0, Some(2));
}
