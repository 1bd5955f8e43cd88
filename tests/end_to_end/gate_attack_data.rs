//! Attacks through files of earlier jobs: programs, kept caches, and the data folder.

use std::path::{Path, PathBuf};
use std::time::Instant;

use libtest_mimic::Trial;
use testkit::Origin;

use crate::fixture::{Go, fifo, go_trial, origin};
use crate::gate_ways::{BUILD, FORGED, HONEST, app, gate, gate_again, module_with, patch, says};

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("gate, data: a program of an earlier build is not reported as built", stale_program),
        go_trial("gate, data: an earlier program in GOBIN or of --subject is not reported as built", stale_elsewhere),
        go_trial("gate, data: a program that is linked again is reported as built", linked_anew),
        go_trial("gate, data: a sealed cache does not bypass a later policy", sealed_and_denied),
        go_trial("gate, data: an inherited cache does not bypass a policy", inherited_and_denied),
        go_trial("gate, data: a pipe or device in the data folder does not block a run", pipes_and_devices),
        go_trial("gate, data: deeply nested folders do not stop the next run", deep_folders),
        go_trial("gate, data: a replaced module is reported for output without build information", no_information),
    ]
}

const NOT_BUILT: &str = "program-not-built";
/// Made by `sumgate cache keygen`, for these trials only.
const SECRET: &str = "PRIVATE+KEY+ci.example.com+3ec65fd6+AQMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMD";

#[track_caller]
fn ends(app: &Go, words: &[&str], code: i32, codes: &[&str]) -> String {
    let (ended, output, findings) = gate_again(app, words);
    assert_eq!((ended, findings), (Some(code), codes.iter().map(ToString::to_string).collect()), "{words:?}: {output}");
    output
}

fn programs(app: &Go) -> Vec<String> {
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(app.home().join("report.json")).unwrap()).unwrap();
    let programs = report["programs"].as_array().unwrap();
    programs.iter().map(|path| path.as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
}

/// The build ID of a program stays, and its text changes.
fn forge(program: &Path) {
    let folder = program.parent().unwrap();
    let only = tempfile::tempdir_in(folder).unwrap();
    let inner = only.path().join("app");
    std::fs::rename(program, &inner).unwrap();
    assert_eq!(patch(only.path(), HONEST, FORGED), 1);
    std::fs::rename(&inner, program).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(program, mode).unwrap();
}

fn stale_program(go: &Path) {
    let origin = origin(module_with(HONEST));
    for ignores in [false, true] {
        let app = app(go, &origin);
        if ignores {
            app.git(&["init", "--quiet"]);
            app.write(".gitignore", "app\n");
        }
        ends(&app, &BUILD, 0, &[]);
        assert_eq!(programs(&app), ["app"]);
        forge(&app.home().join("app"));
        let output = ends(&app, &BUILD, 120, &[NOT_BUILT]);
        assert_eq!(says(&app), FORGED, "`go` goes by the build ID alone");
        assert!(programs(&app).is_empty() && output.contains("what to do: Delete it"), "{output}");
        std::fs::remove_file(app.home().join("app")).unwrap();
        ends(&app, &BUILD, 0, &[]);
        assert_eq!((says(&app).as_str(), programs(&app)), (HONEST, vec!["app".to_owned()]));
    }
}

fn stale_elsewhere(go: &Path) {
    let origin = origin(module_with(HONEST));
    let gobin = tempfile::tempdir().unwrap();
    let gobin = gobin.path().canonicalize().unwrap();
    let app = app(go, &origin).set("GOBIN", gobin.to_str().unwrap());
    let install = ["--", "go", "install", "."];
    ends(&app, &install, 0, &[]);
    forge(&gobin.join("app"));
    ends(&app, &install, 120, &[NOT_BUILT]);
    assert!(programs(&app).is_empty());
    // A program of --subject that is not written: GOFLAGS=-n builds nothing.
    let named = app.home().join("named");
    std::fs::copy(gobin.join("app"), &named).unwrap();
    let app = app.set("GOFLAGS", "-n");
    let build = ["--subject", "named", "--", "go", "build", "-o", "named", "."];
    let output = ends(&app, &build, 120, &["build-environment", NOT_BUILT]);
    assert!(programs(&app).is_empty(), "{output}");
}

