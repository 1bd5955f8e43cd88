//! Attacks on the gate, with the real `go`: each ends in a finding or has no effect.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;
use serde_json::Value;
use testkit::{Origin, World};

use crate::fixture::{Go, files, go_trial, origin};

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("gate, ways: a changed module cache is not used", changed_module_cache),
        go_trial("gate, ways: a changed build cache is not used", patched_build_cache),
        go_trial("gate, ways: files restored into the folder of the run are deleted", restored_run_folder),
        go_trial("gate, ways: a vendor folder is reported", vendor),
        go_trial("gate, ways: a child process with another GOPROXY", child_with_its_own_proxy),
        go_trial("gate, ways: a child process with another module cache", child_with_its_own_cache),
        go_trial("gate, ways: a module that is changed after it is unpacked", changed_after_unpacking),
        go_trial("gate, ways: a replace directive to a folder", replaced),
        go_trial("gate, ways: an installed program is checked before it is moved to GOPATH/bin", installed),
        go_trial("gate, ways: a program elsewhere is checked if --subject names it", subject),
    ]
}

const MODULE: &str = "example.com/mark@v1.0.0";
const GO_MOD: &str = "module example.org/app\n\ngo 1.21\n\nrequire example.com/mark v1.0.0\n";
pub const MAIN: &str = "package main\n\nimport \"example.com/mark\"\n\nfunc main() { println(mark.Mark()) }\n";
pub const HONEST: &str = "HONEST-MARK-1";
pub const FORGED: &str = "FORGED-MARK-1";

pub fn module_with(mark: &str) -> World {
    let mut world = World::demo();
    world.add_simple(MODULE, "", &format!("package mark\n\nfunc Mark() string {{ return \"{mark}\" }}\n"));
    world.pad(1);
    world
}

/// A program that needs one module.
pub fn app(go: &Path, origin: &Origin) -> Go {
    let app = Go::new(go, &origin.url(), &origin.gosumdb()).set("SUMGATE_SUMDB", &origin.gosumdb());
    app.write("main.go", MAIN);
    app.write("go.mod", GO_MOD);
    app
}

/// Runs the gate; returns its exit code, what it said, and the codes of its findings.
pub fn gate(app: &Go, words: &[&str]) -> (Option<i32>, String, Vec<String>) {
    // A job begins with a fresh checkout.
    let _ = std::fs::remove_file(app.home().join("app"));
    gate_again(app, words)
}

/// The same, but the program of an earlier build may still exist.
pub fn gate_again(app: &Go, words: &[&str]) -> (Option<i32>, String, Vec<String>) {
    let (code, output) = app.sumgate(&[&["run", "--report", "report.json"], words].concat());
    let report = std::fs::read(app.home().join("report.json")).unwrap_or_default();
    let report: Value = serde_json::from_slice(&report).unwrap_or_default();
    let findings = report["findings"].as_array().cloned().unwrap_or_default();
    (code, output, findings.iter().map(|finding| finding["code"].as_str().unwrap().to_owned()).collect())
}

/// What the program that was built prints.
pub fn says(app: &Go) -> String {
    let output = app.command(&app.home().join("app")).output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap().trim().to_owned()
}

pub const BUILD: [&str; 6] = ["--", "go", "build", "-o", "app", "."];

/// Writes `new` over `old` in each file below a folder.
pub fn patch(folder: &Path, old: &str, new: &str) -> usize {
    let mut patched = 0;
    for (name, bytes) in files(folder) {
        let is_at = |at: &usize| bytes[*at..].starts_with(old.as_bytes());
        let places: Vec<usize> = (0..bytes.len()).filter(is_at).collect();
        if !places.is_empty() {
            let path = folder.join(name);
            let mut bytes = bytes;
            for at in places {
                bytes[at..at + old.len()].copy_from_slice(new.as_bytes());
            }
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, bytes).unwrap();
            patched += 1;
        }
    }
    patched
}

