//! `sumgate audit`: which files it opens, in a tree that a stranger wrote.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use serde_json::Value;
use sumgate::demo::World;

use crate::audit::{audit, findings, home, honest, line_of};
use crate::fixture::{Go, fifo, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("files: a link out of the tree is a finding, and prints nothing of what it leads to", linked),
        trial("files: a FIFO or a device never hangs, and is a finding", fifos_and_devices),
        trial("files: a file that is named may lie elsewhere", named_elsewhere),
        trial("files: a folder that is named, or stood in, does not lead out of the repository", folder_out),
        trial("files: nothing of a line is shown that does not begin with a module path", lines_of_secrets),
        trial("files: a policy that leads out of the tree is not read, one above the tree may", policies),
        trial("files: every sum is opened, in hidden folders and beside any X.mod, too", every_sum),
        trial("files: what is excluded is listed, and the folders of go and sumgate are left out", excluded),
        trial("files: what go uses above the folder, and what its workspace uses, is audited, too", above),
        trial("files: folders that go fills are listed in every format, and git must not track them", filled),
        trial("files: a folder or file that cannot be read is named, and the others are audited", unreadable),
        trial("files: whoever names a folder wants it looked at, in whatever order", order),
        trial("files: sums that go does not read are told apart, as warnings", apart),
        trial("files: toolchain and go lines are judged by database and policy", toolchains),
        trial("files: without a proof it is not called clean", nothing_to_check),
        trial("files: a vendor folder that nobody checked is told", vendored),
    ]
}

const FORMATS: [&str; 5] = ["human", "json", "sarif", "junit", "github"];

/// A file outside the tree with lines of every kind.
fn secret(home: &Go) -> PathBuf {
    let path = home.root().join("secret");
    std::fs::write(&path, "SECRET\nexample.com/SECRET v1.0.0\nkey = SECRET x y\nmodule SECRET\nrequire SECRET x\n")
        .unwrap();
    path
}

/// The codes by their files.
fn codes(home: &Go, more: &[&str]) -> (Option<i32>, Vec<(String, String)>) {
    let (code, found) = findings(home, more);
    (code, found.into_iter().map(|(code, file, _)| (code, file)).collect())
}

fn pair(code: &str, file: &str) -> (String, String) {
    (code.to_owned(), file.to_owned())
}

fn linked() {
    let origin = origin(World::demo());
    let hello = honest(&origin).join("\n");
    for in_repository in [true, false] {
        for name in ["go.sum", "go.mod", "go.work", "go.work.sum", "tools.sum", "tools.mod"] {
            let home = home(&origin);
            if in_repository {
                home.git(&["init", "-q"]);
            }
            for file in ["go.sum", "go.work.sum"] {
                home.write(file, &hello);
            }
            for file in ["go.mod", "tools.mod"] {
                home.write(file, "module a.com/b\n");
            }
            home.write("tools.sum", "");
            home.write("go.work", "use .\n");
            let path = home.home().join(name);
            for target in [secret(&home), home.home().join(".git/config"), PathBuf::from("/no/such/file")] {
                std::fs::remove_file(&path).unwrap();
                symlink(&target, &path).unwrap();
                for format in FORMATS {
                    let (code, output) = audit(&home, &["--format", format]);
                    assert_eq!((code, output.contains("not-a-regular-file")), (Some(1), true), "{name} {output}");
                    assert!(!output.contains("SECRET") && !output.contains("repositoryformat"), "{name}: {output}");
                }
                assert_eq!(codes(&home, &[]), (Some(1), vec![pair("not-a-regular-file", name)]));
            }
        }
    }
    // A link inside the tree is what it leads to.
    let home = home(&origin);
    home.git(&["init", "-q"]);
    home.write("shared.sum", &hello);
    home.write("sub/x", "");
    symlink("../shared.sum", home.home().join("sub/go.sum")).unwrap();
    assert_eq!(audit(&home, &["sub"]).0, Some(0), "the tree is the repository's, not the folder");
}