/// In each way that `go` writes an output: renamed, copied to another file system, and through a link.
fn linked_anew(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin);
    ends(&app, &BUILD, 0, &[]);
    let main = std::fs::read_to_string(app.home().join("main.go")).unwrap();
    app.write("main.go", &main.replace("println(", "println(1, "));
    ends(&app, &BUILD, 0, &[]);
    assert_eq!(programs(&app), ["app"]);
    // The same bytes in another file, perhaps with the number of the old one.
    ends(&app, &["--", "sh", "-c", "rm app && go build -o app ."], 0, &[]);
    assert_eq!(programs(&app), ["app"]);
    // Where `go` links on another file system it copies, and through a link it writes in place.
    let other = Path::new("/dev/shm");
    if other.is_dir() {
        let other = tempfile::tempdir_in(other).unwrap();
        let app = app.set("GOTMPDIR", other.path().to_str().unwrap());
        ends(&app, &["--", "sh", "-c", "rm app && go build -o app ."], 0, &[]);
        assert_eq!(programs(&app), ["app"]);
        std::os::unix::fs::symlink("app", app.home().join("link")).unwrap();
        app.write("main.go", &main.replace("println(", "println(2, "));
        ends(&app, &["--", "go", "build", "-o", "link", "."], 0, &[]);
        assert_eq!((programs(&app), says(&app)), (vec!["app".to_owned()], format!("2 {HONEST}")));
    }
    let app = crate::gate_ways::app(go, &origin);
    // A file that is not a Go program is ignored.
    std::fs::copy("/bin/true", app.home().join("true")).unwrap();
    ends(&app, &["--", "touch", "true"], 0, &[]);
}

const DENY: &str = "[[deny]]\nmodule = \"example.com/mark\"\nreason = \"stolen\"\n";

/// The arguments of a run with a kept data folder.
fn kept<'a>(data: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    [&["--data", data.to_str().unwrap()], more].concat()
}

fn sealed_and_denied(go: &Path) {
    let origin = origin(module_with(HONEST));
    let (data, build) = (tempfile::tempdir().unwrap(), ["--", "sh", "-c", "touch ran; rm -f app; go build -o app ."]);
    let app = app(go, &origin).set("SUMGATE_CACHE_KEY", SECRET);
    let words = kept(data.path(), &build);
    assert!(ends(&app, &words, 0, &[]).contains("sealed "));
    let is_sealed = |output: String| assert!(output.contains("files of the kept caches are used"), "{output}");
    app.write("sumgate.toml", "[[deny]]\nmodule = \"example.com/other\"\nreason = \"x\"\n");
    is_sealed(ends(&app, &words, 0, &[]));
    std::fs::remove_file(app.home().join("ran")).unwrap();
    app.write("sumgate.toml", DENY);
    let output = ends(&app, &words, 120, &["policy-denied"]);
    assert!(output.contains("stolen") && output.contains("the command was not started"), "{output}");
    assert!(!app.home().join("ran").exists());
    // The size is known even without a record.
    app.write("sumgate.toml", "[policy]\nmax-zip-size = \"100\"\n");
    ends(&app, &words, 120, &["policy-denied"]);
    // With a base both policies decide: the pull request removes the rule.
    app.git(&["init", "--quiet"]);
    app.write("sumgate.toml", DENY);
    app.git(&["add", "sumgate.toml"]);
    app.git(&["commit", "--quiet", "-m", "deny"]);
    app.write("sumgate.toml", "");
    let based = [&["--base", "HEAD"], &words[..]].concat();
    let (code, output, findings) = gate_again(&app, &based);
    assert!(code == Some(120) && findings.contains(&"policy-denied".to_owned()), "{output}");
    assert!(output.contains("by the policy at the base") && !app.home().join("ran").exists(), "{output}");
    // The remedy that the finding names.
    std::fs::remove_dir_all(data.path().join("run/1")).unwrap();
    ends(&app, &words, 0, &[]);
}

fn inherited_and_denied(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin);
    app.must(&["mod", "download"]);
    let words = ["--module-cache", "inherit", "--", "touch", "ran"];
    app.write("sumgate.toml", DENY);
    let output = ends(&app, &words, 120, &["policy-denied", "policy-denied"][..=usize::from(unpacked(&app))]);
    assert!(output.contains("stolen") && !app.home().join("ran").exists(), "{output}");
    let exempt =
        "[[exception]]\nmodule = \"example.com/mark\"\nfrom = [\"deny\"]\nreason = \"y\"\nexpires = 2999-01-01\n";
    app.write("sumgate.toml", &format!("{DENY}{exempt}"));
    ends(&app, &words, 0, &[]);
}

fn unpacked(app: &Go) -> bool {
    app.module_cache().join("example.com/mark@v1.0.0").is_dir()
}