fn changed_module_cache(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin);
    app.must(&["build", "-o", "app", "."]);
    let unpacked = app.module_cache().join("example.com/mark@v1.0.0");
    assert_eq!(patch(&unpacked, HONEST, FORGED), 1);
    app.must(&["build", "-o", "app", "."]);
    assert_eq!(says(&app), FORGED, "`go` alone compiles what it finds");

    let (code, output, findings) = gate(&app, &BUILD);
    assert_eq!((code, findings), (Some(0), Vec::new()), "{output}");
    assert_eq!(says(&app), HONEST);
    // An inherited one is detected before the command starts.
    std::fs::remove_file(app.home().join("app")).unwrap();
    let (code, output, _) = gate(&app, &[&["--module-cache", "inherit"], &BUILD[..]].concat());
    assert!(code == Some(120) && output.contains("error[hash-mismatch]"), "{output}");
    assert!(!app.home().join("app").exists() && output.contains("the command was not started"), "{output}");
    // A valid one is used, and new modules are added to it.
    assert_eq!(patch(&unpacked, FORGED, HONEST), 1);
    let (code, output, findings) = gate(&app, &[&["--module-cache", "inherit"], &BUILD[..]].concat());
    assert_eq!((code, findings), (Some(0), Vec::new()), "{output}");
    assert!(output.contains("0 files proved and released"), "nothing is fetched again: {output}");
    std::fs::remove_dir_all(app.module_cache()).unwrap();
    let (code, output, findings) = gate(&app, &[&["--module-cache", "inherit"], &BUILD[..]].concat());
    assert_eq!((code, findings, unpacked.is_dir()), (Some(0), Vec::new(), true), "{output}");
}

fn patched_build_cache(go: &Path) {
    let origin = origin(module_with(HONEST));
    let cache = tempfile::tempdir().unwrap();
    let app = app(go, &origin).set("GOCACHE", cache.path().to_str().unwrap());
    app.must(&["build", "-o", "app", "."]);
    assert!(patch(cache.path(), HONEST, FORGED) > 0);
    std::fs::remove_file(app.home().join("app")).unwrap();
    app.must(&["build", "-o", "app", "."]);
    assert_eq!(says(&app), FORGED, "`go` alone links what it finds");
    let (code, output, findings) = gate(&app, &BUILD);
    assert_eq!((code, findings), (Some(0), Vec::new()), "{output}");
    assert_eq!(says(&app), HONEST);
    let (code, output, findings) = gate(&app, &[&["--build-cache", "inherit"], &BUILD[..]].concat());
    assert_eq!((code, findings), (Some(0), vec!["inherited-build-cache".to_owned()]), "{output}");
}

/// The attacker restores DATA with a module cache, a build cache and a link at the paths of the run.
fn restored_run_folder(go: &Path) {
    let origin = origin(module_with(HONEST));
    let (app, elsewhere) = (app(go, &origin), tempfile::tempdir().unwrap());
    app.must(&["build", "-o", "app", "."]);
    let data = app.root().join("data");
    let run = data.join("run/1");
    std::fs::create_dir_all(&run).unwrap();
    std::fs::write(data.join("sumgate-format"), "1\n").unwrap();
    std::fs::rename(app.module_cache(), run.join("mod")).unwrap();
    patch(&run.join("mod/example.com"), HONEST, FORGED);
    std::fs::write(elsewhere.path().join("mine"), "").unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), run.join("build")).unwrap();
    let with_data = ["--data", data.to_str().unwrap()];
    let (code, output, findings) = gate(&app, &[&with_data, &BUILD[..]].concat());
    assert_eq!((code, findings), (Some(0), Vec::new()), "{output}");
    assert_eq!(says(&app), HONEST);
    assert!(elsewhere.path().join("mine").is_file(), "a link is not followed");
    assert_eq!(std::fs::read_dir(&run).unwrap().count(), 0, "nothing outlives the run");
}

