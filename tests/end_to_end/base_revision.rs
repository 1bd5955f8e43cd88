//! `sumgate audit --base`: which commit a revision is, and the errors for invalid revisions.

use std::fs;
use std::path::Path;

use libtest_mimic::Trial;
use serde_json::Value;
use testkit::World;

use crate::audit::{audit, home};
use crate::base_git::{git, only_new, refused, repository};
use crate::fixture::{Go, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("base: an ambiguous name is refused", ambiguous),
        trial("base: a full ref name is looked up only as such", full_names),
        trial("base: an object that does not match its hash is refused", forged_objects),
        trial("base: an invalid revision is refused, with what to do", no_commit),
        trial("base: a shallow clone is reported as such", shallow),
        trial("base: a partial clone is reported as such, with the fetch that completes it", partial),
        trial("base: every report has the commit, and says if it is HEAD", commit_is_told),
    ]
}

fn ambiguous() {
    let origin = origin(World::demo());
    let home = repository(&origin);
    home.git(&["update-ref", "refs/remotes/origin/main", "main"]);
    only_new(&home, &["--base", "origin/main"]);
    // A tag that hides the branch: with it the new line would be an old one.
    home.git(&["tag", "origin/main", "change"]);
    let both = ["ambiguous", "refs/tags/origin/main and refs/remotes/origin/main", "--base refs/remotes/origin/main"];
    for name in ["origin/main", "origin/main~0", "origin/main^{commit}", "origin/main^0", "origin/main@{0}~0"] {
        refused(&home, &["--base", name], &both);
    }
    home.git(&["tag", "main", "change"]);
    refused(&home, &["--base", "main"], &["refs/tags/main and refs/heads/main"]);
    home.git(&["update-ref", "refs/main", "change"]);
    refused(&home, &["--base", "main"], &["refs/main and refs/tags/main and refs/heads/main"]);
    for name in ["main@{0}", "main@{0}~0", "main@{0}^{commit}", "main@{2001-01-01 00:00:00}~0", "main~0@{0}"] {
        refused(&home, &["--base", name], &["refs/main and refs/tags/main and refs/heads/main"]);
    }
    let commit = git(&home, &["rev-parse", "refs/heads/main"]);
    for name in ["refs/heads/main", "heads/main", "refs/remotes/origin/main", "HEAD~1", "@~", "HEAD^", &commit] {
        only_new(&home, &["--base", name]);
    }
    only_new(&home, &["--base", &commit[..12]]);
    home.git(&["tag", "-a", "-m", "x", "v1", &commit]);
    only_new(&home, &["--base", "v1"]);
    let tag = git(&home, &["rev-parse", "v1"]);
    refused(&home, &["--base", &tag], &["expected a commit, found a tag of", &commit]);
    // A time has colons; the path after it is still a file.
    only_new(&home, &["--base", "refs/heads/main@{2001-01-01 00:00:00}"]);
    refused(&home, &["--base", "refs/heads/main@{2001-01-01 00:00:00}:go.sum"], &["expected a commit, found a file"]);
    refused(&home, &["--base", "change^{/base: x}"], &["a text to search for"]);
    // A tag with the name of a hash.
    home.git(&["tag", &commit[..12], "change"]);
    refused(&home, &["--base", &commit[..12]], &["ambiguous", &commit, "refs/tags/"]);
    home.git(&["tag", &commit, "change"]);
    only_new(&home, &["--base", &commit]);
    // FETCH_HEAD.
    home.git(&["fetch", "-q", ".", "refs/heads/main"]);
    only_new(&home, &["--base", "FETCH_HEAD"]);
    home.git(&["tag", "FETCH_HEAD", "change"]);
    refused(&home, &["--base", "FETCH_HEAD"], &["FETCH_HEAD and refs/tags/FETCH_HEAD"]);
}

fn full_names() {
    let origin = origin(World::demo());
    let home = repository(&origin);
    // git would use the tag `refs/remotes/origin/main` instead of the branch that was not fetched.
    home.git(&["update-ref", "refs/tags/refs/remotes/origin/main", "change"]);
    assert_eq!(git(&home, &["rev-parse", "refs/remotes/origin/main"]), git(&home, &["rev-parse", "change"]));
    refused(&home, &["--base", "refs/remotes/origin/main"], &["git knows no revision", "git fetch"]);
    home.git(&["tag", "HEAD", "change"]);
    only_new(&home, &["--base", "HEAD~1"]);
}

/// A restored `.git` has the objects of the change under the hashes of the base.
fn forged_objects() {
    let origin = origin(World::demo());
    for what in ["^{commit}", "^{tree}", ":go.sum"] {
        let home = repository(&origin);
        let commit = git(&home, &["rev-parse", "main"]);
        only_new(&home, &["--base", &commit]);
        let [base, change] = ["main", "change"].map(|name| {
            let hash = git(&home, &["rev-parse", &format!("{name}{what}")]);
            home.home().join(".git/objects").join(&hash[..2]).join(&hash[2..])
        });
        std::fs::remove_file(&base).unwrap();
        std::fs::copy(change, base).unwrap();
        refused(&home, &["--base", &commit], &[]);
    }
    // In a repository with the longer hashes, too.
    let home = home(&origin);
    home.git(&["init", "-q", "--object-format=sha256"]);
    home.write("go.sum", "old rubbish\n");
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "base"]);
    home.write("go.sum", "old rubbish\nnew rubbish\n");
    only_new(&home, &["--base", "main"]);
}