/// Replaces each file that a run leaves in its data folder, one at a time.
fn pipes_and_devices(go: &Path) {
    let origin = origin(module_with(HONEST));
    let data = tempfile::tempdir().unwrap();
    let app = app(go, &origin).set("GONOSUMDB", "example.com/mark");
    app.write(
        "go.mod",
        &std::fs::read_to_string(app.home().join("go.mod")).unwrap().replace(
            "require example.com/mark v1.0.0",
            "require (\n\texample.com/mark v1.0.0\n\texample.com/hello v1.1.0\n)",
        ),
    );
    let words = kept(data.path(), &["--", "go", "mod", "download"]);
    assert_eq!(gate(&app, &words).0, Some(0));
    let names: Vec<PathBuf> = crate::fixture::files(data.path()).into_keys().map(PathBuf::from).collect();
    for part in ["staging/lock", "head", "heads", "record/", "tile/", ".zip", ".mod", ".info", "list", "pins/", "run/"]
    {
        assert!(names.iter().any(|name| name.to_string_lossy().contains(part)), "{part}: {names:?}");
    }
    for odd in [&fifo as &dyn Fn(&Path), &|path| std::os::unix::fs::symlink("/dev/zero", path).unwrap()] {
        let mut pins = 0;
        for name in names.iter().chain([&PathBuf::from("sumdb/first-asked")]) {
            let path = data.path().join(name);
            let _ = std::fs::remove_file(&path);
            if !path.parent().unwrap().is_dir() {
                continue;
            }
            odd(&path);
            let start = Instant::now();
            let (code, output, _) = gate(&app, &words);
            assert!(start.elapsed().as_secs() < 60, "{}: {output}", name.display());
            // An unreadable pin must not let other bytes be pinned.
            let is_pin = name.starts_with("pins");
            assert_eq!(code == Some(0), !is_pin, "{}: {output}", name.display());
            assert!(!is_pin || output.contains("remove it"), "{output}");
            pins += usize::from(is_pin);
            if is_pin {
                std::fs::remove_file(&path).unwrap();
            }
        }
        assert!(pins >= 2, "zip and go.mod");
    }
}

fn deep_folders(go: &Path) {
    let origin = origin(module_with(HONEST));
    let data = tempfile::tempdir().unwrap();
    let app = app(go, &origin).set("SUMGATE_CACHE_KEY", SECRET);
    std::fs::write(data.path().join("sumgate-format"), "1\n").unwrap();
    let places = ["run/1/deep", "run/1/mod/deep", "run/1/build/deep", "run/1.lock", "staging/run-deep"];
    for place in places {
        let path = data.path().join(place);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = std::fs::remove_file(&path);
        deep(data.path(), &path);
        if place.starts_with("staging") {
            // Without the lock file it is not a folder of sumgate.
            std::fs::write(path.join("lock"), "").unwrap();
        }
        let program = env!("CARGO_BIN_EXE_sumgate");
        let script = format!("ulimit -n 256 && exec {program} run --data {} -- true", data.path().display());
        let output = app.command(Path::new("sh")).args(["-c", &script]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        // The rest would be too deep for the cleanup of the test.
        let is_left = path.is_dir();
        assert!(std::process::Command::new("rm").arg("-rf").arg(&path).status().unwrap().success());
        assert_eq!((output.status.code(), is_left), (Some(0), false), "{place}: {said}");
    }
}

/// More than the limit of open files, and than the bytes of a path.
const DEPTH: usize = 3_000;

/// Built from the inside: a path from the top would be too long.
fn deep(root: &Path, path: &Path) {
    let (inner, outer) = (root.join("inner"), root.join("outer"));
    std::fs::create_dir(&inner).unwrap();
    for _ in 0..DEPTH {
        std::fs::create_dir(&outer).unwrap();
        std::fs::rename(&inner, outer.join("n")).unwrap();
        std::fs::rename(&outer, &inner).unwrap();
    }
    std::fs::rename(&inner, path).unwrap();
}

fn no_information(go: &Path) {
    let origin: Origin = origin(module_with(HONEST));
    let app = app(go, &origin);
    let go_mod = std::fs::read_to_string(app.home().join("go.mod")).unwrap();
    app.write("go.mod", &format!("{go_mod}\nreplace example.com/mark => ./mark\n"));
    app.write("mark/go.mod", "module example.com/mark\n");
    app.write("mark/mark.go", &format!("package mark\n\nfunc Mark() string {{ return \"{FORGED}\" }}\n"));
    let archive = "CGO_ENABLED=0 go build -buildmode=archive -o app.a .";
    let wasm = "GOOS=js GOARCH=wasm go build -o app.wasm .";
    for script in [archive, wasm] {
        let (_, output, findings) = gate(&app, &["--", "sh", "-ec", script]);
        assert!(findings.contains(&"replaced-unproved".to_owned()), "{script}: {output}");
    }
    // The C compiler is here on some machines only.
    if std::process::Command::new("gcc").arg("--version").output().is_ok() {
        let script = "CGO_ENABLED=1 go build -buildmode=c-archive -o app.a .";
        let (code, output, findings) = gate(&app, &["--", "sh", "-ec", script]);
        assert_eq!((code, findings), (Some(0), vec!["replaced-unproved".to_owned()]), "{output}");
    }
}
