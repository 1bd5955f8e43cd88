//! `sumgate audit` beside `go`: go.mod and go.work files that `go` builds or refuses, workspaces, and which files are targets.

use std::path::Path;

use libtest_mimic::Trial;
use testkit::{Origin, World};

use crate::audit::{audit, findings};
use crate::fixture::{Go, go_trial, origin};

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("modules: a replaced requirement needs no domain and no line", replaced),
        go_trial(
            "modules: a line that go refuses is a finding with advice, and not new if it was so at the base",
            refused,
        ),
        go_trial("modules: replacements and lines of a workspace count for all of its modules", workspace),
        go_trial("modules: GOWORK selects the workspace, or none", gowork),
        go_trial("modules: what go refuses in a go.work is a finding", refused_workspace),
        go_trial("modules: every go.mod is a target, and an imported module needs the line of its zip", targets),
        go_trial("modules: a named go.mod or go.work means its module, and no other file is read", named),
    ]
}

const MAIN: &str = "package main\n\nimport \"example.com/hello\"\n\nfunc main() { println(hello.Text()) }\n";
const HELLO: &str = "example.com/hello v1.0.0";

fn home(go: &Path, origin: &Origin) -> Go {
    Go::new(go, &origin.url(), &origin.gosumdb()).set("GOFLAGS", "-mod=readonly -modcacherw")
}

/// Writes `app`, which uses hello, and returns the lines of its go.sum.
fn app(home: &Go) -> String {
    home.write("app/main.go", MAIN);
    home.write("app/go.mod", &format!("module example.org/app\n\ngo 1.21\n\nrequire {HELLO}\n"));
    home.must(&["-C", "app", "mod", "download", "example.com/hello"]);
    home.must(&["-C", "app", "mod", "tidy"]);
    std::fs::read_to_string(home.home().join("app/go.sum")).unwrap()
}

/// Whether `go` builds a folder, and the findings of the audit there but for notes.
fn both(home: &Go, folder: &str, more: &[&str]) -> (bool, Vec<(String, String, u64)>) {
    let (builds, _) = home.run(&["-C", folder, "build", "-o", "/dev/null", "./..."]);
    let (code, mut found) = findings(home, more);
    found.retain(|(code, ..)| !["missing-outside-workspace", "missing-unneeded"].contains(&code.as_str()));
    assert_eq!(code, Some(i32::from(!found.is_empty())), "{found:?}");
    (builds, found)
}

fn one(code: &str, file: &str, line: u64) -> Vec<(String, String, u64)> {
    vec![(code.to_owned(), file.to_owned(), line)]
}

fn replaced(go: &Path) {
    let origin = origin(World::demo());
    let home = home(go, &origin);
    home.write(
        "go.mod",
        "module example.org/app\n\ngo 1.21\n\nrequire corplib v0.0.0\n\nreplace corplib => ./corplib\n",
    );
    home.write("main.go", "package main\n\nimport _ \"corplib\"\n\nfunc main() {}\n");
    home.write("corplib/go.mod", "module corplib\n");
    home.write("corplib/a.go", "package corplib\n");
    assert_eq!(both(&home, ".", &[]), (true, Vec::new()));
    home.write("go.mod", "module example.org/app\n\ngo 1.21\n\nrequire corplib v0.0.0\n");
    assert_eq!(both(&home, ".", &[]), (false, one("invalid-go-mod", "go.mod", 5)));
}

fn refused(go: &Path) {
    let origin = origin(World::demo());
    let home = home(go, &origin);
    let sum = app(&home);
    let right = std::fs::read_to_string(home.home().join("app/go.mod")).unwrap();
    home.git(&["init", "-q"]);
    for (line, builds) in [
        ("require example.com/dep/v2 master", false),
        ("retract v1", false),
        ("requires x", false),
        ("<<<<<<< HEAD", false),
        ("replace `x` => ./x", false),
        ("replace \"x\" => \"./x\"", true),
    ] {
        home.write("app/go.mod", &format!("{right}{line}\n"));
        let number = right.lines().count() as u64 + 1;
        let expected = if builds { Vec::new() } else { one("invalid-go-mod", "app/go.mod", number) };
        assert_eq!(both(&home, "app", &[]), (builds, expected), "{line}");
        let (_, output) = audit(&home, &[]);
        assert!(builds || !output.contains("remove the line"), "{output}");
        assert_eq!(line.starts_with('<'), output.contains("it is a conflict marker of git"), "{output}");
    }
    // The rest of the file counts all the same.
    home.write("app/go.mod", &format!("{right}<<<<<<< HEAD\n"));
    home.write("app/go.sum", "");
    let both_lines = [one("invalid-go-mod", "app/go.mod", 6), one("missing-line", "app/go.mod", 5)].concat();
    assert_eq!(findings(&home, &[]).1, both_lines);
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "base"]);
    home.write("app/go.mod", &format!("// Moved.\n{right}<<<<<<< HEAD\n"));
    assert_eq!(findings(&home, &["--base", "main"]), (Some(0), Vec::new()));
    home.write("app/go.mod", &format!("// Moved.\n{right}<<<<<<< HEAD\n=======\n"));
    assert_eq!(findings(&home, &["--base", "main"]), (Some(1), one("invalid-go-mod", "app/go.mod", 8)));
    // Each whole file is one finding.
    let utf16 =
        |text: &str| -> Vec<u8> { format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect() };
    std::fs::write(home.home().join("app/go.mod"), utf16(&right)).unwrap();
    home.write("app/go.sum", &sum);
    assert_eq!(both(&home, "app", &[]), (false, one("invalid-go-mod", "app/go.mod", 1)));
    home.write("app/go.mod", &right);
    std::fs::write(home.home().join("app/go.sum"), utf16(&sum)).unwrap();
    assert_eq!(both(&home, "app", &[]), (false, one("malformed-line", "app/go.sum", 1)));
}

