//! What `docs/comparison.md` says of the `go` command alone.

use std::path::Path;

use libtest_mimic::Trial;
use testkit::{Fault, World, module_zip};

use crate::fixture::{Go, Mirror, files, go_trial, origin};
use gomodule::module::ModuleVersion;

const DEP: &str = "example.com/dep/v2@v2.0.1";

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("compared: go takes a forged zip whose line is in go.sum, and audit finds the line", planted),
        go_trial("compared: go without a line refuses a forged zip, and the mirror asks the next upstream", forged),
        go_trial("compared: go keeps the tree head and sees a fork, and keeps no evidence of it", forked),
    ]
}

/// The module with a backdoor.
fn backdoor() -> Vec<u8> {
    let module = ModuleVersion::parse(DEP).unwrap();
    module_zip(&module, &[("a.go", "package dep\n\nfunc N() int { return 666 }\n")], 6).unwrap()
}

/// The proxy is under the attacker's control: it has the zip that the planted line names.
fn planted(go: &Path) {
    let origin = origin(World::demo());
    let home = Go::new(go, &origin.url(), &origin.gosumdb()).set("SUMGATE_SUMDB", &origin.gosumdb());
    home.write("main.go", "package main\n\nimport \"example.com/dep/v2\"\n\nfunc main() { println(dep.N()) }\n");
    home.write("go.mod", "module example.org/app\n\ngo 1.21\n\nrequire example.com/dep/v2 v2.0.1\n");
    home.must(&["mod", "tidy"]);
    origin.misbehave("/example.com/dep/v2/@v/v2.0.1.zip", Fault::Body(backdoor().into()));
    std::fs::remove_dir_all(home.module_cache()).unwrap();
    let output = home.must_fail(&["run", "."], "SECURITY ERROR");
    let forged = output.lines().find_map(|line| line.trim().strip_prefix("downloaded: ")).unwrap();
    let sum = std::fs::read_to_string(home.home().join("go.sum")).unwrap();
    let lines = sum.lines().map(|line| match line.strip_prefix("example.com/dep/v2 v2.0.1 ") {
        Some(_) => format!("example.com/dep/v2 v2.0.1 {forged}\n"),
        None => format!("{line}\n"),
    });
    home.write("go.sum", &lines.collect::<String>());
    assert!(home.must(&["run", "."]).contains("666"));
    let (code, output) = home.sumgate(&["audit"]);
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("error[hash-mismatch]"), "{output}");
}

fn forged(go: &Path) {
    let (bad, good) = (origin(World::demo()), origin(World::demo()));
    bad.misbehave("/example.com/dep/v2/@v/v2.0.1.zip", Fault::Body(backdoor().into()));
    let both = format!("{},{}", bad.url(), good.url());
    Go::new(go, &both, &good.gosumdb()).must_fail(&["mod", "download", DEP], "SECURITY ERROR");
    let folder = tempfile::tempdir().unwrap();
    let more = ["--upstream", &both, "--sumdb", &good.gosumdb()];
    let mirror = Mirror::start_with(&folder.path().join("data"), &more);
    let sumdb = format!("{} {}", good.key(), mirror.url);
    Go::new(go, &mirror.url, &sumdb).must(&["mod", "download", DEP]);
    assert!(!mirror.quarantine().is_empty());
}

fn forked(go: &Path) {
    let origin = origin(World::demo());
    let home = Go::new(go, &origin.url(), &origin.gosumdb());
    home.must(&["mod", "download", DEP]);
    let fork = origin.world().fork(400, 900);
    *origin.world() = fork;
    let before = files(home.root());
    assert!(before.contains_key("path/pkg/sumdb/localhost.localdev/sumdb/latest"), "{:?}", before.keys());
    home.must_fail(&["mod", "download", "example.com/legacy@v2.0.0+incompatible"], "SECURITY ERROR");
    let is_new = |name: &String| !before.contains_key(name) && !name.starts_with("output");
    let new: Vec<String> = files(home.root()).into_keys().filter(is_new).collect();
    assert!(new.iter().all(|name| name.starts_with("mod/cache/")), "evidence: {new:?}");
}