fn fifos_and_devices() {
    let origin = origin(World::demo());
    for name in ["go.sum", "go.mod", "go.work", "tools.sum"] {
        let home = home(&origin);
        home.write("go.sum", "");
        home.write("go.mod", "module a.com/b\n");
        home.write("tools.mod", "module a.com/b\n");
        let path = home.home().join(name);
        let _ = std::fs::remove_file(&path);
        fifo(&path);
        let finding = pair("not-a-regular-file", name);
        assert_eq!(codes(&home, &[]), (Some(1), vec![finding.clone()]));
        // Named, too.
        if name.ends_with(".sum") {
            assert_eq!(codes(&home, &[name]), (Some(1), vec![finding.clone()]));
        }
        std::fs::remove_file(&path).unwrap();
        symlink("/dev/zero", &path).unwrap();
        assert_eq!(codes(&home, &[]), (Some(1), vec![finding]));
    }
    // What else reads such files.
    let home = home(&origin);
    for file in ["sumgate.toml", "go.sum"] {
        fifo(&home.home().join(file));
    }
    let upstream = ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb()].map(str::to_owned);
    let fetch: Vec<&str> = ["fetch"].into_iter().chain(upstream.iter().map(String::as_str)).collect();
    for words in [
        &["audit", "--offline"][..],
        &["policy", "check"],
        &["policy", "check", "sumgate.toml"],
        &["run", "--upstream", "http://127.0.0.1:9", "--", "true"],
        &fetch,
        &[&fetch[..], &["-m", "go.sum"]].concat(),
        &["export", "x.tar.zst"],
    ] {
        let (code, output) = home.sumgate(words);
        assert!(matches!(code, Some(2 | 121)), "{words:?}: {output}");
        assert!(output.contains("expected a regular file, found a FIFO"), "{words:?}: {output}");
    }
}

fn named_elsewhere() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.git(&["init", "-q"]);
    let elsewhere = home.root().join("elsewhere.sum");
    std::fs::write(&elsewhere, honest(&origin).join("\n")).unwrap();
    symlink(&elsewhere, home.home().join("go.sum")).unwrap();
    for named in [".", "go.sum", "sub/../go.sum"] {
        home.write("sub/x", "");
        let (code, found) = findings(&home, &[named]);
        assert_eq!((code, found.len(), &*found[0].0), (Some(1), 1, "not-a-regular-file"), "{named}");
    }
    assert_eq!(audit(&home, &[elsewhere.to_str().unwrap()]).0, Some(0));
    std::fs::copy(&elsewhere, home.root().join("copy")).unwrap();
    std::fs::remove_file(home.home().join("go.sum")).unwrap();
    std::fs::rename(home.root().join("copy"), home.home().join("go.sum")).unwrap();
    assert_eq!(audit(&home, &["go.sum"]).0, Some(0));
    // Only the file that is named: not what lies beside it.
    symlink(secret(&home), home.home().join("go.mod")).unwrap();
    let (code, output) = audit(&home, &["go.sum"]);
    assert_eq!((code, output.contains("go.mod: error[not-a-regular-file]")), (Some(1), true), "{output}");
    assert!(!output.contains("SECRET"), "{output}");
}

/// The job audits `sub`, or stands in it, and the pull request makes it a link.
fn folder_out() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.git(&["init", "-q"]);
    home.write("go.sum", &honest(&origin).join("\n"));
    home.write("real/go.sum", &honest(&origin).join("\n"));
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
    // A PWD that names another folder says nothing.
    std::fs::remove_file(&sub).unwrap();
    std::fs::create_dir(&sub).unwrap();
    let mut command = home.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
    let output = command.args(["audit", "."]).env("PWD", &outside).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}

fn lines_of_secrets() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.write(
        "go.sum",
        "SECRET\nTOKEN=SECRET v1.0.0 h1:SECRET\nuser SECRET x\n-----BEGIN SECRET KEY-----\n\nhost:SECRET v1 h1:a b\n",
    );
    for format in FORMATS {
        let (code, output) = audit(&home, &["--format", format]);
        assert_eq!((code, output.contains("SECRET")), (Some(1), false), "{output}");
        assert!(output.contains("its first field is no module path"), "{output}");
    }
    assert_eq!(findings(&home, &[]).1.len(), 5);
    let (_, output) = home.sumgate(&["export", "x.tar.zst"]);
    assert!(output.contains("not a hash line") && !output.contains("SECRET"), "{output}");
    home.write("go.sum", "example.com/x v1.0.0 SHOWN SHOWN\n");
    let (_, output) = audit(&home, &[]);
    assert!(output.contains("example.com/x v1.0.0 SHOWN SHOWN"), "what helps is shown: {output}");
}

