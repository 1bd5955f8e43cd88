//! Attacks on the gate by an attacker who controls the environment, restored caches and all files of the repository; and honest work
//! that looks like an attack.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;

use crate::fixture::{Go, go_trial, origin, trial};
use crate::gate_honest::with_private;
use crate::gate_ways::{BUILD, FORGED, HONEST, app, gate, module_with, patch, says};

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("gate, attack: white space that go does not split at does not hide a flag", hidden_flags),
        trial("gate, attack: a public key in a variable does not replace the secret key", two_keys),
        trial("gate, attack: no child process gets the key or injected code", children),
        trial("gate, attack: no child process runs a program of the repository", programs_of_children),
        go_trial("gate, attack: git settings of a safe.directory with another owner", other_owner),
        go_trial("gate, attack: a submodule below the data folder", submodule_in_data),
        trial("gate, attack: remotes in .git/remotes and .git/branches", old_remotes),
        trial("gate, attack: HOME does not make the repository smaller", smaller_repository),
        trial("gate, attack: HOME does not make programs of the working folder trusted", home_in_an_unpacked_tree),
        trial("gate, attack: a home folder in the repository", home_inside),
        trial("gate, attack: variables that name an output file", outputs),
        go_trial("gate, attack: git settings in a clone of an inherited module cache", inherited_clone),
        go_trial("gate, attack: a vendor folder behind a link", linked_vendor),
        go_trial("gate, attack: a module that is larger than the repository", module_above),
        go_trial("gate, attack: programs in a folder named .git", programs_in_git),
        go_trial("gate, attack: honest programs in the repository are listed once", listed_once),
        trial("gate, attack: many vendor folders are one finding", many_vendor_folders),
        go_trial("gate, attack: honest filters of git", honest_filters),
    ]
}

/// A valid secret key, and the public key of another one.
const SECRET: &str = "PRIVATE+KEY+ci.example.com+3ec65fd6+AQMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMD";
const PUBLIC: &str = "ci.example.com+c38cb289+AYT8dzNGUeV1YW2nMjGyOVOaH+P5iVUE8WvzqFRZiSpH";

fn here() -> Go {
    Go::new(Path::new("/nonexistent"), "http://127.0.0.1:9", "sum.golang.org http://127.0.0.1:9")
}

/// Runs a command that does nothing; returns the output.
#[track_caller]
fn tells(home: &Go, code: i32, findings: &[&str], why: &str) -> String {
    let (ended, output, found) = gate(home, &["--", "true"]);
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    assert_eq!((ended, found), (Some(code), findings.to_vec()), "{why}: {output}");
    output
}

fn script(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

/// A program that leaves a mark, and the mark.
fn marker(home: &Go, program: &str) -> (PathBuf, PathBuf) {
    let (mark, program) = (home.root().join("mark"), home.root().join(program));
    script(&program, &format!("touch {}\nexit 1", mark.display()));
    (program, mark)
}

fn committed(app: Go) -> Go {
    app.git(&["init", "-q"]);
    app.git(&["add", "."]);
    app.git(&["commit", "-q", "-m", "one"]);
    app
}

fn hidden_flags(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin);
    let (evil, mark) = marker(&app, "evil");
    let flags = format!("-mod=mod -tags=a\u{c}'-tags= -toolexec={} -tags=b'", evil.display());
    let app = app.set("GOFLAGS", &flags);
    let (code, output, findings) = gate(&app, &BUILD);
    assert!(mark.exists(), "`go` splits it so, and runs the program: {output}");
    assert_eq!((code, findings), (Some(120), vec!["build-override".to_owned()]), "{output}");
}

fn two_keys() {
    for (name, key) in [("SUMGATE_CACHE_KEY", SECRET), ("SUMGATE_CACHE_PUBLIC_KEY", PUBLIC)] {
        tells(&here().set(name, key), 0, &[], "one key");
    }
    let home = here().set("SUMGATE_CACHE_KEY", SECRET).set("SUMGATE_CACHE_PUBLIC_KEY", PUBLIC);
    let (code, output, _) = gate(&home, &["--", "echo", "it ran"]);
    assert!(!output.lines().any(|line| line == "it ran"), "{output}");
    assert_eq!(code, Some(121), "{output}");
    assert!(output.contains("SUMGATE_CACHE_KEY") && output.contains("SUMGATE_CACHE_PUBLIC_KEY"), "{output}");
}

