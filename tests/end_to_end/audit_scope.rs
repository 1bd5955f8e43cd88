//! `sumgate audit`: files around the named folder, skipped folders, unreadable files, and exempt modules.

use std::os::unix::fs::symlink;
use std::path::Path;

use libtest_mimic::Trial;
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use serde_json::Value;
use testkit::World;

use crate::audit::{audit, home, honest, line_of};
use crate::audit_files::{FORMATS, codes, pair};
use crate::fixture::{Go, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("files: named folders and the working folder do not lead out of the repository", folder_out),
        trial("files: go.mod, go.work and used folders outside the folder are audited", above),
        trial("files: skipped caches are listed in every format, and git must not track them", filled),
        trial("files: an unreadable folder or file is listed, and the others are audited", unreadable),
        trial("files: a folder that is named is audited in full, in any order of arguments", order),
        trial("audit: settings that exempt public modules are exit 1", exempt_too_widely),
    ]
}

/// The job audits `sub`, or runs in it, and the pull request replaces it by a link.
fn folder_out() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.git(&["init", "-q"]);
    home.write("go.sum", &honest(&origin).join("\n"));
    home.write("real/proxy/go.sum", &honest(&origin).join("\n"));
    let outside = home.root().join("outside");
    std::fs::create_dir_all(outside.join("deep")).unwrap();
    for file in ["go.sum", "deep/go.sum"] {
        std::fs::write(outside.join(file), honest(&origin).join("\n") + "\nexample.com/SECRET v1.0.0 h1:SECRET\n")
            .unwrap();
    }
    let sub = home.home().join("sub");
    let standing = |words: &[&str]| {
        let mut command = home.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
        let output = command.args(words).current_dir(&sub).env("PWD", &sub).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    symlink("real", &sub).unwrap();
    assert_eq!((audit(&home, &["sub"]).0, standing(&["audit"]).0), (Some(0), Some(0)));
    std::fs::remove_file(&sub).unwrap();
    symlink(&outside, &sub).unwrap();
    let run = ["run", "--upstream", "http://127.0.0.1:9", "--", "true"];
    let refused = [
        (2, audit(&home, &["sub"])),
        (2, audit(&home, &["go.sum", "sub/deep"])),
        (2, home.sumgate(&["doctor", "sub"])),
        (2, standing(&["audit"])),
        (121, standing(&run)),
    ];
    for (expected, (code, output)) in refused {
        assert_eq!((code, output.contains("leads out of the repository")), (Some(expected), true), "{output}");
        assert!(!output.contains("SECRET"), "{output}");
    }
    // A PWD that names another folder is ignored.
    std::fs::remove_file(&sub).unwrap();
    std::fs::create_dir(&sub).unwrap();
    let mut command = home.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
    let output = command.args(["audit", "."]).env("PWD", &outside).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}