fn policies() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.write("repo/go.sum", &honest(&origin).join("\n"));
    home.git(&["init", "-q", "repo"]);
    let outside = home.root().join("policy.toml");
    std::fs::write(&outside, "[policy]\nSECRET = 1\n").unwrap();
    let inside = home.home().join("repo/sumgate.toml");
    symlink(&outside, &inside).unwrap();
    let sumgate = |words: &[&str]| {
        let mut command = home.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
        let output = command.args(words).current_dir(home.home().join("repo")).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    for words in [
        &["audit"][..],
        &["run", "--upstream", "http://127.0.0.1:9", "--", "true"],
        &["policy", "check"],
        &["policy", "explain", "a.com/b@v1.0.0"],
    ] {
        let (code, output) = sumgate(words);
        assert!(matches!(code, Some(2 | 121)), "{words:?}: {output}");
        assert!(output.contains("[not-a-regular-file]") && output.contains("leads out of the tree"), "{output}");
        assert!(!output.contains("SECRET"), "{output}");
    }
    for words in [&["audit", "--policy", "sumgate.toml"][..], &["policy", "check", "./sumgate.toml"]] {
        let (code, output) = sumgate(words);
        assert_eq!((code, output.contains("[not-a-regular-file]")), (Some(2), true), "{words:?}: {output}");
        assert!(!output.contains("SECRET"), "{output}");
    }
    // Above the tree nobody who wrote the tree can have put it; and a name that leads elsewhere is a person's word.
    std::fs::write(&outside, "[policy]\n").unwrap();
    assert_eq!(sumgate(&["audit", "--policy", outside.to_str().unwrap()]).0, Some(0));
    std::fs::rename(&inside, home.home().join("sumgate.toml")).unwrap();
    let (code, output) = sumgate(&["audit"]);
    assert_eq!(code, Some(0), "{output}");
    // Unless that is a repository itself: around a submodule lies a tree of strangers.
    home.git(&["init", "-q"]);
    let (code, output) = sumgate(&["audit"]);
    assert_eq!((code, output.contains("[not-a-regular-file]")), (Some(2), true), "{output}");
}

fn every_sum() {
    let origin = origin(World::demo());
    let home = home(&origin);
    let lines = honest(&origin);
    let wrong = format!(
        "example.com/dep/v2 v2.0.1 {}",
        line_of(&lines, "example.com/hello v1.0.0 ").rsplit(' ').next().unwrap()
    );
    home.write("go.sum", &lines.join("\n"));
    let hidden = [".ci/go.sum", "a/.b/c/go.work.sum", "tools.sum", "x/lint.sum", "x/other.work.sum"];
    for file in hidden {
        home.write(file, &wrong);
    }
    for (beside, text) in
        [("tools.mod", "module a.com/b\n"), ("x/lint.mod", "module a.com/b\n"), ("x/other.work", "use .\n")]
    {
        home.write(beside, text);
    }
    // No sum of `go`, and never one of this tree.
    home.write("sha.sum", "rubbish\n");
    home.write(".git/go.sum", "rubbish\n");
    let expected: Vec<_> = [".ci/go.sum", "a/.b/c/go.work.sum", "x/lint.sum", "x/other.work.sum"]
        .iter()
        .chain(&["tools.sum"])
        .map(|file| pair("hash-mismatch", file))
        .collect();
    let (code, mut found) = codes(&home, &[]);
    found.sort();
    let mut expected = expected;
    expected.sort();
    assert_eq!((code, found), (Some(1), expected));
}

