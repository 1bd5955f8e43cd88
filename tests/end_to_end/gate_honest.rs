//! Honest builds of every kind pass the gate without a finding, or with a correct note.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use serde_json::Value;
use testkit::{Origin, World};

use crate::fixture::{Go, go_trial, mount_trial, on_mount, origin};

pub fn trials() -> Vec<Trial> {
    vec![
        mount_trial("gate, honest: programs in the home folder, where the user works", home_folder),
        go_trial("gate, honest: build, vet, test, run, generate, install", commands),
        go_trial("gate, honest: a workspace of modules", workspace),
        go_trial("gate, honest: cgo", cgo),
        go_trial("gate, honest: the module that comes with the toolchain (GOFIPS140)", fips),
        go_trial("gate, honest: another toolchain", toolchain),
        go_trial("gate, honest: a tool that is installed is found on the PATH afterwards", tools),
        go_trial("gate, honest: private modules of go's own, and through the gate", private),
        go_trial("gate, honest: offline, from the store of an earlier run", offline),
        go_trial("gate, honest: another run at the same time has a folder of its own", two_at_once),
    ]
}

const MAIN: &str = "package main\n\nimport \"example.com/hello\"\n\n//go:generate go run ./gen\nfunc main() { println(hello.Text()) }\n";
const TEST: &str = "package main\n\nimport (\n\t\"testing\"\n\n\t\"example.com/hello\"\n)\n\nfunc TestText(t *testing.T) {\n\tif hello.Text() == \"\" {\n\t\tt.Fatal()\n\t}\n}\n";
const GEN: &str =
    "package main\n\nimport \"os\"\n\nfunc main() { os.WriteFile(\"made.go\", []byte(\"package main\\n\"), 0o644) }\n";

fn app(go: &Path, origin: &Origin) -> Go {
    let app = Go::new(go, &origin.url(), &origin.gosumdb()).set("SUMGATE_SUMDB", &origin.gosumdb());
    app.write("main.go", MAIN);
    app.write("main_test.go", TEST);
    app.write("gen/main.go", GEN);
    app.write("go.mod", "module example.org/app\n\ngo 1.21\n\nrequire example.com/hello v1.1.0\n");
    app
}

/// Runs the gate, which must pass; returns the codes of its findings, and its report.
#[track_caller]
fn passes(app: &Go, words: &[&str]) -> (Vec<String>, Value, String) {
    // A job begins with a fresh checkout.
    let _ = std::fs::remove_file(app.home().join("app"));
    let (code, output) = app.sumgate(&[&["run", "--report", "report.json"], words].concat());
    assert_eq!(code, Some(0), "{words:?}: {output}");
    let report: Value = serde_json::from_slice(&std::fs::read(app.home().join("report.json")).unwrap()).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let codes = findings.iter().map(|finding| finding["code"].as_str().unwrap().to_owned()).collect();
    (codes, report, output)
}

#[track_caller]
fn clean(app: &Go, words: &[&str]) -> (Value, String) {
    let (codes, report, output) = passes(app, words);
    assert_eq!(codes, Vec::<String>::new(), "{words:?}: {output}");
    (report, output)
}

fn commands(go: &Path) {
    let origin = origin(World::demo());
    let app = app(go, &origin);
    let (report, _) = clean(&app, &["--", "go", "build", "-o", "app", "."]);
    let programs = report["programs"].as_array().unwrap();
    assert_eq!(programs.len(), 1);
    assert!(programs[0].as_str().unwrap().ends_with("/app"));
    clean(&app, &["--", "sh", "-c", "go vet ./... && go test ./... && go generate ./... && go run ."]);
    assert!(app.home().join("made.go").is_file());
    clean(&app, &["--", "go", "install", "./..."]);
    assert!(app.root().join("path/bin/app").is_file());
    // A run in a folder below the repository's.
    app.write("sub/go.mod", "module example.org/sub\n\ngo 1.21\n");
    app.write("sub/main.go", "package main\n\nfunc main() {}\n");
    clean(&app, &["--", "go", "build", "-C", "sub", "-o", "../program", "."]);
    clean(&app, &["--", "go", "mod", "tidy"]);
}