fn vendor(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin);
    app.must(&["mod", "tidy"]);
    app.must(&["mod", "vendor"]);
    assert_eq!(patch(&app.home().join("vendor"), HONEST, FORGED), 1);
    let app = app.set("GOFLAGS", "");
    let (code, output, findings) = gate(&app, &BUILD);
    assert_eq!((says(&app).as_str(), code), (FORGED, Some(0)), "{output}");
    assert_eq!(findings, ["vendor-unproved", "nothing-released"], "{output}");
    assert!(output.contains("note[vendor-unproved]") && output.contains("example.com/mark@v1.0.0"), "{output}");
    // Also where no program is built.
    let (code, output, findings) = gate(&app, &["--deny", "note", "--", "go", "vet", "."]);
    assert_eq!((code, findings), (Some(120), vec!["vendor-unproved".to_owned()]), "{output}");
    let app = app.set("GOFLAGS", "-mod=mod");
    let (code, output, findings) = gate(&app, &BUILD);
    assert_eq!((says(&app).as_str(), code, findings), (HONEST, Some(0), Vec::new()), "{output}");
}

/// An origin with other bytes under the same name, and a log of its own.
fn forger() -> Origin {
    let mut world = World::new("forger.localdev", [9; 32]);
    world.add_simple(MODULE, "", &format!("package mark\n\nfunc Mark() string {{ return \"{FORGED}\" }}\n"));
    origin(world)
}

fn child_with_its_own_proxy(go: &Path) {
    let (honest, forger) = (origin(module_with(HONEST)), forger());
    for settings in [
        format!("GOPROXY={} GOSUMDB=off", forger.url()),
        format!("GOPROXY={} GONOSUMDB=example.com", forger.url()),
        format!("GOPROXY={} GONOSUMCHECK=1 GOFLAGS=-mod=mod GOSUMDB='{}'", forger.url(), forger.gosumdb()),
    ] {
        let app = app(go, &honest);
        let (code, output, findings) = gate(&app, &["--", "sh", "-c", &format!("{settings} go build -o app .")]);
        assert_eq!(says(&app), FORGED, "{output}");
        assert_eq!(code, Some(120), "{settings}: {output}");
        assert!(findings.contains(&"module-not-released".to_owned()), "{output}");
        assert!(output.contains("example.com/mark@v1.0.0 did not come through the gate"), "{output}");
        assert!(findings.contains(&"nothing-released".to_owned()), "{output}");
    }
}

fn child_with_its_own_cache(go: &Path) {
    let (honest, forger) = (origin(module_with(HONEST)), forger());
    let app = app(go, &honest);
    // It also downloads the honest one, so that the gate knows the name.
    let settings = format!("GOPROXY={} GOSUMDB=off GOMODCACHE=$HOME/other", forger.url());
    let script = format!("go mod download {MODULE} && rm -f go.sum && {settings} go build -o app .");
    let (code, output, findings) = gate(&app, &["--", "sh", "-c", &script]);
    assert_eq!((says(&app).as_str(), code), (FORGED, Some(120)), "{output}");
    assert!(findings.contains(&"module-not-released".to_owned()), "{output}");
    assert!(output.contains("is not what came through the gate"), "{output}");
    assert!(output.contains("  found: h1:") && output.contains("  released: h1:"), "{output}");
}

fn changed_after_unpacking(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin);
    let edit = format!("sed -i s/{HONEST}/{FORGED}/ $GOMODCACHE/example.com/mark@v1.0.0/a.go");
    let script = format!("go mod download && chmod -R u+w $GOMODCACHE && {edit} && go build -o app .");
    let (code, output, findings) = gate(&app, &["--", "sh", "-c", &script]);
    assert_eq!((says(&app).as_str(), code), (FORGED, Some(120)), "{output}");
    assert_eq!(findings, ["module-not-released"], "{output}");
    // Files and links that are added count, too.
    for add in ["echo package mark > $GOMODCACHE/example.com/mark@v1.0.0/b.go", "ln -s / $GOMODCACHE/example.org"] {
        let script = format!("go build -o app . && chmod -R u+w $GOMODCACHE && {add}");
        let (code, output, findings) = gate(&app, &["--", "sh", "-c", &script]);
        assert_eq!((code, findings), (Some(120), vec!["module-not-released".to_owned()]), "{add}: {output}");
    }
}