/// A `go` and a git that record their environment.
fn children() {
    let home = here();
    let (bin, seen) = (home.root().join("bin"), home.root().join("seen"));
    script(&bin.join("git"), &format!("(env; echo by git) >> {0}; exec /usr/bin/git \"$@\"", seen.display()));
    script(
        &bin.join("go"),
        &format!("(env; echo by go) >> {0}; echo '{{\"GOROOT\":\"/nonexistent\"}}'", seen.display()),
    );
    let home = home.set("PATH", &format!("{}:/usr/bin:/bin:relative", bin.display()));
    let mut home = home.set("SUMGATE_CACHE_KEY", SECRET);
    for name in ["SUMGATE_OTHER", "BASH_ENV", "ENV", "PYTHONPATH", "PERL5LIB", "GCONV_PATH", "LD_RUN_PATH", "LD_DEBUG"]
    {
        home = home.set(name, "stolen");
    }
    gate(&home, &["--", "true"]);
    let seen = std::fs::read_to_string(seen).unwrap();
    assert!(seen.contains("by go\n") && seen.contains("by git\n"), "both ran: {seen}");
    assert!(!seen.contains(SECRET) && !seen.contains("stolen") && !seen.contains(":relative"), "{seen}");
}

fn programs_of_children() {
    let home = here();
    home.git(&["init", "-q"]);
    let (tools, mark) = (home.home().join("tools"), home.root().join("mark"));
    // It answers as git does, so that nothing else shows that it ran.
    script(&tools.join("git"), &format!("touch {}; exec /usr/bin/git \"$@\"", mark.display()));
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let home = home.set("PATH", &path);
    let output = tells(&home, 120, &["build-override"], "a folder of PATH");
    assert!(!mark.exists(), "{output}");
}

fn other_owner(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = committed(app(go, &origin).set("GOFLAGS", "-mod=mod").set("GOVCS", ""));
    let (evil, mark) = marker(&app, "evil");
    app.git(&["config", "core.fsmonitor", evil.to_str().unwrap()]);
    let settings = app.root().join("settings");
    std::fs::write(&settings, "[safe]\n\tdirectory = *\n").unwrap();
    // A variable of git's own tests: all repositories belong to another user.
    let app = app.set("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1").set("GIT_CONFIG_GLOBAL", settings.to_str().unwrap());
    let (code, output, findings) = gate(&app, &BUILD);
    assert_eq!((code, findings, mark.exists()), (Some(120), vec!["repository-program".to_owned()], true), "{output}");
}

fn submodule_in_data(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin).set("GOFLAGS", "-mod=mod").set("GOVCS", "");
    let (evil, mark) = marker(&app, "evil");
    app.write("data/sub/file", "");
    // Without the marker the folder would not be used at all.
    app.write("data/sumgate-format", "1\n");
    app.git(&["-C", "data/sub", "init", "-q"]);
    app.git(&["-C", "data/sub", "add", "."]);
    app.git(&["-C", "data/sub", "commit", "-q", "-m", "one"]);
    let app = committed(app);
    app.git(&["-C", "data/sub", "config", "core.fsmonitor", evil.to_str().unwrap()]);
    let data = app.home().join("data");
    let (code, output, findings) = gate(&app, &[&["--data", data.to_str().unwrap()], &BUILD[..]].concat());
    assert_eq!((code, findings, mark.exists()), (Some(120), vec!["repository-program".to_owned()], true), "{output}");
}

fn old_remotes() {
    for folder in ["remotes", "branches"] {
        let home = here();
        home.git(&["init", "-q"]);
        home.write(&format!(".git/{folder}/origin"), "URL: ext::sh -c evil\n");
        tells(&home, 0, &[], "nothing is fetched");
        home.git(&["config", "core.repositoryFormatVersion", "1"]);
        home.git(&["config", "extensions.partialClone", "origin"]);
        let output = tells(&home, 120, &["repository-program"], folder);
        assert!(output.contains(&format!(".git/{folder} has addresses of remotes")), "{output}");
    }
}

/// The compiler is beside the working folder, in the same repository.
fn smaller_repository() {
    let home = here();
    home.git(&["init", "-q"]);
    script(&home.home().join("tools/gcc"), "exit 1");
    std::fs::create_dir(home.home().join("sub")).unwrap();
    std::fs::create_dir(home.home().join(".home")).unwrap();
    let path = format!("{}:{}", home.home().join("tools").display(), std::env::var("PATH").unwrap());
    for variable in [home.home(), home.home().join("sub"), home.home().join(".home")] {
        let mut command = home.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
        command.current_dir(home.home().join("sub")).env("HOME", &variable).env("PATH", &path);
        let data = home.root().join("data");
        let ended = command.args(["run", "--data"]).arg(&data).args(["--", "true"]).output().unwrap();
        let output = String::from_utf8(ended.stderr).unwrap();
        assert!(ended.status.code() == Some(120) && output.contains("tools: it lies in the repository"), "{output}");
    }
}