fn excluded() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.write("go.sum", &honest(&origin).join("\n"));
    for file in ["third party/x/go.sum", "third party/y/go.sum", "mods/m/go.sum", "build/go.sum", "data/go.sum"] {
        home.write(file, "rubbish\n");
    }
    let inside = |name: &str| home.home().join(name).to_str().unwrap().to_owned();
    let folders = ["mods", "build", "data"].map(inside);
    let home = home.set("GOMODCACHE", &folders[0]).set("GOCACHE", &folders[1]);
    let words = ["--data", &folders[2], "--exclude", "third*/x", "--exclude", "third party/y/go.sum"];
    let (code, output) = audit(&home, &words);
    assert_eq!(code, Some(0), "{output}");
    for line in [
        "third party/x: left out (--exclude third*/x)\n",
        "third party/y/go.sum: left out (--exclude third party/y/go.sum)\n",
        "mods: left out (the module cache)\n",
        "build: left out (the build cache)\n",
        "data: left out (the data folder of sumgate)\n",
    ] {
        assert!(output.contains(line), "{line}: {output}");
    }
    let (_, output) = audit(&home, &[&words[..], &["--format", "json"]].concat());
    let document: Value = serde_json::from_str(&output).unwrap();
    let listed: Vec<&str> =
        document["excluded"].as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect();
    assert_eq!(listed, ["build", "data", "mods", "third party/x", "third party/y/go.sum"]);
    assert_eq!(document["excluded"][3]["reason"], "--exclude third*/x");
    // A folder is left out because it is in use, not because of what it looks like.
    let (code, found) = codes(&home, &["--exclude", "third party"]);
    assert_eq!((code, found), (Some(1), vec![pair("malformed-line", "data/go.sum")]));
    for wrong in ["../x", "/etc", "[", ""] {
        assert_eq!(audit(&home, &["--exclude", wrong]).0, Some(2), "{wrong:?}");
    }
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
    home.write("data/x/go.sum", "rubbish\n");
    home.write("real/go.sum", "rubbish\n");
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
    // The data folder of the job is a link of the pull request to what it wants to have left out.
    symlink("real", &link).unwrap();
    home.git(&["reset", "-q"]);
    home.git(&["add", "link", "real"]);
    assert_eq!(codes(&home, &["--data", &link, "--exclude", "data"]), (Some(1), vec![pair("tracked-cache", "real")]));
    // Where git cannot be asked, it is not known.
    std::fs::write(home.home().join(".git/index"), "damaged").unwrap();
    let (code, output) = audit(&home, &["--data", &data, "--exclude", "real"]);
    assert_eq!((code, output.contains("whether git tracks files in it is not known")), (Some(2), true), "{output}");
}

fn unreadable() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.write("b/go.sum", "rubbish\n");
    home.write("a/long/go.sum", &"\n".repeat((16 << 20) + 1));
    // Deeper than names can be: whoever is root can read everything else.
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
        assert_eq!(output.contains("b/go.sum:1: error[malformed-line]"), listed, "{words:?}");
        assert_eq!(output.contains("a/long/go.sum: not checked: all of it (a/long/go.sum has more than"), listed);
    }
}

