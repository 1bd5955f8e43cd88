//! `sumgate audit`: which files it opens in an untrusted tree.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use serde_json::Value;
use testkit::World;

use crate::audit::{audit, findings, home, honest, line_of};
use crate::fixture::{Go, fifo, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("files: a link out of the tree is a finding, and its target is not printed", linked),
        trial("files: a FIFO or a device is a finding, and does not block", fifos_and_devices),
        trial("files: a named file can be outside the tree", named_elsewhere),
        trial("files: a line that does not begin with a module path is not shown", lines_of_secrets),
        trial("files: a policy that links out of the tree is not read, one above the tree is", policies),
        trial("files: every sum file is read, also in hidden folders and beside any X.mod", every_sum),
        trial("files: excluded paths are listed, and folders of go and sumgate are skipped", excluded),
        trial("files: sums that go does not read are reported separately, as warnings", apart),
        trial("files: toolchain and go lines are checked by database and policy", toolchains),
        trial("files: without a proved hash the result is not called clean", nothing_to_check),
        trial("files: a vendor folder is reported", vendored),
    ]
}

pub const FORMATS: [&str; 5] = ["human", "json", "sarif", "junit", "github"];

/// A file outside the tree with lines of every kind.
fn secret(home: &Go) -> PathBuf {
    let path = home.root().join("secret");
    std::fs::write(&path, "SECRET\nexample.com/SECRET v1.0.0\nkey = SECRET x y\nmodule SECRET\nrequire SECRET x\n")
        .unwrap();
    path
}

/// The codes by their files.
pub fn codes(home: &Go, more: &[&str]) -> (Option<i32>, Vec<(String, String)>) {
    let (code, found) = findings(home, more);
    (code, found.into_iter().map(|(code, file, _)| (code, file)).collect())
}

pub fn pair(code: &str, file: &str) -> (String, String) {
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
    let fetch: Vec<&str> = ["cache", "fetch"].into_iter().chain(upstream.iter().map(String::as_str)).collect();
    for words in [
        &["audit", "--offline"][..],
        &["policy", "check"],
        &["policy", "check", "sumgate.toml"],
        &["run", "--upstream", "http://127.0.0.1:9", "--", "true"],
        &fetch,
        &[&fetch[..], &["-m", "go.sum"]].concat(),
        &["cache", "export", "x.tar.zst"],
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
        assert!(output.contains("its first field is not a module path"), "{output}");
    }
    assert_eq!(findings(&home, &[]).1.len(), 5);
    let (_, output) = home.sumgate(&["cache", "export", "x.tar.zst"]);
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
    // The author of the tree cannot write above it; and the user may name a file elsewhere.
    std::fs::write(&outside, "[policy]\n").unwrap();
    assert_eq!(sumgate(&["audit", "--policy", outside.to_str().unwrap()]).0, Some(0));
    std::fs::rename(&inside, home.home().join("sumgate.toml")).unwrap();
    let (code, output) = sumgate(&["audit"]);
    assert_eq!(code, Some(0), "{output}");
    // Unless it is a repository itself: the tree around a submodule is untrusted.
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
    for (beside, text) in [
        ("tools.mod", "module a.com/b\n"),
        ("x/lint.mod", "module a.com/b\n"),
        ("x/other.work", "use ..\n"),
        ("go.mod", "module a.com/b\n"),
    ] {
        home.write(beside, text);
    }
    // Not a sum file that `go` reads for this tree.
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
    for file in ["third party/x/go.sum", "third party/y/go.sum", "mods/m/go.sum", "build/go.sum", "data/proxy/go.sum"] {
        home.write(file, "rubbish\n");
    }
    let inside = |name: &str| home.home().join(name).to_str().unwrap().to_owned();
    let folders = ["mods", "build", "data"].map(inside);
    let home = home.set("GOMODCACHE", &folders[0]).set("GOCACHE", &folders[1]);
    let words = ["--data", &folders[2], "--exclude", "third*/x", "--exclude", "third party/y/go.sum"];
    let (code, output) = audit(&home, &words);
    assert_eq!(code, Some(0), "{output}");
    for line in [
        "third party/x: excluded (--exclude third*/x)\n",
        "third party/y/go.sum: excluded (--exclude third party/y/go.sum)\n",
        "mods: excluded (the module cache)\n",
        "build: excluded (the build cache)\n",
        "data: excluded (the data folder of sumgate)\n",
    ] {
        assert!(output.contains(line), "{line}: {output}");
    }
    let (_, output) = audit(&home, &[&words[..], &["--format", "json"]].concat());
    let document: Value = serde_json::from_str(&output).unwrap();
    let listed: Vec<&str> =
        document["excluded"].as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect();
    assert_eq!(listed, ["build", "data", "mods", "third party/x", "third party/y/go.sum"]);
    assert_eq!(document["excluded"][3]["reason"], "--exclude third*/x");
    // A folder is skipped because it is in use, not because of its content.
    let (code, found) = codes(&home, &["--exclude", "third party"]);
    assert_eq!((code, found), (Some(1), vec![pair("malformed-line", "data/proxy/go.sum")]));
    for wrong in ["../x", "/etc", "[", ""] {
        assert_eq!(audit(&home, &["--exclude", wrong]).0, Some(2), "{wrong:?}");
    }
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
    // A workspace reads the sums of the folders it uses; a FIFO there is reported, too.
    home.write("testdata/a/go.mod", "module a.com/b\n");
    home.write("go.work", "use ./testdata/a\n");
    std::fs::remove_file(home.home().join("vendor/b/go.sum")).unwrap();
    fifo(&home.home().join("vendor/b/go.sum"));
    let (code, found) = codes(&home, &["--deny", "error"]);
    assert_eq!((code, &found[0]), (Some(1), &pair("malformed-line", "testdata/a/go.sum")));
    assert!(found.contains(&pair("not-a-regular-file", "vendor/b/go.sum")), "{found:?}");
}

