//! What all trials of packages use: the packages, the tools, programs with a time limit.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use libtest_mimic::{Failed, Trial};

/// As in `packaging/build`.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The endings of the packages with the program.
pub const PROGRAMS: [&str; 5] = [".tar.gz", ".whl", ".deb", ".rpm", "-image-amd64.tar"];

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// In seconds. Compiling the crates takes two minutes on two cores, and much longer on busy ones.
const TIME_LIMIT: &str = "900";

/// The folder with the packages.
pub fn dist() -> Option<PathBuf> {
    std::env::var_os("SUMGATE_DIST").map(PathBuf::from)
}

/// The path of a tool: from the folder of `packaging/tools`, or else from the PATH.
pub fn tool(name: &str) -> Option<PathBuf> {
    let tools = std::env::temp_dir().join("sumgate-ci-tools");
    let installed = is_own(&tools).then(|| tools.join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    installed.into_iter().chain(std::env::split_paths(&path)).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// Whether this is a folder, no link, and of the user of this process. Anybody can make one in the temporary folder.
pub fn is_own(folder: &Path) -> bool {
    let is_own = |found: Metadata| found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
    folder.symlink_metadata().is_ok_and(is_own)
}

/// A trial of packages, which gets their folder. It needs `tools`, by their names.
pub fn dist_trial(name: &str, tools: &[&str], run: fn(&Path)) -> Trial {
    let dist = dist();
    let mut lacks = absent(tools);
    lacks.extend(dist.is_none().then(|| "SUMGATE_DIST".to_owned()));
    needing(name, &lacks, move || run(&dist.unwrap()))
}

/// A trial that needs only `tools`, by their names.
pub fn tool_trial(name: &str, tools: &[&str], run: fn()) -> Trial {
    needing(name, &absent(tools), run)
}

/// Whether a tool is here. `root` is no tool, but what mounts and containers need.
fn is_here(name: &str) -> bool {
    if name == "root" { rustix::process::geteuid().is_root() } else { tool(name).is_some() }
}

fn absent(tools: &[&str]) -> Vec<String> {
    tools.iter().filter(|name| !is_here(name)).map(|&name| name.to_owned()).collect()
}

fn needing(name: &str, lacks: &[String], run: impl FnOnce() + Send + 'static) -> Trial {
    let must_run = std::env::var_os("SUMGATE_REQUIRE_PACKAGING").is_some();
    let (ready, lacks) = (lacks.is_empty(), lacks.join(", "));
    let name = if ready { name.to_owned() } else { format!("{name} (without {lacks})") };
    let body = move || {
        if !ready {
            return Err(Failed::from(format!("this trial lacks {lacks}, and SUMGATE_REQUIRE_PACKAGING is set")));
        }
        run();
        Ok(())
    };
    Trial::test(name, body).with_ignored_flag(!ready && !must_run)
}

/// A program that is killed, with its children, after [`TIME_LIMIT`]. It reads no input.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", TIME_LIMIT]).arg(program).stdin(Stdio::null());
    command
}

/// Runs a command that must succeed; returns what it printed.
pub fn run(command: &mut Command) -> String {
    let output = ended(command, 0);
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that must end with this exit code.
pub fn ended(command: &mut Command, code: i32) -> Output {
    let output = command.output().unwrap();
    let texts = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{}\n{}", texts[0], texts[1]);
    output
}

/// The one package whose name ends so.
pub fn package(dist: &Path, ending: &str) -> PathBuf {
    let files = std::fs::read_dir(dist).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<_> = files.filter(|path| path.to_str().unwrap().ends_with(ending)).collect();
    assert_eq!(found.len(), 1, "expected one package *{ending} in {}, found {found:?}", dist.display());
    found.into_iter().next().unwrap()
}

/// That an installed program runs: it names its version, and serves, verifies and refuses without a network.
pub fn works(program: &Path) {
    let home = tempfile::tempdir().unwrap();
    let alone = || {
        let mut command = command(program);
        command.current_dir(home.path()).env("HOME", home.path());
        command
    };
    let printed = run(alone().arg("--version"));
    assert!(printed.starts_with(&format!("sumgate {VERSION} (")), "{printed}");
    run(alone().arg("demo"));
}

/// That a program of a package names the commit it was made from, without changes.
pub fn is_released(program: &Path) {
    let printed = run(command(program).arg("--version"));
    assert!(printed.contains("(commit ") && !printed.contains("dirty"), "{printed}");
}

pub fn json_of(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}
