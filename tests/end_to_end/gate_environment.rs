//! Attacks on the gate from outside the repository: PATH, `go env -w`, settings of git, go.work files, replacements.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;

use crate::fixture::{Go, go_trial, origin, trial};
use crate::gate_ways::{BUILD, FORGED, HONEST, MAIN, app, gate, module_with, says};

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("gate, environment: a toolchain in GOPATH/bin that replaces the proved one", toolchain),
        trial("gate, environment: build tools in the folder of go install", installed),
        trial("gate, environment: a folder of PATH in the repository", path_folder),
        trial("gate, environment: GOSUMDB does not choose the database", other_database),
        trial("gate, environment: go env -w sets only variables that go reads", unknown_names),
        go_trial("gate, environment: a go.work above the repository", work_above),
        go_trial("gate, environment: a go.work that uses a folder elsewhere", work_leads_out),
        go_trial("gate, environment: a replaced module of a command that writes no program", replaced_without_program),
        go_trial("gate, environment: git settings in a restored file", restored_git_settings),
        trial("gate, environment: git settings in variables are judged by what they set", git_variables),
        go_trial("gate, environment: a partial clone that fetches with a program", partial_clone),
        trial("gate, environment: other systems of version control", other_systems),
        trial("gate, environment: a nested repository", nested_repository),
        go_trial("gate, environment: a vendor folder and -mod", vendor_and_mod),
        go_trial("gate, environment: honest hooks of the repository", honest_hooks),
        go_trial("gate, environment: honest output folders", honest_folders),
        go_trial("gate, environment: an honest work tree whose repository is elsewhere", honest_work_tree),
    ]
}

fn here() -> Go {
    Go::new(Path::new("/nonexistent"), "http://127.0.0.1:9", "sum.golang.org http://127.0.0.1:9")
}

/// Runs a command that does nothing; returns the exit code, the output, and the codes of the findings.
fn judged(home: &Go) -> (Option<i32>, String, Vec<String>) {
    gate(home, &["--", "true"])
}

#[track_caller]
fn tells(home: &Go, code: i32, findings: &[&str], why: &str) -> String {
    let (ended, output, found) = judged(home);
    assert_eq!(
        (ended, found),
        (Some(code), findings.iter().map(|code| (*code).to_owned()).collect()),
        "{why}: {output}"
    );
    output
}