/// The author of an unpacked archive also chooses what is in its folders.
fn home_in_an_unpacked_tree() {
    for name in ["gcc", "go"] {
        let home = here();
        let ran = home.root().join("ran");
        script(&home.home().join("tools").join(name), &format!("echo >> {}; exit 1", ran.display()));
        std::fs::create_dir(home.home().join(".home")).unwrap();
        let path = format!("{}:{}", home.home().join("tools").display(), std::env::var("PATH").unwrap());
        for variable in [home.root().join("home"), home.home(), home.home().join(".home")] {
            let mut command = home.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
            command.env("HOME", &variable).env("PATH", &path).args(["run", "--data"]).arg(home.root().join("data"));
            let ended = command.args(["--", "true"]).output().unwrap();
            let output = String::from_utf8(ended.stderr).unwrap();
            let (code, why) = if name == "go" {
                (121, "expected a `go` command outside the repository")
            } else {
                (120, "tools: it lies in the repository")
            };
            assert!(
                ended.status.code() == Some(code) && output.contains(why),
                "{name} {}: {output}",
                variable.display()
            );
            assert!(!ran.exists(), "{name} of the folder was run");
        }
    }
}

fn home_inside() {
    for folder in ["", ".home"] {
        let home = here();
        home.git(&["init", "-q"]);
        let inside = home.home().join(folder);
        std::fs::create_dir_all(&inside).unwrap();
        let data = home.root().join("data");
        let home = home.set("HOME", inside.to_str().unwrap()).set("SUMGATE_DATA", data.to_str().unwrap());
        tells(&home, 0, &[], "a home without settings");
        std::fs::write(inside.join(".gitconfig"), "[user]\n\tname = A\n").unwrap();
        tells(&home, 0, &[], "settings without a program");
        std::fs::write(inside.join(".gitconfig"), "[core]\n\tfsmonitor = /x\n").unwrap();
        tells(&home, 120, &["repository-program"], "settings with a program");
        std::fs::remove_file(inside.join(".gitconfig")).unwrap();
        std::fs::create_dir(inside.join(".ssh")).unwrap();
        let output = tells(&home, 120, &["build-override"], "settings that the gate does not read");
        assert!(output.contains("HOME is") && output.contains(".ssh"), "{output}");
    }
}

fn outputs() {
    for (name, value) in [
        ("GIT_TRACE", "/tmp/x"),
        ("GIT_TRACE2_EVENT", "af_unix:/tmp/x"),
        ("DEPENDENCIES_OUTPUT", "x"),
        ("SUNPRO_DEPENDENCIES", "x"),
        ("BASH_FUNC_go%%", "() { evil; }"),
        ("GOFLAGS", "-n"),
    ] {
        tells(&here().set(name, value), 0, &["build-environment"], name);
    }
    for (name, value) in [("GIT_TRACE", "1"), ("GIT_TRACE_PACKET", "true"), ("GIT_TRACE_REDACT", "0"), ("ENV", "ci")] {
        tells(&here().set(name, value), 0, &[], name);
    }
}

fn linked_vendor(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin);
    app.must(&["mod", "tidy"]);
    app.must(&["mod", "vendor"]);
    std::fs::rename(app.home().join("vendor"), app.root().join("elsewhere")).unwrap();
    symlink("../elsewhere", app.home().join("vendor")).unwrap();
    let app = app.set("GOFLAGS", "");
    let (code, output, findings) = gate(&app, &["--", "go", "vet", "."]);
    assert_eq!((code, findings), (Some(0), vec!["vendor-unproved".to_owned()]), "{output}");
}

/// A planted `.git` makes the repository smaller than its module.
fn module_above(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin);
    app.must(&["mod", "tidy"]);
    app.must(&["mod", "vendor"]);
    patch(&app.home().join("vendor"), HONEST, FORGED);
    std::fs::create_dir_all(app.home().join("cmd/.git")).unwrap();
    std::fs::rename(app.home().join("main.go"), app.home().join("cmd/main.go")).unwrap();
    let mut command = app.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
    command.current_dir(app.home().join("cmd")).env("GOFLAGS", "-buildvcs=false").args(["run", "--"]);
    // The program is outside the small repository, so its modules are not read.
    let ended = command.args(["go", "build", "-o", "../app", "."]).output().unwrap();
    let output = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success(), "{output}");
    assert_eq!(says(&app), FORGED, "`go` takes the vendor folder above the repository: {output}");
    assert!(output.contains("note[vendor-unproved]") && output.contains("/work/vendor"), "{output}");
}

