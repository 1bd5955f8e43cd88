//! The environment of all trials: settings of this machine do not apply, and the standard library of `go` is compiled once, not in
//! each trial with an empty build cache.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes `go` use the packages in GOROOT/pkg. Builds are otherwise unchanged.
pub const INSTALLED: (&str, &str) = ("GODEBUG", "installgoroot=all");

/// The packages that programs and tests of the trials import, and that `go test` and cgo need.
const IMPORTED: [&str; 9] =
    ["bufio", "encoding/json", "fmt", "os", "strings", "time", "testing", "testing/internal/testdeps", "runtime/cgo"];

/// Other variables that are passed on. In CI (`CI` is set) no snapshot is written.
const KEPT: [&str; 12] = [
    "CI",
    "INSTA_UPDATE",
    "RUST_BACKTRACE",
    "SUMGATE_CASES",
    "SUMGATE_ODD_FILES",
    "SUMGATE_REQUIRE_GO",
    "SUMGATE_REQUIRE_SHARED",
    "SUMGATE_REQUIRE_TOOLS",
    "SUMGATE_SEED",
    "SUMGATE_UPDATE_SCREENSHOTS",
    "TERM",
    "TMPDIR",
];

const ENTERED: &str = "SUMGATE_TESTS_ENTERED";

/// Starts this program again in the environment of the trials, unless it is there.
pub fn enter() {
    if std::env::var_os(ENTERED).is_some() {
        return;
    }
    let own = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let home = own.join("home");
    fs::create_dir_all(&home).unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let go = std::env::split_paths(&path).map(|folder| folder.join("go")).find(|go| go.is_file());
    let go = go.map(|go| compiled(&go, &home, own).join("bin"));
    let path = std::env::join_paths(go.into_iter().chain(std::env::split_paths(&path))).unwrap();
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(std::env::args_os().skip(1)).env_clear();
    again.envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    again.env("PATH", path).env("HOME", home).env("GOENV", "off").env(ENTERED, "1");
    panic!("cannot start the trials: {}", again.exec());
}

/// A copy of the given GOROOT with a compiled standard library.
fn compiled(go: &Path, home: &Path, own: &Path) -> PathBuf {
    let ask = |program: &Path, words: &[&str]| {
        let mut command = Command::new(program);
        command.args(words).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", home).env("GOENV", "off");
        command.env("GOTOOLCHAIN", "local").env("GOCACHE", own.join("go-build")).env(INSTALLED.0, INSTALLED.1);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let said = ask(go, &["env", "GOROOT", "GOVERSION"]);
    let (from, version) = said.trim().split_once('\n').unwrap();
    let root = own.join(version);
    if root.is_dir() {
        return root;
    }
    // Under another name until it is complete: an interrupted attempt leaves nothing that looks like one.
    let made = tempfile::tempdir_in(own).unwrap();
    let (from, to) = (Path::new(from), made.path());
    fs::create_dir_all(to.join("bin")).unwrap();
    fs::create_dir(to.join("pkg")).unwrap();
    for name in ["VERSION", "go.env", "lib", "src", "pkg/include", "pkg/tool"] {
        symlink(from.join(name), to.join(name)).unwrap();
    }
    // A copy, for `go` finds its root by the place of its program.
    fs::copy(from.join("bin/go"), to.join("bin/go")).unwrap();
    let own_go = to.join("bin/go");
    let listed = ask(&own_go, &[&["list", "-deps"], &IMPORTED[..]].concat());
    let packages: Vec<&str> = listed.lines().filter(|package| *package != "unsafe").collect();
    ask(&own_go, &[&["install"], &packages[..]].concat());
    fs::rename(made.keep(), &root).unwrap();
    root
}
