//! Packages name no folder of the machine that made them, and another folder gives the same bytes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;

use crate::contents::{contents, has};
use crate::tools::{PROGRAMS, command, dist_trial, package, run};

/// In the program, and so in each package of it.
const MARK: &str = "nothing is served before its hash is proved in the checksum database";

/// Set in `.ci/full`: a second build takes minutes.
const REBUILD: &str = "SUMGATE_REBUILD";

pub fn trials() -> Vec<Trial> {
    let again = dist_trial("reproducible: another folder and another CARGO_HOME give the same bytes", &[], rebuilt);
    vec![
        dist_trial("reproducible: no package contains a path of the build", &[], no_paths),
        again.with_ignored_flag(std::env::var_os(REBUILD).is_none()),
    ]
}

fn home() -> PathBuf {
    PathBuf::from(std::env::var_os("HOME").unwrap())
}

fn cargo_home() -> PathBuf {
    std::env::var_os("CARGO_HOME").map_or_else(|| home().join(".cargo"), PathBuf::from)
}

fn no_paths(dist: &Path) {
    let sysroot = run(command("rustc").args(["--print", "sysroot"]));
    let checkout = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let paths = [checkout, cargo_home(), home().join(".cargo"), PathBuf::from(sysroot.trim()), dist.to_owned()];
    let paths = paths.map(|path| path.to_str().unwrap().to_owned());
    for file in fs::read_dir(dist).unwrap().map(|entry| entry.unwrap().path()) {
        for bytes in contents(fs::read(&file).unwrap()) {
            let found = paths.iter().find(|path| has(&bytes, path));
            assert_eq!(found, None, "{}", file.display());
        }
    }
    // A search that cannot open a package finds nothing in it.
    for ending in PROGRAMS {
        let parts = contents(fs::read(package(dist, ending)).unwrap());
        assert!(parts.iter().any(|bytes| has(bytes, MARK)), "the program was not found in *{ending}");
        assert!(parts.iter().any(|bytes| has(bytes, "\"name\":\"sumgate\"")), "no list of crates in *{ending}");
    }
}

fn rebuilt(dist: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let (checkout, tools) = (folder.path().join("another/checkout"), folder.path().join("tools"));
    run(command("git").args(["clone", "--quiet", env!("CARGO_MANIFEST_DIR")]).arg(&checkout));
    // What was downloaded is the same; it is unpacked again.
    let registry = folder.path().join("cargo/registry");
    fs::create_dir_all(&registry).unwrap();
    for part in ["cache", "index"] {
        symlink(cargo_home().join("registry").join(part), registry.join(part)).unwrap();
    }
    fs::create_dir(&tools).unwrap();
    let out = folder.path().join("out");
    let mut build = std::process::Command::new("timeout");
    build.args(["--kill-after=10", "3600"]).arg(checkout.join("packaging/build")).arg(&out);
    build.env("CARGO_HOME", folder.path().join("cargo")).env("TMPDIR", &tools);
    build.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS");
    assert!(build.status().unwrap().success());
    let sums = |dist: &Path| -> BTreeMap<String, String> {
        let text = fs::read_to_string(dist.join("SHA256SUMS")).unwrap();
        let lines = text.lines().map(|line| line.split_once("  ").unwrap());
        lines.map(|(sum, name)| (name.to_owned(), sum.to_owned())).collect()
    };
    assert_eq!(sums(dist), sums(&out), "was {} made from this commit, without changes?", dist.display());
}