fn workspace(go: &Path) {
    let origin = origin(World::demo());
    let app = app(go, &origin).set("GOFLAGS", "");
    app.write("lib/go.mod", "module example.org/lib\n\ngo 1.21\n");
    app.write("lib/lib.go", "package lib\n\nfunc L() string { return \"L\" }\n");
    app.write("main.go", "package main\n\nimport (\n\t\"example.com/hello\"\n\t\"example.org/lib\"\n)\n\nfunc main() { println(hello.Text(), lib.L()) }\n");
    app.write("go.work", "go 1.21\n\nuse (\n\t.\n\t./lib\n)\n");
    clean(
        &app,
        &["--", "sh", "-c", "go work sync && GOFLAGS=-mod=mod GOWORK=off go mod download && go build -o app ."],
    );
}

fn cgo(go: &Path) {
    let origin = origin(World::demo());
    let app = app(go, &origin);
    let code = "package main\n\n// int answer() { return 42; }\nimport \"C\"\n\nimport _ \"example.com/hello\"\n\nfunc main() { println(C.answer()) }\n";
    app.write("main.go", code);
    clean(&app, &["--", "go", "build", "-o", "app", "."]);
    assert_eq!(app.command(&app.home().join("app")).output().unwrap().stderr, b"42\n");
}

fn fips(go: &Path) {
    let origin = origin(World::demo());
    let app = app(go, &origin).set("GOFIPS140", "v1.0.0");
    app.write(
        "main.go",
        "package main\n\nimport \"crypto/sha256\"\n\nfunc main() { println(len(sha256.New().Sum(nil))) }\n",
    );
    clean(&app, &["--", "go", "build", "-o", "app", "."]);
    // If it is changed, it is no longer that of the toolchain.
    let edit = "go build -o app . && chmod -R u+w $GOMODCACHE && echo // >> $(find $GOMODCACHE/golang.org -name sha256.go | head -1)";
    let (code, output) = app.sumgate(&["run", "--", "sh", "-c", edit]);
    assert!(code == Some(120) && output.contains("golang.org/fips140@"), "{output}");
}

fn toolchain(go: &Path) {
    let origin = origin(World::demo());
    let app = app(go, &origin).set("GOTOOLCHAIN", "auto");
    app.write("go.mod", "module example.org/app\n\ngo 1.99.1\n");
    let (_, output) = clean(&app, &["--", "go", "version"]);
    assert!(output.contains("go1.99.1 demo"), "{output}");
}

