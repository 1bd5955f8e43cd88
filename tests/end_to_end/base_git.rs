//! `sumgate audit --base` and git: the tree, its `.git` and the environment must not decide the result.

use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use testkit::{Origin, World};

use crate::audit::{audit, findings, home};
use crate::fixture::{Go, origin, trial};

pub fn trials() -> Vec<Trial> {
    // Only root can change the owner of a file.
    let is_root = rustix::process::geteuid().is_root();
    vec![
        trial("base: a bare repository planted in the tree is never used", planted),
        trial("base: programs that a repository configures for fetching are not run", no_fetch),
        trial("base: a repository of another user is refused as git refuses it", owner).with_ignored_flag(!is_root),
        trial("base: git with endless error output does not block, and the output is made safe", flood),
        trial("base: git is killed after its time limit", never_ends),
        trial("base: git is run from an absolute folder of PATH outside the tree", which_git),
        trial("base: variables of git, replacements and grafts change nothing", other_objects),
        trial("base: one git process reads a thousand files", one_process),
        trial("base: links, folders and unusual names are read from the commit", odd_files),
    ]
}

/// A repository whose branch `main` has one wrong line, and whose work tree has another one.
pub fn repository(origin: &Origin) -> Go {
    let home = home(origin);
    home.git(&["init", "-q"]);
    home.write("go.sum", "old rubbish\n");
    home.git(&["add", "go.sum"]);
    home.git(&["commit", "-qm", "base"]);
    home.git(&["checkout", "-qb", "change"]);
    home.write("go.sum", "old rubbish\nnew rubbish\n");
    home.git(&["commit", "-qam", "change"]);
    home
}

/// The lines that are reported, in a repository as above: only the second is new.
#[track_caller]
pub fn only_new(home: &Go, words: &[&str]) {
    let (code, found) = findings(home, words);
    let lines: Vec<u64> = found.iter().map(|(.., line)| *line).collect();
    assert_eq!((code, lines), (Some(1), vec![2]), "{words:?}");
}

#[track_caller]
pub fn refused(home: &Go, words: &[&str], why: &[&str]) -> String {
    let (code, output) = audit(home, words);
    assert_eq!(code, Some(2), "{words:?}: {output}");
    for why in why {
        assert!(output.contains(why), "{words:?} does not say {why:?}: {output}");
    }
    output
}