/// Toolchains that `go` downloads because of a line are checked like modules.
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
        ("x/go.work", "\ntoolchain go1.99.1\n"),
        ("y/tools.mod", "module a.com/b\ntoolchain go1.99.1\n"),
    ] {
        let home = self::home(&origin).set("GOHOSTOS", "linux").set("GOHOSTARCH", "amd64");
        home.write("sumgate.toml", "[policy]\ntoolchains = [\"<go1.99\"]\n");
        home.write("go.sum", "");
        home.write("y/tools.sum", "");
        home.write(file, text);
        assert_eq!(findings(&home, &[]), (Some(1), vec![found("policy-denied", file, 2)]));
    }
    // One without a record, and an invalid one.
    home.write("sumgate.toml", "[policy]\n");
    home.write("go.mod", "module a.com/b\n\ntoolchain go1.98.7\n");
    assert_eq!(findings(&home, &[]), (Some(1), vec![found("unknown-version", "go.mod", 3)]));
    home.write("go.mod", "module a.com/b\n\ntoolchain go1.99.1/../x\n");
    assert_eq!(findings(&home, &[]), (Some(1), vec![found("invalid-go-mod", "go.mod", 3)]));
    // Patterns exempt no toolchain.
    let exempt = home.set("GONOSUMDB", "golang.org/toolchain");
    exempt.write("go.mod", "module a.com/b\n\ntoolchain go1.98.7\n");
    assert_eq!(findings(&exempt, &[]).0, Some(1));
    // With a base only what is new.
    exempt.git(&["init", "-q"]);
    exempt.git(&["add", "."]);
    exempt.git(&["commit", "-qm", "base"]);
    assert_eq!(findings(&exempt, &["--base", "main"]), (Some(0), Vec::new()));
    exempt.write("go.mod", "module a.com/b\n\n\ntoolchain go1.98.8\n");
    assert_eq!(findings(&exempt, &["--base", "main"]), (Some(1), vec![found("unknown-version", "go.mod", 4)]));
    // No answer: not finished.
    origin
        .misbehave("/lookup/golang.org/toolchain@v0.0.1-go1.98.8.linux-amd64", testkit::Fault::Status(500, "on fire"));
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
    assert!(output.contains("the files of this vendor folder were not checked"), "{output}");
    assert_eq!(audit(&home, &["--deny", "note"]).0, Some(1));
    // An excluded one was excluded by the user.
    let (_, output) = audit(&home, &["--exclude", "vendor"]);
    assert!(output.contains("vendor: excluded") && !output.contains("were not checked"), "{output}");
}
