//! `sumgate audit` beside `go`: requirements without a hash line that a build needs, and those that only other commands need.

use std::path::Path;

use libtest_mimic::Trial;
use testkit::{Origin, World};

use crate::audit::{audit, findings};
use crate::fixture::{Go, go_trial, origin};

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("needed: a build from a vendor folder needs no lines", vendored),
        go_trial("needed: a toolchain of a go.mod that go does not read is none", apart),
        go_trial("needed: a module that stands in for another needs no go.sum", replacement),
        go_trial("needed: a requirement of which nothing is imported needs no line", unused),
        go_trial("needed: tools, links and ignored files count as for go", tools),
        go_trial("needed: a go.mod that is a template is a note", template),
        go_trial("needed: a GOWORK that is not there is refused, as by go", no_go_work),
    ]
}

const MAIN: &str = "package main\n\nimport \"example.com/hello\"\n\nfunc main() { println(hello.Text()) }\n";

/// A module `app` that uses hello, and needs the lines of its go.sum.
fn app(go: &Path, origin: &Origin) -> Go {
    let home = Go::new(go, &origin.url(), &origin.gosumdb()).set("GOFLAGS", "-modcacherw");
    home.write("app/main.go", MAIN);
    home.write("app/go.mod", "module example.org/app\n\ngo 1.21\n\nrequire example.com/hello v1.0.0\n");
    home.must(&["-C", "app", "mod", "tidy"]);
    home
}

fn file(home: &Go, name: &str) -> String {
    std::fs::read_to_string(home.home().join(name)).unwrap()
}

/// Whether `go` builds app, and the codes of the audit. It fails just where a build fails.
fn both(home: &Go, more: &[&str]) -> (bool, Vec<String>) {
    let (builds, output) = home.run(&["-C", "app", "build", "-o", "/dev/null", "./..."]);
    let (code, found) = findings(home, more);
    assert_eq!(code, Some(i32::from(!builds)), "{output}\n{found:?}");
    (builds, found.into_iter().map(|(code, ..)| code).filter(|code| code != "vendor-unproved").collect())
}

fn codes(codes: &[&str]) -> Vec<String> {
    codes.iter().map(|code| (*code).to_owned()).collect()
}

fn vendored(go: &Path) {
    let origin = origin(World::demo());
    let home = app(go, &origin);
    home.must(&["-C", "app", "mod", "vendor"]);
    let go_mod = file(&home, "app/go.mod");
    std::fs::remove_file(home.home().join("app/go.sum")).unwrap();
    assert_eq!(both(&home, &[]), (true, codes(&["missing-unneeded"])));
    let (builds, _) = home.run(&["-C", "app", "build", "-mod=readonly", "-o", "/dev/null", "./..."]);
    assert!(!builds, "the note says so");
    // A folder that is not current does not count.
    home.write("app/go.mod", &go_mod.replace("hello v1.0.0", "hello v1.1.0"));
    let (builds, found) = both(&home, &[]);
    assert!(!builds && found.contains(&"missing-line".to_owned()), "{found:?}");
    home.write("app/go.mod", &go_mod.replace("go 1.21", "go 1.13"));
    assert!(!both(&home, &[]).0);
    // One of a workspace counts in the workspace only.
    std::fs::remove_dir_all(home.home().join("app/vendor")).unwrap();
    home.write("app/go.mod", &go_mod);
    home.write("go.work", "go 1.22\n\nuse ./app\n");
    home.must(&["work", "vendor"]);
    _ = std::fs::remove_file(home.home().join("app/go.sum"));
    _ = std::fs::remove_file(home.home().join("go.work.sum"));
    assert_eq!(both(&home, &[]), (true, codes(&["missing-unneeded"])));
}

fn apart(go: &Path) {
    let origin = origin(World::demo());
    let home = app(go, &origin);
    home.write("app/testdata/x/go.mod", "module x\n\ngo 1.999\n");
    home.write("app/_x/go.mod", "module x\n\ntoolchain go1.999.9\n");
    home.write("app/node_modules/p/go.mod", "module p\n\ngo rubbish\n");
    home.write("app/node_modules/p/go.sum", "");
    assert_eq!(both(&home, &[]), (true, codes(&[])));
}