/// `audit app`, where the pull request writes go.mod, go.sum, go.work and a folder that the workspace uses above or beside it.
fn above() {
    let origin = origin(World::demo());
    let home = home(&origin);
    let lines = honest(&origin);
    let right = lines.join("\n");
    let wrong = format!(
        "example.com/dep/v2 v2.0.1 {}\n",
        line_of(&lines, "example.com/hello v1.0.0 ").rsplit(' ').next().unwrap()
    );
    let mismatches = |words: &[&str], folder: &str| {
        let mut command = home.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
        let command = command.args(["audit", "--format", "json"]).args(words);
        let output = command.current_dir(home.home().join(folder)).output().unwrap();
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let found = document["findings"].as_array().unwrap().iter();
        let found = found.filter(|one| one["code"] == "hash-mismatch");
        let files = found.map(|one| one["place"]["file"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        (output.status.code(), files)
    };
    home.write("repo/app/go.sum", &right);
    home.write("go.mod", "module a.com/outside\n");
    home.write("go.sum", &wrong);
    home.git(&["init", "-q", "repo"]);
    assert_eq!(
        mismatches(&["repo/app"], "."),
        (Some(0), vec![]),
        "what lies above the repository is not of its author"
    );
    home.write("repo/go.mod", "module a.com/b\n");
    home.write("repo/go.sum", &wrong);
    assert_eq!(mismatches(&["repo/app"], "."), (Some(1), vec!["repo/go.sum".into()]));
    assert_eq!(mismatches(&["."], "repo/app"), (Some(1), vec!["../go.sum".into()]));
    // Below a module of its own `go` does not look for another.
    home.write("repo/app/go.mod", "module a.com/b/app\n");
    assert_eq!(mismatches(&["."], "repo/app"), (Some(0), vec![]));
    home.write("repo/go.work", "go 1.20\nuse ./app\nuse ./other\nuse ../outside\n");
    home.write("repo/go.work.sum", &wrong);
    home.write("repo/other/go.mod", "module a.com/b/other\n");
    home.write("repo/other/go.sum", &wrong);
    home.write("repo/unused/go.sum", &wrong);
    home.write("outside/go.sum", &wrong);
    let files = ["../go.work.sum", "../other/go.sum"].map(str::to_owned).to_vec();
    assert_eq!(mismatches(&["."], "repo/app"), (Some(1), files));
    // A workspace below the folder that uses one beside it.
    std::fs::rename(home.home().join("repo/go.work"), home.home().join("repo/app/go.work")).unwrap();
    home.write("repo/app/go.work", "go 1.20\nuse .\nuse ../other\n");
    assert_eq!(mismatches(&["."], "repo/app"), (Some(1), vec!["../other/go.sum".to_owned()]));
}

fn filled() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.git(&["init", "-q"]);
    home.write("go.sum", &honest(&origin).join("\n"));
    home.write("mods/m/go.sum", "rubbish\n");
    home.write("data/proxy/x/go.sum", "rubbish\n");
    home.write("real/proxy/go.sum", "rubbish\n");
    let inside = |name: &str| home.home().join(name).to_str().unwrap().to_owned();
    let (mods, data, link) = (inside("mods"), inside("data"), inside("link"));
    let home = home.set("GOMODCACHE", &mods);
    for format in FORMATS {
        let (code, output) = audit(&home, &["--data", &data, "--exclude", "real", "--format", format]);
        assert_eq!(code, Some(0), "{output}");
        for left_out in ["mods", "the module cache", "data", "the data folder of sumgate", "--exclude real"] {
            assert!(output.contains(left_out), "{format} {left_out}: {output}");
        }
    }
    let tracked = |home: &Go, data: &str| {
        let (code, found) = codes(home, &["--data", data, "--exclude", "real"]);
        (code, found.into_iter().filter(|(code, _)| code == "tracked-cache").map(|(_, file)| file).collect::<Vec<_>>())
    };
    assert_eq!(tracked(&home, &data), (Some(0), vec![]));
    home.git(&["add", "mods"]);
    assert_eq!(tracked(&home, &data), (Some(1), vec!["mods".to_owned()]));
    // The pull request makes the data folder of the job a link to the folder that should be skipped.
    symlink("real", &link).unwrap();
    home.git(&["reset", "-q"]);
    home.git(&["add", "link", "real"]);
    assert_eq!(codes(&home, &["--data", &link, "--exclude", "data"]), (Some(1), vec![pair("tracked-cache", "real")]));
    // If git fails, it is unknown.
    std::fs::write(home.home().join(".git/index"), "damaged").unwrap();
    let (code, output) = audit(&home, &["--data", &data, "--exclude", "real"]);
    assert_eq!((code, output.contains("it is unknown whether git tracks files in it")), (Some(2), true), "{output}");
}

fn unreadable() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.write("b/go.sum", "rubbish\n");
    home.write("a/long/go.sum", &"\n".repeat((16 << 20) + 1));
    // A path longer than PATH_MAX: root can read all other files.
    let deep = home.home().join("deep");
    std::fs::create_dir(&deep).unwrap();
    make_deep(&deep);
    for (words, listed) in [(&["audit"][..], true), (&["doctor"], false), (&["doctor", "--fix"], false)] {
        let (code, output) = home.sumgate(words);
        assert_eq!(
            (code, output.contains("deep/d")),
            (Some(2), true),
            "{words:?}: {}",
            &output[..output.len().min(2000)]
        );
        assert!(output.contains("leave it out with --exclude deep/d"), "{words:?}");
        let excluded = home.sumgate(&[words, &["--exclude", "deep", "--exclude", "a"]].concat());
        assert!(!excluded.1.contains("deep/d") && excluded.0 != Some(2), "{words:?}: {}", excluded.1);
        assert_eq!(output.contains("b/go.sum:1: error[malformed-line]"), listed, "{words:?}");
        assert_eq!(output.contains("a/long/go.sum: not checked: all of it (a/long/go.sum has more than"), listed);
        assert_eq!(output.contains("leave it out with --exclude a/long/go.sum"), listed, "{words:?}");
    }
    // What was named cannot be left out below itself.
    let (code, output) = home.sumgate(&["audit", "a/long/go.sum"]);
    assert!(code == Some(2) && output.contains("has more than") && !output.contains("--exclude"), "{output}");
}