fn no_commit() {
    let origin = origin(World::demo());
    let home = repository(&origin);
    let (zeros, sevens) = ("0".repeat(40), "7".repeat(40));
    let blob = git(&home, &["rev-parse", "main:go.sum"]);
    let tree = git(&home, &["rev-parse", "main^{tree}"]);
    home.git(&["tag", "a-tree", &tree]);
    home.git(&["tag", "-a", "-m", "x", "a-blob", &blob]);
    for (revision, why) in [
        ("", "the variable that it comes from is empty"),
        (&zeros, "the branch is new"),
        ("main...change", "git merge-base"),
        ("main..change", "git merge-base"),
        ("main:go.sum", "Name only the commit"),
        (":/base", "Name only the commit"),
        ("^main", "without the ^"),
        ("a-tree", "found a tree"),
        (&tree, "found a tree"),
        ("a-blob", "found a blob"),
        (&blob, "found a blob"),
        ("no-such-revision", "This clone is not shallow"),
        (&sevens, "This clone is not shallow"),
        ("main~7", "This clone is not shallow"),
        ("main^@", "This clone is not shallow"),
        ("--help", "git knows no revision"),
        ("--git-dir", "git knows no revision"),
    ] {
        let output = refused(&home, &[&format!("--base={revision}")], &[why]);
        assert!(!output.contains("fetch-depth"), "{revision}: {output}");
    }
    // Nothing was committed yet.
    let empty = self::home(&origin);
    empty.git(&["init", "-q"]);
    empty.write("go.sum", "");
    refused(&empty, &["--base", "main"], &["git knows no revision \"main\""]);
    // A `.git` that is not a repository.
    fs::remove_dir_all(empty.home().join(".git")).unwrap();
    fs::create_dir(empty.home().join(".git")).unwrap();
    refused(&empty, &["--base", "main"], &["is not in a usable git repository"]);
}

/// A clone of a repository, in the folder `clone` of a new home.
fn cloned(from: &Go, options: &[&str]) -> (Go, String) {
    let to = Go::new(Path::new("/nonexistent"), "off", "sum.golang.org");
    let url = format!("file://{}", from.home().display());
    to.git(&[&["clone", "-q"], options, &[&url, "clone"]].concat());
    let folder = to.home().join("clone").to_str().unwrap().to_owned();
    (to, folder)
}

fn shallow() {
    let origin = origin(World::demo());
    let home = repository(&origin);
    let commit = git(&home, &["rev-parse", "main"]);
    let (clone, folder) = cloned(&home, &["--depth=1"]);
    for revision in ["main", &commit, "HEAD~1"] {
        refused(&clone, &["--base", revision, &folder], &["This is a shallow clone", "fetch-depth: 0"]);
    }
    clone.git(&["-C", "clone", "fetch", "-q", "--unshallow"]);
    only_new(&clone, &["--base", &commit, &folder]);
}

fn partial() {
    let origin = origin(World::demo());
    let home = repository(&origin);
    home.git(&["config", "uploadpack.allowFilter", "true"]);
    home.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
    let commit = git(&home, &["rev-parse", "main"]);
    for filter in ["blob:none", "tree:0"] {
        let (clone, folder) = cloned(&home, &[&format!("--filter={filter}")]);
        let words = ["--base", &commit, &folder];
        let output =
            refused(&clone, &words, &["this is a partial clone", &format!("filter: {filter}"), "go.sum at the base"]);
        assert!(!output.contains("shallow"), "{output}");
        // The command of the message, as printed.
        let command =
            output.lines().find_map(|line| line.trim_start_matches("sumgate:").trim().strip_prefix("git -C ")).unwrap();
        let command: Vec<&str> = command.split(' ').collect();
        clone.git(&[&["-C"], &command[..]].concat());
        only_new(&clone, &words);
    }
}

fn commit_is_told() {
    let origin = origin(World::demo());
    let home = repository(&origin);
    let [base, change] = ["main", "change"].map(|name| git(&home, &["rev-parse", name]));
    let (_, output) = audit(&home, &["--base", "main"]);
    assert!(output.lines().last().unwrap().contains(&format!("new since {base}")), "{output}");
    assert!(!output.contains("is the checked-out commit"), "{output}");
    let (_, output) = audit(&home, &["--base", "main", "--format", "github"]);
    assert!(output.contains(&base), "{output}");
    for format in ["sarif", "junit"] {
        let (_, output) = audit(&home, &["--base", "main", "--format", format]);
        assert!(output.contains(&base), "{format}: {output}");
    }
    let (_, output) = audit(&home, &["--base", "main", "--format", "json"]);
    let document: Value = serde_json::from_str(&output).unwrap();
    let folder = home.home().canonicalize().unwrap();
    assert_eq!(document["base"], serde_json::json!([{"work_tree": folder.to_str().unwrap(), "commit": base}]));
    let (_, output) = audit(&home, &["--format", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&output).unwrap()["base"], serde_json::json!([]));
    let (code, output) = audit(&home, &["--base", "change"]);
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("\"change\" is the checked-out commit") && output.contains(&change), "{output}");
}