fn script(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

fn before_path(folder: &Path) -> String {
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

fn toolchain(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin).set("GOTOOLCHAIN", "auto");
    app.write("go.mod", "module example.org/app\n\ngo 1.99.1\n");
    let bin = app.root().join("path/bin");
    script(&bin.join("go1.99.1"), "echo restored toolchain ran: $*");
    let app = app.set("PATH", &before_path(&bin));
    let (code, output, findings) = gate(&app, &BUILD);
    assert!(output.contains("restored toolchain ran: build -o app ."), "{output}");
    assert_eq!((code, findings), (Some(120), vec!["build-override".to_owned()]), "{output}");
}

fn installed() {
    for name in ["git", "gcc", "swig", "git-lfs"] {
        let home = here();
        let bin = home.root().join("path/bin");
        script(&bin.join(name), "exit 0");
        tells(&home.set("PATH", &before_path(&bin)), 120, &["build-override"], name);
        // The same in GOBIN, and after a program of the machine that comes first.
        let home = here();
        let bin = home.root().join("gobin");
        script(&bin.join(name), "exit 0");
        let home = home.set("GOBIN", bin.to_str().unwrap());
        tells(&home.set("PATH", &before_path(&bin)), 120, &["build-override"], name);
    }
    let home = here();
    let bin = home.root().join("path/bin");
    for name in ["gopls", "true"] {
        script(&bin.join(name), "exit 0");
    }
    tells(&home.set("PATH", &before_path(&bin)), 0, &[], "programs that take no part in a build");
    // A toolchain in another folder.
    let home = here();
    let bin = home.root().join("elsewhere");
    script(&bin.join("go1.99.1"), "exit 0");
    tells(&home.set("PATH", &before_path(&bin)), 0, &["build-environment"], "a toolchain elsewhere");
}

fn path_folder() {
    for name in ["swig", "git-lfs", "anything"] {
        let home = here();
        script(&home.home().join("tools").join(name), "exit 1");
        let path = format!("{}:{}", std::env::var("PATH").unwrap(), home.home().join("tools").display());
        let output = tells(&home.set("PATH", &path), 120, &["build-override"], name);
        assert!(output.contains("/work/tools: it lies in the repository"), "{output}");
    }
}

fn other_database() {
    let origin = origin(module_with(HONEST));
    let other = origin.gosumdb();
    let home = Go::new(Path::new("/nonexistent"), &origin.url(), &other);
    let output = tells(&home, 120, &["other-database"], "GOSUMDB");
    assert!(output.contains("the variable GOSUMDB") && output.contains("--sumdb"), "{output}");
    tells(&home.set("SUMGATE_SUMDB", &other), 0, &[], "the user named it");
    // The key that `go` has built in.
    let key = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    let home = Go::new(Path::new("/nonexistent"), "http://127.0.0.1:9", &format!("{key} http://127.0.0.1:9"));
    tells(&home, 0, &[], "the same database by its key");
}

fn unknown_names() {
    let home = here();
    let (mark, file) = (home.root().join("mark"), home.root().join("goenv"));
    script(&home.root().join("evil"), &format!("touch {}", mark.display()));
    let evil = home.root().join("evil");
    let text =
        format!("BASH_ENV={0}\nENV={0}\nLD_PRELOAD={0}\nSUMGATE_X=1\nPATH=/nowhere\nGOFLAGS=-v\n", evil.display());
    std::fs::write(&file, text).unwrap();
    let home = home.set("GOENV", file.to_str().unwrap()).set("GOFLAGS", "");
    let (code, output, findings) = gate(&home, &["--", "bash", "-c", "env"]);
    assert_eq!((code, findings, mark.exists()), (Some(0), Vec::new(), false), "{output}");
    assert!(!output.contains("BASH_ENV") && !output.contains("LD_PRELOAD"), "{output}");
}

/// The repository in `work`, and a forged module beside it.
fn beside(go: &Path, origin: &testkit::Origin) -> Go {
    let app = app(go, origin).set("GOFLAGS", "").set("GOVCS", "");
    app.write("go.sum", "");
    let forged = app.root().join("forged");
    std::fs::create_dir(&forged).unwrap();
    std::fs::write(forged.join("go.mod"), "module example.com/mark\n\ngo 1.21\n").unwrap();
    std::fs::write(forged.join("a.go"), format!("package mark\n\nfunc Mark() string {{ return \"{FORGED}\" }}\n"))
        .unwrap();
    app.git(&["init", "-q"]);
    app
}

fn work_above(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = beside(go, &origin);
    std::fs::write(app.root().join("go.work"), "go 1.21\n\nuse (\n\t./work\n\t./forged\n)\n").unwrap();
    let (code, output, findings) = gate(&app, &["--", "go", "build", "-buildvcs=false", "-o", "app", "."]);
    assert_eq!(says(&app), FORGED, "{output}");
    // The file, and the folder that it uses.
    assert_eq!((code, findings), (Some(120), vec!["build-override".to_owned(); 2]), "{output}");
    assert!(output.contains("go.work") && output.contains("outside the repository"), "{output}");
    let app = app.set("GOWORK", "off").set("GOFLAGS", "-mod=mod -buildvcs=false");
    let (code, output, findings) = gate(&app, &BUILD);
    assert_eq!((code, findings, says(&app).as_str()), (Some(0), Vec::new(), HONEST), "{output}");
}

fn work_leads_out(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = beside(go, &origin);
    let build = ["--", "go", "build", "-buildvcs=false", "-o", "app", "."];
    symlink("../forged", app.home().join("link")).unwrap();
    for folder in ["../forged", "./link"] {
        app.write("go.work", &format!("go 1.21\n\nuse (\n\t.\n\t{folder}\n)\n"));
        let (code, output, findings) = gate(&app, &build);
        assert_eq!(says(&app), FORGED, "{output}");
        assert_eq!((code, findings), (Some(120), vec!["build-override".to_owned()]), "{folder}: {output}");
    }
    // A line that `go` can read, but not the gate, is reported.
    app.write("go.work", "go 1.21\n\nuse .\nuse \"\\x2e./forged\"\n");
    let (code, output, findings) = gate(&app, &build);
    assert_eq!(
        (says(&app).as_str(), code, findings),
        (FORGED, Some(120), vec!["build-override".to_owned()]),
        "{output}"
    );
}

fn replaced_without_program(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = beside(go, &origin).set("GOFLAGS", "-mod=mod -buildvcs=false");
    app.write("go.mod", "module example.org/app\n\ngo 1.21\n\nrequire example.com/mark v1.0.0\n\nreplace example.com/mark => ../forged\n");
    app.write("two/main.go", MAIN);
    for command in [["vet", "./..."], ["build", "./..."]] {
        let (code, output, findings) = gate(&app, &[&["--", "go"][..], &command].concat());
        assert_eq!((code, findings), (Some(0), vec!["replaced-unproved".to_owned()]), "{command:?}: {output}");
        assert!(output.contains("builds take example.com/mark from folders"), "{output}");
    }
    // Reported once for the program.
    let (code, output, findings) = gate(&app, &BUILD);
    assert_eq!(
        (code, findings),
        (Some(0), ["replaced-unproved", "nothing-released"].map(str::to_owned).to_vec()),
        "{output}"
    );
}

/// A program in a git repository, with one commit.
fn committed(app: Go) -> Go {
    app.git(&["init", "-q"]);
    app.git(&["add", "."]);
    app.git(&["commit", "-q", "-m", "one"]);
    app
}

fn restored_git_settings(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = committed(app(go, &origin).set("GOFLAGS", "-mod=mod").set("GOVCS", ""));
    let (mark, evil) = (app.root().join("mark"), app.root().join("restored/x"));
    script(&evil, &format!("touch {}", mark.display()));
    let text = format!("[core]\n\tfsmonitor = {}\n", evil.display());
    std::fs::write(app.root().join("home/.gitconfig"), &text).unwrap();
    let (code, output, findings) = gate(&app, &BUILD);
    assert_eq!((code, findings, mark.exists()), (Some(0), vec!["build-environment".to_owned()], true), "{output}");
    assert!(output.contains("/home/.gitconfig") && output.contains("core.fsmonitor"), "{output}");
    std::fs::remove_file(app.root().join("home/.gitconfig")).unwrap();
    std::fs::remove_file(&mark).unwrap();
    let restored = app.root().join("restored/gitconfig");
    std::fs::write(&restored, &text).unwrap();
    let app = app.set("GIT_CONFIG_GLOBAL", restored.to_str().unwrap());
    let (code, output, findings) = gate(&app, &BUILD);
    assert_eq!((code, findings, mark.exists()), (Some(0), vec!["build-environment".to_owned()], true), "{output}");
}

fn git_variables() {
    let with = |name: &str, value: &str| {
        here().set("GIT_CONFIG_COUNT", "1").set("GIT_CONFIG_KEY_0", name).set("GIT_CONFIG_VALUE_0", value)
    };
    tells(&with("core.fsmonitor", "/tmp/x"), 120, &["build-override"], "git runs it during go build");
    tells(&with("filter.x.clean", "/tmp/x"), 120, &["build-override"], "git runs it during go build");
    tells(&with("credential.helper", "!/tmp/x"), 0, &["build-environment"], "a login");
    tells(&with("core.sshCommand", "/tmp/x"), 0, &["build-environment"], "private modules");
    tells(&with("safe.directory", "*"), 0, &[], "no program");
    tells(
        &here().set("GIT_CONFIG_PARAMETERS", "'core.fsmonitor'='/tmp/x'"),
        120,
        &["build-override"],
        "the other variable",
    );
    // Only `git config` uses this one.
    let home = with("core.fsmonitor", "/tmp/x").set("GIT_CONFIG", "/dev/null");
    tells(&home, 120, &["build-override"], "GIT_CONFIG hides nothing");
    tells(&here().set("GIT_CONFIG_COUNT", "1"), 120, &["not-examined"], "git refuses its settings");
}

fn partial_clone(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = committed(app(go, &origin).set("GOFLAGS", "-mod=mod").set("GOVCS", ""));
    let (mark, evil) = (app.root().join("mark"), app.root().join("evil"));
    script(&evil, &format!("touch {}; exit 1", mark.display()));
    for (name, value) in [
        ("remote.origin.url", "ssh://git@example.com/x"),
        ("core.repositoryformatversion", "1"),
        ("extensions.partialClone", "origin"),
        ("core.sshCommand", evil.to_str().unwrap()),
    ] {
        app.git(&["config", name, value]);
    }
    // A tree that is missing: git fetches it.
    app.write("main.go", &format!("{MAIN}\n"));
    let objects = ["HEAD^{tree}", "HEAD:main.go"].map(|object| {
        let mut git = app.command(Path::new("git"));
        String::from_utf8(git.args(["rev-parse", object]).output().unwrap().stdout).unwrap()
    });
    for name in objects {
        std::fs::remove_file(app.home().join(".git/objects").join(&name[..2]).join(name[2..].trim())).unwrap();
    }
    let (code, output, findings) = gate(&app, &BUILD);
    assert!(mark.exists() && code != Some(0), "git ran the program: {output}");
    assert!(findings.contains(&"repository-program".to_owned()) && output.contains("core.sshcommand"), "{output}");
}

fn other_systems() {
    for (name, is_folder) in [(".hg", true), (".bzr", true), (".fslckout", false), ("_FOSSIL_", false)] {
        for is_link in [false, true] {
            let home = here();
            let elsewhere = home.root().join("elsewhere");
            let place = if is_link { elsewhere.clone() } else { home.home().join(name) };
            let made = if is_folder { std::fs::create_dir(&place) } else { std::fs::write(&place, "") };
            made.unwrap();
            if is_link {
                symlink(&elsewhere, home.home().join(name)).unwrap();
            }
            tells(&home, 120, &["repository-program"], &format!("{name}, a link: {is_link}"));
        }
    }
    let home = here();
    home.write(".hg", "a file is no repository");
    std::fs::create_dir(home.home().join(".svn")).unwrap();
    tells(&home, 0, &[], "no repository, and one without programs");
}

/// A submodule or a planted `.git`: files beside it still belong to the repository.
fn nested_repository() {
    let at = |folder: &'static str, cc: &str| {
        let home = here();
        home.git(&["init", "-q"]);
        home.git(&["init", "-q", folder]);
        let path = home.home().join(cc);
        script(&path, "exit 0");
        let home = home.set("CC", path.to_str().unwrap());
        let output = home.root().join("report.json");
        let mut command = home.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
        command.current_dir(home.home().join(folder)).args(["run", "--report"]).arg(&output).args(["--", "true"]);
        let ended = command.output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    };
    for folder in ["sub", "sub/deeper"] {
        let (code, output) = at(folder, "tools/cc");
        assert!(code == Some(120) && output.contains("[build-override]"), "{folder}: {output}");
    }
}