/// Folders whose path is longer than PATH_MAX.
fn make_deep(below: &Path) {
    let name = "d".repeat(250);
    let mut folder = openat(CWD, below, OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..20 {
        mkdirat(&folder, &*name, Mode::RWXU).unwrap();
        folder = openat(&folder, &*name, OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
}

fn order() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.write("go.sum", &honest(&origin).join("\n"));
    home.write("testdata/go.sum", "rubbish\n");
    for paths in [["testdata", "."], [".", "testdata"]] {
        let words = [&paths[..], &["--deny", "error"]].concat();
        assert_eq!(codes(&home, &words), (Some(1), vec![pair("malformed-line", "testdata/go.sum")]), "{paths:?}");
    }
    assert_eq!(codes(&home, &["--deny", "error"]).0, Some(0));
}

/// Such as those that Dependabot sets. They exempt lines that nobody else verified.
fn exempt_too_widely() {
    let origin = origin(World::demo());
    let lines = honest(&origin).join("\n");
    let wide = |name: &'static str, value: &str, more: &[&str]| {
        let home = home(&origin).set(name, value);
        home.write("go.sum", &lines);
        let (code, output) = audit(&home, more);
        assert_eq!(
            (code, output.contains("error[wide-nosumdb]")),
            (Some(1), true),
            "{name}={value} {more:?}: {output}"
        );
        output
    };
    // `go` asks about toolchains whatever the patterns say.
    let output = wide("GONOSUMDB", "*", &[]);
    assert!(output.contains("2 proved, 12 exempt"), "{output}");
    for (name, value) in
        [("GONOSUMDB", "?*"), ("GONOSUMDB", "*.com"), ("GOPRIVATE", "[a-z]*"), ("SUMGATE_NOSUMDB", "*")]
    {
        wide(name, value, &[]);
    }
    wide("IRRELEVANT", "", &["--nosumdb", "*.com"]);
    // Neither of them is wide, but both are.
    wide("GONOSUMDB", "github.com/google", &["--nosumdb", "github.com/spf13"]);
    // As `go env -w` sets it.
    let home = home(&origin);
    home.write("go-env", "GONOSUMDB=*.com\n");
    home.write("go.sum", &lines);
    let file = home.home().join("go-env");
    let (code, output) = audit(&home.set("GOENV", file.to_str().unwrap()), &[]);
    assert_eq!((code, output.contains("error[wide-nosumdb]")), (Some(1), true), "{output}");
}