fn workspace(go: &Path) {
    let origin = origin(World::demo());
    let home = home(go, &origin);
    let sum = app(&home);
    home.write("lib/go.mod", "module example.org/lib\n\ngo 1.21\n");
    home.write("lib/a.go", "package lib\n");
    home.write("fork/go.mod", "module example.com/hello\n\ngo 1.21\n");
    home.write("fork/a.go", "package hello\n\nfunc Text() string { return \"fork\" }\n");
    home.write("app/go.sum", "");
    let used = "go 1.21\n\nuse ./app\nuse ./lib\n";
    // Without a replacement, `go` writes the line by itself.
    home.write("go.work", used);
    let missing = one("missing-line", "app/go.mod", 5);
    assert_eq!(findings(&home, &[]), (Some(1), missing.clone()));
    home.write("go.work", &format!("{used}replace example.com/hello => ./fork\n"));
    assert_eq!(both(&home, "app", &[]), (true, Vec::new()));
    home.write("go.work", used);
    home.write("lib/go.mod", "module example.org/lib\n\ngo 1.21\n\nreplace example.com/hello => ../fork\n");
    assert_eq!(both(&home, "app", &[]), (true, Vec::new()));
    // The same as a target of its own, below the workspace.
    assert_eq!(both(&home, "app", &["app"]), (true, Vec::new()));
    home.write("lib/go.mod", "module example.org/lib\n\ngo 1.21\n");
    home.write("lib/go.sum", &sum);
    assert_eq!(both(&home, "app", &[]), (true, Vec::new()));
    let (_, notes) = findings(&home, &[]);
    assert_eq!(notes, one("missing-outside-workspace", "app/go.mod", 5));
    let (_, output) = audit(&home, &[]);
    assert!(output.contains("fails with") && output.contains("GOWORK=off"), "{output}");
}

fn gowork(go: &Path) {
    let origin = origin(World::demo());
    let setup = |home: &Go| {
        let sum = app(home);
        home.write("app/go.sum", "");
        home.write("go.work", "go 1.21\n\nuse ./app\n");
        home.write("go.work.sum", &sum);
    };
    let home = self::home(go, &origin);
    setup(&home);
    assert_eq!(both(&home, "app", &[]), (true, Vec::new()));
    let home = home.set("GOWORK", "off");
    let missing = one("missing-line", "app/go.mod", 5);
    assert_eq!(both(&home, "app", &[]), (false, missing.clone()));
    // Nobody reads it.
    home.write("go.work", "rubbish\n");
    assert_eq!(both(&home, "app", &[]), (false, missing));
    // A workspace elsewhere.
    let home = self::home(go, &origin);
    setup(&home);
    std::fs::remove_file(home.home().join("go.work")).unwrap();
    std::fs::rename(home.home().join("go.work.sum"), home.root().join("go.work.sum")).unwrap();
    std::fs::write(home.root().join("go.work"), "go 1.21\n\nuse ./work/app\n").unwrap();
    let file = home.root().join("go.work").to_str().unwrap().to_owned();
    let home = home.set("GOWORK", &file);
    assert_eq!(both(&home, "app", &[]), (true, Vec::new()));
    // A file that is not there: `go` does nothing, so neither is this clean.
    let home = home.set("GOWORK", &format!("{file}.none"));
    assert!(!home.run(&["-C", "app", "build", "-o", "/dev/null", "./..."]).0);
    let (code, output) = audit(&home, &[]);
    assert!(code == Some(2) && output.contains("cannot read the go.work that GOWORK names"), "{output}");
    let (code, output) = audit(&home.set("GOWORK", "go.work"), &[]);
    assert!(code == Some(2) && output.contains("not an absolute path"), "{output}");
}