fn replaced(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin);
    app.write("forged/go.mod", "module example.com/mark\n");
    app.write("forged/a.go", &format!("package mark\n\nfunc Mark() string {{ return \"{FORGED}\" }}\n"));
    app.write("go.mod", &format!("{GO_MOD}\nreplace example.com/mark => ./forged\n"));
    let (code, output, findings) = gate(&app, &BUILD);
    assert_eq!((says(&app).as_str(), code), (FORGED, Some(0)), "{output}");
    assert_eq!(findings, ["replaced-unproved", "nothing-released"], "{output}");
    // A replacement by a module version is a normal module.
    app.write("go.mod", &format!("{GO_MOD}\nreplace example.com/mark => example.com/fork v1.0.0\n"));
    let code = format!("package mark\n\nfunc Mark() string {{ return \"{HONEST}\" }}\n");
    origin.world().add_simple("example.com/fork@v1.0.0", "", &code);
    origin.world().pad(1);
    let (code, output, findings) = gate(&app, &BUILD);
    assert_eq!((says(&app).as_str(), code, findings), (HONEST, Some(0), Vec::new()), "{output}");
}

fn installed(go: &Path) {
    let (honest, forger) = (origin(module_with(HONEST)), forger());
    let app = app(go, &honest);
    let tool = |bin: &Path| bin.join("app");
    let bin = app.root().join("path/bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::write(tool(&bin), "an older one").unwrap();
    let forging = format!("rm -f go.sum; GOPROXY={} GOSUMDB=off go install . && rm go.sum", forger.url());
    let (code, output, findings) = gate(&app, &["--", "sh", "-c", &forging]);
    assert!(code == Some(120) && findings.contains(&"module-not-released".to_owned()), "{output}");
    assert_eq!(std::fs::read_to_string(tool(&bin)).unwrap(), "an older one", "{output}");
    let (code, output, findings) = gate(&app, &["--", "go", "install", "."]);
    assert_eq!((code, findings), (Some(0), Vec::new()), "{output}");
    assert!(output.contains(&format!("installed {}", tool(&bin).display())), "{output}");
    let run = |program: &Path| String::from_utf8(Command::new(program).output().unwrap().stderr).unwrap();
    assert_eq!(run(&tool(&bin)).trim(), HONEST);
    // For another platform, and into GOBIN.
    let app = app.set("GOARCH", "arm64");
    let (code, output, _) = gate(&app, &["--", "go", "install", "."]);
    assert!(code == Some(0) && bin.join("linux_arm64/app").is_file(), "{output}");
    let gobin = app.root().join("gobin");
    let app = app.set("GOARCH", "").set("GOBIN", gobin.to_str().unwrap());
    let (code, output, findings) = gate(&app, &["--", "go", "install", "."]);
    assert_eq!((code, findings, run(&tool(&gobin)).trim()), (Some(0), Vec::new(), HONEST), "{output}");
    let (code, output, findings) = gate(&app, &["--", "sh", "-c", &forging]);
    assert!(code == Some(120) && findings.contains(&"module-not-released".to_owned()), "{output}");
    assert!(output.contains(&format!("{}: example.com/mark", tool(&gobin).display())), "{output}");
}

fn subject(go: &Path) {
    let (honest, forger) = (origin(module_with(HONEST)), forger());
    let app = app(go, &honest);
    let elsewhere = app.root().join("elsewhere");
    let build =
        format!("GOMODCACHE=$HOME/other GOPROXY={} GOSUMDB=off go build -o {}", forger.url(), elsewhere.display());
    let named = ["--subject", elsewhere.to_str().unwrap()];
    let (code, output, findings) = gate(&app, &[&named[..], &["--", "sh", "-c", &build]].concat());
    assert!(code == Some(120) && findings.contains(&"module-not-released".to_owned()), "{output}");
    // An unreadable file is reported.
    for program in ["/no/such/program", "/bin/sh"] {
        let (code, output, findings) = gate(&app, &["--subject", program, "--", "true"]);
        assert_eq!((code, findings), (Some(120), vec!["not-examined".to_owned()]), "{program}: {output}");
    }
}