/// What git prints.
pub fn git(home: &Go, words: &[&str]) -> String {
    let output = home.command(Path::new("git")).args(words).output().unwrap();
    assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// A program in a folder outside the tree, and a PATH that begins with it.
fn wrapped(home: Go, script: &str) -> Go {
    let folder = home.root().join("bin");
    program(&folder.join("git"), script);
    let path = std::env::var_os("PATH").unwrap();
    let real = std::env::split_paths(&path).map(|folder| folder.join("git")).find(|git| git.is_file()).unwrap();
    let path = format!("{}:{}", folder.display(), path.to_str().unwrap());
    home.set("PATH", &path).set("REAL_GIT", real.to_str().unwrap())
}

fn program(path: &Path, script: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A script that leaves a mark, and the mark.
fn marking(home: &Go) -> (PathBuf, PathBuf) {
    let (script, mark) = (home.root().join("evil"), home.root().join("mark"));
    program(&script, &format!("touch '{}'", mark.display()));
    (script, mark)
}

fn hash_object(home: &Go) -> PathBuf {
    let blob = git(home, &["rev-parse", "main:go.sum"]);
    home.home().join(".git/objects").join(&blob[..2]).join(&blob[2..])
}

/// A folder of a pull request that is itself a repository, in which the new line is old.
fn planted() {
    let origin = origin(World::demo());
    let (home, elsewhere) = (repository(&origin), home(&origin));
    home.write("backend/go.sum", "new rubbish\n");
    home.git(&["init", "-q", "--bare", "backend"]);
    let planted = ["--git-dir=backend", "--work-tree=backend"];
    home.git(&[&planted[..], &["add", "-f", "go.sum"]].concat());
    home.git(&[&planted[..], &["commit", "-qm", "planted"]].concat());
    home.git(&["--git-dir=backend", "config", "core.bare", "false"]);
    home.git(&["--git-dir=backend", "config", "core.worktree", "../backend"]);
    // git itself uses it.
    let backend = home.home().join("backend");
    assert_eq!(git(&home, &["-C", "backend", "log", "--format=%s", "main"]), "planted");
    let inside = |words: &[&str]| {
        let mut command = home.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
        let output = command.current_dir(&backend).args(["audit", "--base", "main"]).args(words).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    for words in [&[][..], &["."], &["go.sum"]] {
        let (code, output) = inside(words);
        assert!(code == Some(1) && output.contains("go.sum:1: error[malformed-line]"), "{words:?}: {code:?} {output}");
    }
    for home in [&home, &elsewhere] {
        let (code, found) = findings(home, &["--base", "main", backend.to_str().unwrap()]);
        assert_eq!((code, found.len()), (Some(1), 1), "{found:?}");
    }
}

/// An object that a promisor remote must provide, with a program that the repository configures: planted, and in a `.git` from a
/// cache.
fn no_fetch() {
    let origin = origin(World::demo());
    let home = repository(&origin);
    let (script, mark) = marking(&home);
    let object = hash_object(&home);
    fs::rename(&object, home.root().join("object")).unwrap();
    let script = script.to_str().unwrap();
    for (name, value) in [
        ("core.repositoryformatversion", "1"),
        ("extensions.partialclone", "origin"),
        ("remote.origin.url", "."),
        ("remote.origin.promisor", "true"),
        ("remote.origin.uploadpack", script),
        ("protocol.file.allow", "always"),
        ("protocol.ext.allow", "always"),
        ("core.fsmonitor", script),
        ("core.sshcommand", script),
        ("core.gitproxy", script),
        ("core.alternaterefscommand", script),
        ("core.pager", script),
        ("credential.helper", script),
        ("diff.external", script),
        ("diff.evil.textconv", script),
        ("filter.evil.smudge", script),
    ] {
        home.git(&["config", name, value]);
    }
    fs::write(home.home().join(".git/info/attributes"), "* diff=evil filter=evil\n").unwrap();
    for hook in ["reference-transaction", "post-checkout", "pre-auto-gc", "post-index-change"] {
        program(&home.home().join(".git/hooks").join(hook), &format!("exec {script}"));
    }
    let why = ["this is a partial clone", "fetch --refetch --no-filter origin"];
    refused(&home, &["--base", "main"], &why);
    // As with a git that does not know GIT_NO_LAZY_FETCH.
    let home = wrapped(home, "unset GIT_NO_LAZY_FETCH\nexec \"$REAL_GIT\" \"$@\"");
    for url in [".", "ext::sh -c 'touch ../mark'", "ssh://example.invalid/x", "git://example.invalid/x"] {
        home.git(&["config", "remote.origin.url", url]);
        refused(&home, &["--base", "main"], &why);
    }
    assert!(!mark.exists(), "a program of the repository was run");
    // Plain git runs it: the trial can fail.
    home.git(&["config", "remote.origin.url", "."]);
    let _ = home.command(Path::new("git")).args(["cat-file", "-p", "main:go.sum"]).output().unwrap();
    assert!(mark.exists());
    fs::remove_file(&mark).unwrap();
    fs::rename(home.root().join("object"), &object).unwrap();
    only_new(&home, &["--base", "main"]);
    assert!(!mark.exists());
}

/// Cases in which git decides the same by itself.
fn owner() {
    const OTHER: u32 = 12_345;
    let origin = origin(World::demo());
    let mut home = repository(&origin);
    home.git(&["branch", "theirs", "main"]);
    let folder = home.home();
    let safe = folder.to_str().unwrap().to_owned();
    let agrees = |home: &Go, is_used: bool, what: &str| {
        let output = home.command(Path::new("git")).args(["rev-parse", "HEAD"]).output().unwrap();
        assert_eq!(output.status.success(), is_used, "git itself, {what}");
        let (code, output) = audit(home, &["--base", "main"]);
        assert_eq!(code, Some(if is_used { 1 } else { 2 }), "{what}: {output}");
        if !is_used {
            let remedy = format!("git config --global --add safe.directory {safe}\n");
            assert!(output.contains(&remedy) && output.contains("belongs to another user"), "{what}: {output}");
        }
    };
    agrees(&home, true, "all is ours");
    for theirs in [folder.join(".git"), folder.clone()] {
        lchown(&theirs, Some(OTHER), None).unwrap();
        agrees(&home, false, theirs.to_str().unwrap());
        lchown(&theirs, Some(0), None).unwrap();
    }
    lchown(&folder, Some(OTHER), None).unwrap();
    // The repository's own setting is ignored.
    home.git(&["--git-dir=.git", "config", "safe.directory", "*"]);
    agrees(&home, false, "the repository says that it is safe");
    let config = home.root().join("home/.gitconfig");
    let write = |text: &str| fs::write(&config, text).unwrap();
    write(&format!("[safe]\n\tdirectory = /x\n\tdirectory = {safe}\n"));
    agrees(&home, true, "listed in ~/.gitconfig");
    write("[safe]\n\tdirectory = *\n\tdirectory =\n");
    agrees(&home, false, "taken back");
    write("");
    let root = home.root().canonicalize().unwrap();
    fs::write(root.join(".gitconfig"), "[safe]\n\tdirectory = ~/work\n").unwrap();
    home = home.set("HOME", root.to_str().unwrap());
    agrees(&home, true, "~ is the home");
    // Versions of git differ in this: 2.46 began with it.
    fs::write(root.join(".gitconfig"), format!("[safe]\n\tdirectory = {}/*\n", root.display())).unwrap();
    only_new(&home, &["--base", "main"]);
    fs::remove_file(root.join(".gitconfig")).unwrap();
    agrees(&home, false, "listed nowhere any more");
    home = home.set("SUDO_UID", "12345");
    agrees(&home, true, "root by sudo");
    home = home.set("SUDO_UID", "12346");
    agrees(&home, false, "root by sudo of somebody else");
    let file = home.root().join("settings");
    fs::write(&file, "[safe]\n\tdirectory = *\n").unwrap();
    home = home.set("GIT_CONFIG_GLOBAL", file.to_str().unwrap());
    agrees(&home, true, "GIT_CONFIG_GLOBAL");
    home = home.set("GIT_CONFIG_GLOBAL", "/dev/null").set("GIT_CONFIG_SYSTEM", file.to_str().unwrap());
    agrees(&home, true, "GIT_CONFIG_SYSTEM");
    home = home.set("GIT_CONFIG_NOSYSTEM", "1");
    agrees(&home, false, "GIT_CONFIG_NOSYSTEM");
    home = home.set("GIT_CONFIG_PARAMETERS", "'safe.directory'='*'");
    agrees(&home, true, "git -c");
    home = home.set("GIT_CONFIG_PARAMETERS", "");
    home = home.set("GIT_CONFIG_COUNT", "1").set("GIT_CONFIG_KEY_0", "safe.directory").set("GIT_CONFIG_VALUE_0", &safe);
    agrees(&home, true, "GIT_CONFIG_COUNT");
    // The last word of the user's own settings is not read for anything else.
    home = home.set("GIT_CONFIG_KEY_0", "core.worktree");
    agrees(&home, false, "GIT_CONFIG_COUNT without it");
}

fn flood() {
    let origin = origin(World::demo());
    let noise = r"head -c 200000 /dev/zero | tr '\0' '\033' >&2";
    let home = wrapped(repository(&origin), &format!("{noise}\nexec \"$REAL_GIT\" \"$@\""));
    only_new(&home, &["--base", "main"]);
    let home = wrapped(repository(&origin), &format!("{noise}\nexit 1"));
    let output = refused(&home, &["--base", "main"], &[]);
    assert!(!output.contains('\u{1b}') && output.len() < 1000, "{} bytes", output.len());
    // In the middle of the files, too.
    let script =
        format!("for word; do [ \"$word\" = cat-file ] && {{ {noise}; exit 1; }}; done; exec \"$REAL_GIT\" \"$@\"");
    let home = wrapped(repository(&origin), &script);
    let output = refused(&home, &["--base", "main"], &["cannot ask git about"]);
    assert!(!output.contains('\u{1b}') && output.len() < 1000, "{} bytes", output.len());
}

fn never_ends() {
    let origin = origin(World::demo());
    for script in [
        "echo $$ > ../pid; sleep 1000",
        // Answers everything but the files.
        "case \"$*\" in *--batch) echo $$ > ../pid; sleep 1000;; esac; exec \"$REAL_GIT\" \"$@\"",
        // Never answers.
        "case \"$*\" in *--batch) echo $$ > ../pid; exec cat /dev/zero;; esac; exec \"$REAL_GIT\" \"$@\"",
    ] {
        let home = repository(&origin);
        let pid = home.root().join("pid");
        let home = wrapped(home, &script.replace("../pid", pid.to_str().unwrap()));
        let start = Instant::now();
        refused(&home, &["--base", "main"], &["cannot ask git about"]);
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
        let id = fs::read_to_string(&pid).unwrap();
        assert!(!Path::new("/proc").join(id.trim()).exists(), "{script}: it is still there");
    }
}

fn which_git() {
    let origin = origin(World::demo());
    let home = repository(&origin);
    let mark = home.root().join("mark");
    for folder in ["", "bin"] {
        program(&home.home().join(folder).join("git"), &format!("touch '{}'", mark.display()));
    }
    let path = std::env::var("PATH").unwrap();
    let home = home.set("PATH", &format!(".:bin::{path}"));
    only_new(&home, &["--base", "main"]);
    assert!(!mark.exists(), "a program of the tree was run");
    let inside = format!("{}:{path}", home.home().join("bin").display());
    let home = home.set("PATH", &inside);
    refused(&home, &["--base", "main"], &["bin/git, which is in the tree under audit"]);
    assert!(!mark.exists(), "a program of the tree was run");
    let nothing = format!("{}:relative", home.root().join("home").display());
    refused(&home.set("PATH", &nothing), &["--base", "main"], &["cannot run git", "Install git"]);
}

fn other_objects() {
    let origin = origin(World::demo());
    let mut home = repository(&origin);
    // Objects elsewhere: git would read those, or fail.
    let theirs = repository(&origin);
    let objects = theirs.home().join(".git/objects").to_str().unwrap().to_owned();
    for name in ["GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_INDEX_FILE"] {
        home = home.set(name, &objects);
        only_new(&home, &["--base", "main"]);
    }
    let mut home = repository(&origin);
    for (name, value) in [
        ("GIT_CONFIG_COUNT", "broken"),
        ("GIT_CONFIG_PARAMETERS", "broken"),
        ("GIT_NAMESPACE", "x"),
        ("GIT_CEILING_DIRECTORIES", "/"),
        ("GIT_TRACE", "1"),
        ("GIT_TRACE_SETUP", "1"),
        ("GIT_EXEC_PATH", "/nonexistent"),
        ("GIT_LITERAL_PATHSPECS", "broken"),
    ] {
        home = home.set(name, value);
        only_new(&home, &["--base", "main"]);
    }
    // The commit of the base replaced by the one of the change; and a parent that it never had.
    let home = repository(&origin);
    home.git(&["replace", "main", "change"]);
    assert_eq!(git(&home, &["show", "main:go.sum"]), "old rubbish\nnew rubbish");
    only_new(&home, &["--base", "main"]);
    let home = repository(&origin);
    let [base, change] = ["main", "change"].map(|name| git(&home, &["rev-parse", name]));
    home.git(&["commit", "-q", "--allow-empty", "-m", "more"]);
    let more = git(&home, &["rev-parse", "HEAD"]);
    fs::create_dir_all(home.home().join(".git/info")).unwrap();
    fs::write(home.home().join(".git/info/grafts"), format!("{change} {more}\n{base}\n")).unwrap();
    only_new(&home, &["--base", "HEAD~2"]);
}

fn one_process() {
    const FILES: usize = 1000;
    let origin = origin(World::demo());
    let home = home(&origin);
    home.git(&["init", "-q"]);
    for number in 0..FILES {
        home.write(&format!("a{}/b/c{number}/go.sum", number % 7), "old rubbish\n");
    }
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "base"]);
    for number in 0..FILES {
        home.write(&format!("a{}/b/c{number}/go.sum", number % 7), "old rubbish\nnew rubbish\n");
    }
    let log = home.root().join("log");
    let home = wrapped(home, &format!("echo \"$*\" >> '{}'\nexec \"$REAL_GIT\" \"$@\"", log.display()));
    for words in [&["--base", "main"][..], &["--base", "main", "a1", "a2", "a3/b/c3/go.sum", "."]] {
        let start = Instant::now();
        let (code, found) = findings(&home, words);
        assert_eq!((code, found.len()), (Some(1), FILES), "{words:?}");
        assert!(found.iter().all(|(.., line)| *line == 2));
        let log_text = fs::read_to_string(&log).unwrap();
        assert_eq!(log_text.matches("cat-file --batch").count(), 1, "{log_text}");
        assert!(log_text.lines().count() <= 12, "{log_text}");
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        fs::remove_file(&log).unwrap();
    }
}

fn odd_files() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.git(&["init", "-q"]);
    let odd =
        ["a\nb", "a missing", "x\n0123456789012345678901234567890123456789 blob 3", "-x", ":(top)", "\u{1b}[31m", " "];
    for folder in odd {
        home.write(&format!("{folder}/go.sum"), "old rubbish\n");
    }
    symlink("elsewhere", home.home().join("link")).unwrap();
    home.write("was-a-folder/go.sum/file", "x\n");
    home.write("moved/go.sum", "old rubbish\n");
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "base"]);
    for folder in odd {
        home.write(&format!("{folder}/go.sum"), "old rubbish\nnew rubbish\n");
        only_new(&home, &["--base", "main", &format!("./{folder}")]);
    }
    // A file where a folder was, or a link, or nothing: all of it is new.
    fs::remove_dir_all(home.home().join("was-a-folder")).unwrap();
    fs::remove_file(home.home().join("link")).unwrap();
    for folder in ["was-a-folder", "link", "was-nothing/at/all"] {
        home.write(&format!("{folder}/go.sum"), "old rubbish\n");
        let (code, found) = findings(&home, &["--base", "main", folder]);
        assert_eq!((code, found.len()), (Some(1), 1), "{folder}");
    }
    // A missing blob is an error; the lines are not considered new.
    let blob = git(&home, &["rev-parse", "main:moved/go.sum"]);
    fs::remove_file(home.home().join(".git/objects").join(&blob[..2]).join(&blob[2..])).unwrap();
    refused(&home, &["--base", "main", "moved"], &["cannot ask git about", "moved/go.sum", &blob]);
}
