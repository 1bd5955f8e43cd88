//! `sumgate audit --base` against an attacker who can only open pull requests.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use libtest_mimic::Trial;
use testkit::{Origin, World};

use crate::audit::{audit, findings, home, honest, line_of};
use crate::fixture::{Go, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("attack: no bracket or quote hides a toolchain line from the audit", hidden_toolchains),
        trial("attack: X.work.sum beside X.work.mod, and lines older than their X.mod, are audited", late_mods),
        trial("attack: file names that are not UTF-8 are kept distinct", names_of_bytes),
        trial("attack: a file of invalid lines has a bounded number of findings", many_lines),
        trial("attack: a file of hash lines has a bounded number of findings and lookups", many_hashes),
        trial("attack: a vendor folder behind a link is reported", linked_vendor),
        trial("attack: .sum files of other programs are not read as go.sum", other_programs),
        trial("attack: escapes in a go.work are read as go reads them", escapes),
    ]
}

/// A line with the hash of another module.
fn wrong(origin: &Origin) -> String {
    let lines = honest(origin);
    format!("example.com/dep/v2 v2.0.1 {}\n", line_of(&lines, "example.com/hello v1.0.0 ").rsplit(' ').next().unwrap())
}

fn commit(home: &Go) {
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "x"]);
}

fn found(code: &str, file: &str, line: u64) -> (String, String, u64) {
    (code.to_owned(), file.to_owned(), line)
}

fn hidden_toolchains() {
    let origin = origin(World::demo());
    let line = "toolchain go1.98.7\n";
    for (file, before) in [
        ("go.mod", "module a.com/b\nignore \"(\"\n"),
        ("go.mod", "module a.com/b\nexclude (\n"),
        ("go.mod", "module a.com/b\nfoo (\n"),
        ("go.work", "go 1.20\nuse \"(\"\n"),
    ] {
        let home = home(&origin);
        home.write(file, &format!("{before}{line}"));
        let at = before.lines().count() as u64 + 1;
        let (code, all) = findings(&home, &[]);
        assert_eq!(code, Some(1));
        // The second line opens no block, a block that does not end, or uses a folder without a go.mod.
        let (other, toolchain) = (found("invalid-go-mod", file, 2), found("unknown-version", file, at));
        assert!(
            all.contains(&toolchain) && all.contains(&other) != before.starts_with("module a.com/b\nignore"),
            "{before}: {all:?}"
        );
    }
}

fn late_mods() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.git(&["init", "-q"]);
    home.write("go.sum", &honest(&origin).join("\n"));
    home.write("tools.work.sum", &wrong(&origin));
    home.write("tools.work.mod", "module a.com/b\n");
    assert_eq!(findings(&home, &[]), (Some(1), vec![found("hash-mismatch", "tools.work.sum", 1)]));
    std::fs::remove_file(home.home().join("tools.work.mod")).unwrap();
    home.write("alt.sum", &wrong(&origin));
    home.write("text.sum", &wrong(&origin));
    home.write("text.mod", "not yet\n");
    home.write("text.work.sum", &wrong(&origin));
    home.write("text.work", "not yet\n");
    commit(&home);
    assert_eq!(findings(&home, &["--base", "main"]), (Some(0), Vec::new()));
    for file in ["alt.mod", "text.mod", "tools.work.mod"] {
        home.write(file, "module a.com/b\n");
    }
    home.write("text.work", "go 1.20\n");
    let late = ["alt.sum", "text.sum", "text.work.sum", "tools.work.sum"].map(|file| found("hash-mismatch", file, 1));
    assert_eq!(findings(&home, &["--base", "main"]), (Some(1), late.to_vec()));
    commit(&home);
    assert_eq!(findings(&home, &["--base", "main"]).0, Some(0), "then they are old");
    home.write("go.sum", &wrong(&origin));
    home.write("alone.sum", &wrong(&origin));
    commit(&home);
    home.write("go.mod", "module a.com/b\n");
    for file in [".", "alone.sum"] {
        assert_eq!(findings(&home, &["--base", "main", file]).0, Some(0), "go reads {file} without a go.mod, too");
    }
}