fn programs_in_git(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin);
    for folder in ["x/.git", ".git/bin"] {
        let bin = app.home().join(folder);
        let mut command = app.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
        command.env("GOBIN", &bin).env("GOFLAGS", "-mod=mod -buildvcs=false");
        command.args(["run", "--report", "report.json", "--", "go", "install", "."]);
        let ended = command.output().unwrap();
        let report = std::fs::read_to_string(app.home().join("report.json")).unwrap();
        assert!(report.contains(&format!("/{folder}/app\"")), "{folder}: {ended:?} {report}");
    }
}

fn listed_once(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin);
    let bin = app.home().join("bin");
    let app = app.set("GOBIN", bin.to_str().unwrap());
    let (code, output, findings) = gate(&app, &["--", "go", "install", "./..."]);
    assert_eq!((code, findings), (Some(0), Vec::new()), "{output}");
    let report = std::fs::read_to_string(app.home().join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["programs"].as_array().unwrap().len(), 1, "{report}");
    std::fs::copy(bin.join("app"), app.home().join("app")).unwrap();
    assert_eq!(says(&app), HONEST);
}

fn many_vendor_folders() {
    let home = here().set("GOFLAGS", "");
    for nth in 0..50 {
        home.write(&format!("testdata/{nth}/go.mod"), "module a.com/x\n");
        home.write(&format!("testdata/{nth}/vendor/modules.txt"), "");
    }
    let output = tells(&home, 0, &["vendor-unproved"], "one note");
    assert!(output.contains("from 49 more vendor folders"), "{output}");
}

fn honest_filters(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = committed(app(go, &origin).set("GOFLAGS", "-mod=mod").set("GOVCS", ""));
    for (name, value) in [
        ("filter.lfs.process", "git-lfs filter-process --skip"),
        ("filter.lfs.smudge", "git-lfs smudge --skip -- %f"),
        ("filter.git-crypt.clean", "\"git-crypt\" clean"),
        ("filter.git-crypt.smudge", "\"git-crypt\" smudge"),
    ] {
        app.git(&["config", name, value]);
    }
    let (code, output, findings) = gate(&app, &BUILD);
    assert_eq!((code, findings), (Some(0), Vec::new()), "{output}");
    app.git(&["config", "filter.git-crypt.clean", "\"./git-crypt\" clean"]);
    let (code, output, findings) = gate(&app, &BUILD);
    assert_eq!((code, findings), (Some(120), vec!["repository-program".to_owned()]), "{output}");
}

/// `go` fetches private modules with its clones, and git uses their settings and hooks.
fn inherited_clone(go: &Path) {
    let origin = origin(testkit::World::demo());
    let (app, _) = with_private(go, &origin);
    app.must(&["mod", "tidy"]);
    let build = ["--module-cache", "inherit", "--", "go", "build", "-o", "app", "."];
    let private = ["private-name", "private-unproved"];
    let honest = |findings: &[String]| findings.iter().all(|code| private.contains(&code.as_str()));
    let (_, output, findings) = gate(&app, &[&["--deny", "error"], &build[..]].concat());
    assert!(honest(&findings), "{findings:?} {output}");
    let clones = app.module_cache().join("cache/vcs");
    let clone = clones.read_dir().unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap();
    let (config, mark) = (std::fs::read_to_string(clone.join("config")).unwrap(), app.root().join("mark"));
    let evil = app.root().join("evil");
    script(&evil, &format!("touch {}", mark.display()));
    let plants = [
        format!("[remote \"origin\"]\n\tuploadpack = {}\n", evil.display()),
        "[include]\n\tpath = other\n".to_owned(),
        "[url \"ext::sh -c x\"]\n\tinsteadOf = file\n".to_owned(),
        "[remote \"origin\"]\n\turl = ext::sh\n".to_owned(),
    ];
    for plant in plants {
        std::fs::write(clone.join("config"), format!("{config}{plant}")).unwrap();
        let (code, output, findings) = gate(&app, &build);
        assert!(code == Some(120) && findings.contains(&"repository-program".to_owned()), "{plant}: {output}");
        assert!(output.contains("--gate-private"), "{output}");
    }
    std::fs::write(clone.join("config"), &config).unwrap();
    std::fs::create_dir_all(clone.join("hooks")).unwrap();
    std::fs::copy(&evil, clone.join("hooks/reference-transaction")).unwrap();
    let (code, output, findings) = gate(&app, &build);
    assert!(code == Some(120) && findings.contains(&"repository-program".to_owned()), "{output}");
    // The gate fetches in a folder of its own.
    let (_, output, findings) = gate(&app, &[&["--gate-private", "--deny", "error"], &build[..]].concat());
    assert!(honest(&findings), "{findings:?} {output}");
}