fn replacement(go: &Path) {
    let origin = origin(World::demo());
    let home = app(go, &origin);
    let text = file(&home, "app/go.mod");
    home.write("app/third_party/lib/go.mod", &text.replace("example.org/app", "example.org/lib"));
    home.write("app/third_party/lib/a.go", &MAIN.replace("main()", "F()").replace("package main", "package lib"));
    home.write("app/lib.go", "package main\n\nimport _ \"example.org/lib\"\n");
    assert!(!both(&home, &[]).0, "nothing leads there");
    let lib = "\nrequire example.org/lib v0.0.0\n\nreplace example.org/lib => ./third_party/lib\n";
    home.write("app/go.mod", &format!("{text}{lib}"));
    assert_eq!(both(&home, &[]), (true, codes(&["missing-unneeded"])));
    let (builds, _) = home.run(&["-C", "app/third_party/lib", "build", "./..."]);
    assert!(!builds, "the note says so");
}

fn unused(go: &Path) {
    let origin = origin(World::demo());
    let home = app(go, &origin);
    let text = file(&home, "app/go.mod");
    for more in ["example.com/dep/v2 v2.0.1 // indirect", "example.org/app v1.0.0", "ex_com v0.0.0"] {
        home.write("app/go.mod", &format!("{text}\nrequire {more}\n"));
        assert_eq!(both(&home, &[]), (true, codes(&["missing-unneeded"])), "{more}");
        let (lists, _) = home.run(&["-C", "app", "list", "-m", "all"]);
        assert!(!lists, "the note says so: {more}");
        // An older module needs the go.mod of every requirement.
        home.write("app/go.mod", &format!("{}\nrequire {more}\n", text.replace("go 1.21", "go 1.16")));
        assert!(!both(&home, &[]).0, "{more}");
    }
}

fn tools(go: &Path) {
    let origin = origin(World::demo());
    let home = app(go, &origin);
    let sum: String = file(&home, "app/go.sum")
        .lines()
        .filter(|line| line.contains("/go.mod "))
        .fold(String::new(), |sum, line| sum + line + "\n");
    home.write("app/go.sum", &sum);
    home.write("app/main.go", "package main\n\nfunc main() {}\n");
    let text = file(&home, "app/go.mod");
    home.write("app/go.mod", &format!("{text}\ntool example.com/hello\n"));
    let (builds, _) = home.run(&["-C", "app", "build", "tool"]);
    assert!(!builds && findings(&home, &[]).0 == Some(1), "a tool");
    home.write("app/go.mod", &text);
    home.write("app/gen.go", &format!("//go:build ignore\n\n{MAIN}"));
    home.write("app/old.go", &format!("// +build ignore\n\n{MAIN}"));
    assert_eq!(both(&home, &[]), (true, codes(&[])));
    home.write("app/sub/main.go", MAIN);
    assert_eq!(both(&home, &[]), (false, codes(&["missing-line"])));
    home.write("app/go.mod", &format!("{text}\nignore ./sub\n"));
    assert_eq!(both(&home, &[]), (true, codes(&[])));
    home.write("app/go.mod", &format!("{text}\nignore ./other\n"));
    home.write("app/text", MAIN);
    std::fs::remove_file(home.home().join("app/sub/main.go")).unwrap();
    assert_eq!(both(&home, &[]), (true, codes(&[])));
    std::os::unix::fs::symlink("../text", home.home().join("app/sub/link.go")).unwrap();
    assert_eq!(both(&home, &[]), (false, codes(&["missing-line"])));
}

fn template(go: &Path) {
    let origin = origin(World::demo());
    let home = app(go, &origin);
    let template = "module {{.Name}}\n\ngo {{.Go}}\n\nrequire {{.More}}\n";
    home.write("app/templates/x/go.mod", template);
    assert_eq!(both(&home, &[]), (true, codes(&["may-be-a-template"])));
    // One that go reads.
    home.write("go.work", "go 1.21\n\nuse ./app\nuse ./app/templates/x\n");
    assert!(!both(&home, &[]).0);
    std::fs::remove_file(home.home().join("go.work")).unwrap();
    home.write("app/go.mod", template);
    assert!(!both(&home, &[]).0);
}

fn no_go_work(go: &Path) {
    let origin = origin(World::demo());
    let home = app(go, &origin).set("GOWORK", "/nowhere/go.work");
    let (builds, _) = home.run(&["-C", "app", "build", "-o", "/dev/null", "./..."]);
    let (code, output) = audit(&home, &[]);
    assert!(!builds && code == Some(2) && output.contains("/nowhere/go.work"), "{output}");
}
