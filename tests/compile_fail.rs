//! Programs that must not compile: they make a value that carries a proof without the proof. The first line of each of
//! `compile_fail/*.rs` has the expected error code.
//!
//! They are compiled against the libraries that cargo built for this test. Private types (`Verified`, `Released`) cannot be tested
//! here; they rely on private fields.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};

/// The libraries, as arguments of rustc.
struct Libraries {
    folder: PathBuf,
    gomodule: PathBuf,
    tlog: PathBuf,
    sumgate: PathBuf,
}

fn main() -> ExitCode {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile_fail");
    let has_rustc = Command::new(rustc()).arg("--version").stdout(Stdio::null()).status().is_ok();
    let mut paths: Vec<PathBuf> = fs::read_dir(programs).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 10, "the programs were not found");
    let trials = paths.into_iter().map(|path| {
        let name = path.file_stem().unwrap().to_string_lossy().replace('_', " ");
        Trial::test(format!("compile fail: {name}"), move || check(&path)).with_ignored_flag(!has_rustc)
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn rustc() -> OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

fn check(program: &Path) -> Result<(), Failed> {
    let text = fs::read_to_string(program)?;
    let expected =
        text.strip_prefix("//! ").and_then(|rest| rest.split(':').next()).ok_or("no code in the first line")?;
    let expected: BTreeSet<String> = [expected.to_owned()].into_iter().filter(|code| code != "compiles").collect();
    let (found, said) = compile(program, &libraries()?);
    if found == expected { Ok(()) } else { Err(format!("expected {expected:?}, found {found:?}:\n{said}").into()) }
}

/// The libraries of this test, which are the newest: the folder may have those of other builds.
fn libraries() -> Result<Libraries, Failed> {
    let folder = std::env::current_exe()?.parent().ok_or("the test lies in no folder")?.to_owned();
    let honest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile_fail/honest.rs");
    let mut said = String::new();
    let [sumgates, tlogs, gomodules] =
        ["libsumgate-", "libtlog-", "libgomodule-"].map(|prefix| newest_first(&folder, prefix));
    let (tlogs, gomodules) = (tlogs?, gomodules?);
    for sumgate in sumgates? {
        for (tlog, gomodule) in tlogs.iter().flat_map(|tlog| gomodules.iter().map(move |gomodule| (tlog, gomodule))) {
            let (folder, sumgate) = (folder.clone(), sumgate.clone());
            let libraries = Libraries { folder, gomodule: gomodule.clone(), tlog: tlog.clone(), sumgate };
            let (found, words) = compile(&honest, &libraries);
            if found.is_empty() {
                return Ok(libraries);
            }
            said = words;
        }
    }
    Err(format!("the honest program does not compile:\n{said}").into())
}

fn newest_first(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>, Failed> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if name.starts_with(prefix) && path.extension() == Some(OsStr::new("rlib")) {
            found.push((path.metadata()?.modified()?, path));
        }
    }
    found.sort();
    Ok(found.into_iter().rev().map(|(_, path)| path).collect())
}

/// The codes of all errors, and the output of the compiler. Includes errors without a code.
fn compile(program: &Path, libraries: &Libraries) -> (BTreeSet<String>, String) {
    let library = |name: &str, path: &Path| format!("{name}={}", path.display());
    let output = Command::new(rustc())
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--error-format=short", "-o", "-"])
        .arg(format!("-Ldependency={}", libraries.folder.display()))
        .args(["--extern", &library("gomodule", &libraries.gomodule), "--extern", &library("tlog", &libraries.tlog)])
        .args(["--extern", &library("sumgate", &libraries.sumgate)])
        .arg(program)
        .stdout(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // `FILE:LINE:COLUMN: error[CODE]: WORDS`, and words without a place at the end.
    let errors = said.lines().filter_map(|line| line.split_once(": error").map(|(_, error)| error));
    let code =
        |error: &str| error.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or("no code").to_owned();
    let mut codes: BTreeSet<String> = errors.map(code).collect();
    if !output.status.success() && codes.is_empty() {
        codes.insert("no code".to_owned());
    }
    (codes, said)
}