fn names_of_bytes() {
    let origin = origin(World::demo());
    let home = home(&origin);
    let path = |name: &[u8]| home.home().join(OsStr::from_bytes(name));
    let lines = honest(&origin).join("\n");
    // The first is there by itself; the second is what the first looks like.
    for (stem, sum) in [(&b"\xff"[..], &wrong(&origin)), ("\u{fffd}".as_bytes(), &lines)] {
        std::fs::write(path(&[stem, b".mod"].concat()), "module a.com/b\n").unwrap();
        std::fs::write(path(&[stem, b".sum"].concat()), sum).unwrap();
        let (code, output) = audit(&home, &[]);
        assert_eq!((code, output.contains("hash-mismatch")), (Some(1), true), "{output}");
    }
}

fn many_lines() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.write("go.sum", &"x\n".repeat(200_000));
    let requires: String = (0..300).map(|nth| format!("require a.com/b v1.0.{nth}\n")).collect();
    home.write("go.mod", &format!("module a.com/c\n{requires}{}", "go x\n".repeat(1_000)));
    let (code, all) = findings(&home, &[]);
    assert_eq!((code, all.len()), (Some(1), 101 + 101 + 101));
    home.write("go.work", &(0..1_000).map(|nth| format!("go x{nth}\n")).collect::<String>());
    let all = findings(&home, &[]).1;
    assert_eq!(all.iter().filter(|(_, file, _)| file == "go.work").count(), 101, "each of them is another");
    let (_, output) = audit(&home, &[]);
    assert!(output.contains("199900 more such lines in this file are not listed"), "{}", &output[..1000]);
}

fn many_hashes() {
    let origin = origin(World::demo());
    let home = home(&origin);
    let wrong = wrong(&origin);
    // Different modules with an unknown algorithm: they are not looked up.
    let odd: String = (0..60_000).map(|nth| format!("a.com/b v1.0.{nth} x:{nth}\n")).collect();
    home.write("go.sum", &format!("{}{odd}", wrong.repeat(300)));
    let start = std::time::Instant::now();
    let (code, output) = audit(&home, &[]);
    assert!(start.elapsed() < std::time::Duration::from_secs(30), "{:?}", start.elapsed());
    let told = |words: &str| output.matches(words).count();
    assert_eq!((code, told("error[hash-mismatch]"), told("[unknown-algorithm]")), (Some(2), 101, 101));
    for words in [
        "200 more such lines in this file are not listed: expected at most 100, found 300",
        "49600 more such lines in this file are not listed",
        "go.sum: not checked: its last 10300 lines (expected at most 50000 new hash lines, found 60300",
    ] {
        assert_eq!(told(words), 1, "{words}: {}", &output[output.len() - 3000..]);
    }
}

fn linked_vendor() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.write("go.mod", "module a.com/b\n");
    home.write("go.sum", &honest(&origin).join("\n"));
    home.write("_v/modules.txt", "");
    symlink("_v", home.home().join("vendor")).unwrap();
    assert_eq!(findings(&home, &[]), (Some(0), vec![found("vendor-unproved", "vendor/modules.txt", 0)]));
}

fn other_programs() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.write("go.sum", &honest(&origin).join("\n"));
    for (file, sum) in [("checks/a.mod", "checks/a.sum"), ("notes.work", "notes.work.sum")] {
        home.write(file, "some notes\n");
        home.write(sum, "d41d8cd98f00b204e9800998ecf8427e  file\n");
    }
    assert_eq!(findings(&home, &[]), (Some(0), Vec::new()));
}

fn escapes() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.write("go.work", "go 1.20\nuse \"./test\\x64ata/b\"\n");
    home.write("testdata/b/go.mod", "module a.com/b\n");
    home.write("testdata/b/go.sum", &wrong(&origin));
    let expected = vec![found("hash-mismatch", "testdata/b/go.sum", 1)];
    assert_eq!(findings(&home, &["--deny", "error"]), (Some(1), expected));
}