fn tools(go: &Path) {
    let origin = origin(World::demo());
    let app = app(go, &origin);
    let bin = app.root().join("path/bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::write(bin.join("app"), "#!/bin/sh\necho an older one\n").unwrap();
    std::fs::set_permissions(bin.join("app"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let app = app.set("PATH", &path);
    let (_, output) = clean(&app, &["--", "sh", "-c", "go install . && app"]);
    assert!(output.contains("\nC2\n") && !output.contains("an older one"), "{output}");
}

/// A program with a private module, which `go` fetches with git from this repository.
pub fn with_private(go: &Path, origin: &Origin) -> (Go, PathBuf) {
    let app = app(go, origin).set("GOVCS", "").set("GOPRIVATE", "private.example.com");
    let repository = app.root().join("private");
    let git = |words: &[&str]| app.git(&[&["-C", repository.to_str().unwrap()], words].concat());
    std::fs::create_dir_all(&repository).unwrap();
    std::fs::write(repository.join("go.mod"), "module private.example.com/p.git\n\ngo 1.21\n").unwrap();
    std::fs::write(repository.join("p.go"), "package p\n\nfunc P() string { return \"P\" }\n").unwrap();
    for words in [&["init", "-q"][..], &["add", "."], &["commit", "-q", "-m", "one"], &["tag", "v1.0.0"]] {
        git(words);
    }
    let instead = format!("url.file://{}.insteadOf", repository.display());
    app.git(&["config", "--global", &instead, "https://private.example.com/p"]);
    app.write("main.go", "package main\n\nimport (\n\t\"example.com/hello\"\n\tp \"private.example.com/p.git\"\n)\n\nfunc main() { println(hello.Text(), p.P()) }\n");
    app.write("go.mod", "module example.org/app\n\ngo 1.21\n\nrequire (\n\texample.com/hello v1.1.0\n\tprivate.example.com/p.git v1.0.0\n)\n");
    (app, repository)
}

fn private(go: &Path) {
    let origin = origin(World::demo());
    let (app, repository) = with_private(go, &origin);
    let git = |words: &[&str]| app.git(&[&["-C", repository.to_str().unwrap()], words].concat());
    let build = ["--", "go", "build", "-o", "app", "."];
    // Reported once each for the module cache and the program.
    let (codes, _, output) = passes(&app, &build);
    assert_eq!(codes, ["private-unproved", "private-unproved"], "{output}");
    assert!(output.contains("private.example.com/p.git@v1.0.0 was fetched past the gate"), "{output}");
    for more in [&["--gate-private"][..], &["--private", "private.example.com"]] {
        let (codes, report, output) = passes(&app, &[more, &build[..]].concat());
        assert_eq!(codes, ["private-unproved"], "{output}");
        assert!(output.contains("private.example.com/p.git@v1.0.0 was released unproved"), "{output}");
        let released = report["released"].to_string();
        assert!(released.contains("private.example.com/p.git"), "{released}");
    }
    // A tag that moved is refused: it was pinned.
    std::fs::write(repository.join("p.go"), "package p\n\nfunc P() string { return \"Q\" }\n").unwrap();
    for words in [&["commit", "-q", "-a", "-m", "two"][..], &["tag", "-f", "v1.0.0"]] {
        git(words);
    }
    std::fs::remove_dir_all(app.root().join("home/.local/share/sumgate/proxy")).unwrap();
    let _ = std::fs::remove_file(app.home().join("go.sum"));
    let (code, output) = app.sumgate(&[&["run", "--gate-private"], &build[..]].concat());
    assert!(code == Some(120) && output.contains("REFUSED [not-the-pinned-bytes]"), "{output}");
}

fn offline(go: &Path) {
    let origin = origin(World::demo());
    let app = app(go, &origin);
    clean(&app, &["--", "go", "build", "-o", "app", "."]);
    origin.take_requests();
    let app = app.set("GOPROXY", "off");
    clean(&app, &["--offline", "--", "go", "build", "-o", "app", "."]);
    assert_eq!(origin.take_requests(), Vec::<String>::new());
}

fn two_at_once(go: &Path) {
    let origin = origin(World::demo());
    let app = app(go, &origin);
    let data = app.root().join("data");
    let words = ["run", "--data", data.to_str().unwrap(), "--", "sh", "-c", "go build -o $0 . && echo $GOMODCACHE"];
    std::thread::scope(|scope| {
        let outputs: Vec<_> = ["one", "two"]
            .map(|name| {
                let mut command = app.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
                command.args(words).arg(name);
                scope.spawn(move || command.output().unwrap())
            })
            .into_iter()
            .map(|running| running.join().unwrap())
            .collect();
        let caches: std::collections::BTreeSet<&[u8]> = outputs.iter().map(|output| output.stdout.as_slice()).collect();
        assert!(outputs.iter().all(|output| output.status.success()), "{outputs:?}");
        assert_eq!(caches.len(), 2, "{outputs:?}");
    });
}

/// A user works in the home folder itself, which has programs on the PATH. The file of accounts decides which folder that is.
fn home_folder() {
    let home = Go::new(Path::new("/nonexistent"), "http://127.0.0.1:9", "sum.golang.org http://127.0.0.1:9");
    let (work, bin) = (home.home(), home.home().join("go/bin"));
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::write(bin.join("gopls"), "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(bin.join("gopls"), PermissionsExt::from_mode(0o755)).unwrap();
    let accounts = home.root().join("accounts");
    std::fs::write(&accounts, format!("root:x:0:0::{}:/bin/sh\n", work.display())).unwrap();
    let run = || {
        let bind = format!("mount --bind '{}'", accounts.display());
        let mut run = on_mount(Path::new("/etc/passwd"), &bind, Path::new(env!("CARGO_BIN_EXE_sumgate")));
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        run.current_dir(&work).env("PATH", path).env("GOPATH", work.join("go")).env("GOENV", "off");
        let output = run.args(["run", "--data"]).arg(home.root().join("data")).args(["--", "true"]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, output) = run();
    assert!(code == Some(0) && !output.contains("build-override"), "{output}");
    // If the same folder is a repository, a pull request may add all of this.
    home.git(&["init", "-q"]);
    let (code, output) = run();
    assert!(code == Some(120) && output.contains("build-override"), "{output}");
}