fn refused_workspace(go: &Path) {
    let origin = origin(World::demo());
    let home = home(go, &origin);
    app(&home);
    home.write("lib/go.mod", "module example.org/lib\n\ngo 1.21\n");
    home.write("lib/a.go", "package lib\n");
    for (text, line) in [
        ("go 1.21\nuse ./app\nrubbish\n", 3),
        ("go 1.21\nuse ./app\nuse app/../app\n", 3),
        ("go 1.21\nuse ./app\nuse ./nowhere\n", 3),
        ("go 1.20\nuse ./app\n", 2),
        ("go 1.21\nuse ./app\nreplace example.org/app => ./lib\n", 3),
        ("go 1.21\nuse ./app\nreplace x.com/y => ./a\nreplace x.com/y => ./b\n", 4),
        ("\u{feff}go 1.21\nuse ./app\n", 1),
    ] {
        home.write("go.work", text);
        assert_eq!(both(&home, "app", &[]), (false, one("invalid-go-mod", "go.work", line)), "{text}");
    }
    home.write("go.work", "go 1.21\nuse ./app\nuse ./lib\n");
    assert_eq!(both(&home, "app", &[]), (true, Vec::new()));
    // Two modules that disagree, or have one path.
    let lib = |text: &str| home.write("lib/go.mod", &format!("module {text}"));
    lib("example.org/app\n\ngo 1.21\n");
    assert_eq!(both(&home, "app", &[]), (false, one("invalid-go-mod", "go.work", 3)));
    lib("example.org/lib\n\ngo 1.21\n\nreplace x.com/y => ./a\n");
    let app = std::fs::read_to_string(home.home().join("app/go.mod")).unwrap();
    home.write("app/go.mod", &format!("{app}\nreplace x.com/y => ./a\n"));
    assert_eq!(both(&home, "app", &[]), (false, one("invalid-go-mod", "go.work", 3)));
}

fn targets(go: &Path) {
    let origin = origin(World::demo());
    let home = home(go, &origin);
    let sum = app(&home);
    // One without a go.sum, beside one that has it.
    home.write("tool/main.go", MAIN);
    home.write("tool/go.mod", &format!("module example.org/tool\n\ngo 1.21\n\nrequire {HELLO}\n"));
    assert_eq!(both(&home, "tool", &[]), (false, one("missing-line", "tool/go.mod", 5)));
    // A test may need one that nobody builds.
    std::fs::create_dir(home.home().join("testdata")).unwrap();
    std::fs::rename(home.home().join("tool"), home.home().join("testdata/tool")).unwrap();
    assert_eq!(both(&home, "app", &[]), (true, Vec::new()));
    // The line of the go.mod alone.
    let only_mods: String =
        sum.lines().filter(|line| line.contains("/go.mod ")).map(|line| format!("{line}\n")).collect();
    home.write("app/go.sum", &only_mods);
    let missing = one("missing-line", "app/go.mod", 5);
    assert_eq!(both(&home, "app", &[]), (false, missing.clone()));
    assert!(audit(&home, &[]).1.contains("no line for its zip"));
    home.write("app/main.go", "package main\n\nfunc main() {}\n");
    assert_eq!(both(&home, "app", &[]), (true, Vec::new()), "nothing is imported");
    home.write("app/sub/x_windows.go", "package sub\n\nimport _ \"example.com/hello\"\n");
    assert_eq!(findings(&home, &[]).1, missing, "for another system");
    home.git(&["init", "-q"]);
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "base"]);
    assert_eq!(findings(&home, &["--base", "main"]), (Some(0), Vec::new()));
}

fn named(go: &Path) {
    let origin = origin(World::demo());
    let home = home(go, &origin);
    app(&home);
    home.write("app/go.sum", "rubbish\n");
    home.write("go.work", "go 1.21\n\nuse ./app\n");
    home.write("go.work.sum", "rubbish\n");
    for (path, file) in [
        ("app/go.mod", "app/go.sum"),
        ("app/go.sum", "app/go.sum"),
        ("go.work", "go.work.sum"),
        ("go.work.sum", "go.work.sum"),
    ] {
        let found = findings(&home, &[path]).1;
        assert_eq!(found[0], one("malformed-line", file, 1)[0], "{path}");
        assert!(found.iter().all(|(_, file, _)| Path::new(file).parent() == Path::new(path).parent()), "{found:?}");
    }
    let (code, output) = audit(&home, &["app/main.go"]);
    assert!(code == Some(2) && output.contains("app/main.go is not a go.sum file"), "{output}");
}