fn vendor_and_mod(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin);
    app.must(&["mod", "tidy"]);
    app.must(&["mod", "vendor"]);
    let of = |goflags: &str, words: &[&str]| {
        let mut command = app.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
        command.env("GOFLAGS", goflags).args(["run", "--"]).args(words);
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    let vet = ["go", "vet", "."];
    for (goflags, words, is_told) in [
        ("-tags=a-mod=mod", &vet[..], true),
        ("-mod=mod -mod=vendor", &vet, true),
        ("-mod=mod", &["go", "vet", "-mod=vendor", "."], true),
        ("-mod=readonly", &vet, false),
        ("-mod=vendor -mod=mod", &vet, false),
    ] {
        let output = of(goflags, words);
        assert_eq!(output.contains("[vendor-unproved]"), is_told, "{goflags}: {output}");
    }
}

fn honest_hooks(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin).set("GOFLAGS", "-mod=mod").set("GOVCS", "");
    let mark = app.root().join("mark");
    for hook in ["post-index-change", "reference-transaction", "pre-commit"] {
        script(&app.home().join(".husky").join(hook), &format!("touch {}", mark.display()));
    }
    let app = committed(app);
    app.git(&["config", "core.hooksPath", ".husky"]);
    app.git(&["config", "gpg.program", "/usr/bin/gpg2"]);
    app.write("main.go", MAIN);
    let (code, output, findings) = gate(&app, &BUILD);
    assert_eq!((code, findings, mark.exists()), (Some(0), Vec::new(), false), "hooks do not run: {output}");
}

/// Folders of the repository that are only for output.
fn honest_folders(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin);
    let [bin, tmp]: [PathBuf; 2] = ["bin", "tmp"].map(|name| app.home().join(name));
    std::fs::create_dir(&tmp).unwrap();
    let app = app.set("GOBIN", bin.to_str().unwrap()).set("GOTMPDIR", tmp.to_str().unwrap());
    let (code, output, findings) = gate(&app, &["--", "go", "install", "."]);
    assert_eq!((code, findings, bin.join("app").is_file()), (Some(0), Vec::new(), true), "{output}");
}

/// Such as one that was mounted into a container.
fn honest_work_tree(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin).set("GOFLAGS", "-mod=mod -buildvcs=false");
    app.write(".git", "gitdir: /nonexistent/.git/worktrees/work\n");
    let (code, output, findings) = gate(&app, &BUILD);
    assert_eq!((code, findings), (Some(0), Vec::new()), "{output}");
    // Without the flag git refuses it, and `go` stamps nothing.
    let app = app.set("GOFLAGS", "-mod=mod");
    let (code, output, findings) = gate(&app, &BUILD);
    assert_eq!((code, findings), (Some(0), Vec::new()), "{output}");
}