/// Folders whose path is longer than PATH_MAX.
fn make_deep(below: &Path) {
    let name = "d".repeat(250);
    let mut folder =
        rustix::fs::openat(rustix::fs::CWD, below, rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty()).unwrap();
    for _ in 0..20 {
        rustix::fs::mkdirat(&folder, &*name, rustix::fs::Mode::RWXU).unwrap();
        folder = rustix::fs::openat(&folder, &*name, rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty()).unwrap();
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

fn apart() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.write("go.sum", &honest(&origin).join("\n"));
    for folder in ["testdata/a", "x/_old", "node_modules/y", "vendor/b"] {
        home.write(&format!("{folder}/go.sum"), "rubbish\n");
    }
    let (code, output) = audit(&home, &["--format", "json"]);
    let document: Value = serde_json::from_str(&output).unwrap();
    let found = document["findings"].as_array().unwrap();
    assert_eq!((code, found.len()), (Some(1), 4), "{output}");
    assert!(found.iter().all(|one| one["severity"] == "warning" && one["apart"] == true), "{output}");
    assert_eq!(audit(&home, &["--deny", "error"]).0, Some(0));
    let (_, output) = audit(&home, &[]);
    assert!(output.starts_with("In files that `go` does not read for this repository:\n"), "{output}");
    assert!(output.contains("it lies below testdata, so `go` does not read it"), "{output}");
    // A workspace reads the sums of what it uses, and a FIFO there is told as well.
    home.write("go.work", "use ./testdata/a\n");
    std::fs::remove_file(home.home().join("vendor/b/go.sum")).unwrap();
    fifo(&home.home().join("vendor/b/go.sum"));
    let (code, found) = codes(&home, &["--deny", "error"]);
    assert_eq!((code, &found[0]), (Some(1), &pair("malformed-line", "testdata/a/go.sum")));
    assert!(found.contains(&pair("not-a-regular-file", "vendor/b/go.sum")), "{found:?}");
}

/// What a line makes `go` download is judged like everything that is downloaded.
fn toolchains() {
    let origin = origin(World::demo());
    // The world has go1.99.1, for one platform.
    let home = home(&origin).set("GOHOSTOS", "linux").set("GOHOSTARCH", "amd64");
    home.write("go.mod", "module a.com/b\n\ngo 1.21\n\ntoolchain go1.99.1\n");
    assert_eq!(findings(&home, &[]), (Some(0), Vec::new()));
    let found = |code: &str, file: &str, line| (code.to_owned(), file.to_owned(), line);
    home.write("sumgate.toml", "[policy]\ntoolchains = [\"<go1.99\"]\n");
    assert_eq!(findings(&home, &[]), (Some(1), vec![found("policy-denied", "go.mod", 5)]));
    let (_, output) = audit(&home, &[]);
    assert!(
        output.contains("golang.org/toolchain@v0.0.1-go1.99.1.linux-amd64 is denied by policy (toolchains)"),
        "{output}"
    );
    // The `go` line alone does it, and go.work as well; go.mod files without a sum count, too.
    for (file, text) in [
        ("go.mod", "module a.com/b\ngo 1.99.1\n"),
        ("x/go.work", "use .\ntoolchain go1.99.1\n"),
        ("y/tools.mod", "module a.com/b\ntoolchain go1.99.1\n"),
    ] {
        let home = self::home(&origin).set("GOHOSTOS", "linux").set("GOHOSTARCH", "amd64");
        home.write("sumgate.toml", "[policy]\ntoolchains = [\"<go1.99\"]\n");
        home.write("go.sum", "");
        home.write("y/tools.sum", "");
        home.write(file, text);
        assert_eq!(findings(&home, &[]), (Some(1), vec![found("policy-denied", file, 2)]));
    }
    // One that the database does not know, and one that is none.
    home.write("sumgate.toml", "[policy]\n");
    home.write("go.mod", "module a.com/b\n\ntoolchain go1.98.7\n");
    assert_eq!(findings(&home, &[]), (Some(1), vec![found("unknown-version", "go.mod", 3)]));
    home.write("go.mod", "module a.com/b\n\ntoolchain go1.99.1/../x\n");
    assert_eq!(findings(&home, &[]), (Some(1), vec![found("malformed-line", "go.mod", 3)]));
    // Patterns exempt no toolchain.
    let exempt = home.set("GONOSUMDB", "*");
    exempt.write("go.mod", "module a.com/b\n\ntoolchain go1.98.7\n");
    assert_eq!(findings(&exempt, &[]).0, Some(1));
    // With a base only what is new.
    exempt.git(&["init", "-q"]);
    exempt.git(&["add", "."]);
    exempt.git(&["commit", "-qm", "base"]);
    assert_eq!(findings(&exempt, &["--base", "main"]), (Some(0), Vec::new()));
    exempt.write("go.mod", "module a.com/b\n\n\ntoolchain go1.98.8\n");
    assert_eq!(findings(&exempt, &["--base", "main"]), (Some(1), vec![found("unknown-version", "go.mod", 4)]));
    // Nobody answered: not finished.
    origin.misbehave(
        "/lookup/golang.org/toolchain@v0.0.1-go1.98.8.linux-amd64",
        sumgate::demo::Fault::Status(500, "on fire"),
    );
    assert_eq!(audit(&exempt, &["--base", "main"]).0, Some(2));
}

fn nothing_to_check() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.write("go.sum", "");
    home.write("go.mod", "module a.com/b\n");
    let (code, output) = audit(&home, &[]);
    assert_eq!((code, output.as_str()), (Some(0), "nothing to check: 0 proved, no policy\n"));
    let (_, output) = audit(&home, &["--format", "json"]);
    assert!(output.contains("\"ending\": \"nothing-to-check\""), "{output}");
    // Exempt lines prove nothing either.
    home.write("go.sum", line_of(&honest(&origin), "example.com/hello v1.0.0 "));
    let (code, output) = audit(&home, &["--nosumdb", "example.com"]);
    assert_eq!((code, output.as_str()), (Some(0), "nothing to check: 0 proved, 1 exempt, no policy\n"));
    assert!(audit(&home, &[]).1.starts_with("clean: 1 proved"));
}

fn vendored() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.write("go.sum", &honest(&origin).join("\n"));
    home.write("go.mod", "module a.com/b\n");
    home.write("vendor/modules.txt", "# example.com/hello v1.0.0\n");
    let (code, found) = codes(&home, &[]);
    assert_eq!((code, found), (Some(0), vec![pair("vendor-unproved", "vendor/modules.txt")]));
    let (_, output) = audit(&home, &[]);
    assert!(output.contains("nobody checked the files of this vendor folder"), "{output}");
    assert_eq!(audit(&home, &["--deny", "note"]).0, Some(1));
    // One that is left out was left out by a person.
    let (_, output) = audit(&home, &["--exclude", "vendor"]);
    assert!(output.contains("vendor: left out") && !output.contains("nobody checked"), "{output}");
}
