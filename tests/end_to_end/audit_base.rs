//! `sumgate audit --base`: a pull request in a scratch repository.

use libtest_mimic::Trial;
use testkit::World;

use crate::audit::{audit, findings, home, honest, line_of};
use crate::base_git::{only_new, repository};
use crate::fixture::{origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("audit: only the lines added since a revision", since_a_revision),
        trial("audit: a submodule is not part of the base, whatever its branches are called", submodule),
        trial("audit: the base is found through links and from anywhere", from_anywhere),
        trial("base: a worktree has the base of its repository", worktrees),
        trial("audit: modules of a workspace need no line", workspace),
    ]
}

/// A pull request: the base has one wrong line, and the branch adds two.
fn since_a_revision() {
    let origin = origin(World::demo());
    let home = home(&origin);
    let lines = honest(&origin);
    let (old, good) = (line_of(&lines, "example.com/hello v1.0.0 "), line_of(&lines, "example.com/hello v1.1.0 "));
    let planted = format!("example.com/dep/v2 v2.0.1 {}", old.rsplit(' ').next().unwrap());
    home.git(&["init", "-q"]);
    home.write("mod/go.sum", &format!("example.com/legacy v2.0.0+incompatible {}\n", old.rsplit(' ').next().unwrap()));
    home.write("mod/go.mod", "module a.com/b\n\nrequire example.com/old v1.0.0\n");
    home.git(&["add", "mod"]);
    home.git(&["commit", "-qm", "base"]);
    home.git(&["checkout", "-qb", "pull-request"]);
    let sum = home.home().join("mod/go.sum");
    let base = std::fs::read_to_string(&sum).unwrap();
    home.write("mod/go.sum", &format!("{good}\n{base}{planted}\n"));
    home.write("mod/go.mod", "module a.com/b\n\nrequire (\n\texample.com/old v1.0.0\n\texample.com/new v1.0.0\n)\n");
    home.git(&["commit", "-qam", "change"]);
    home.write("other/go.sum", "rubbish\n");

    let expected =
        [("hash-mismatch", "mod/go.sum", 3), ("malformed-line", "other/go.sum", 1), ("missing-line", "mod/go.mod", 5)];
    let expected = expected.map(|(code, file, line)| (code.to_owned(), file.to_owned(), line));
    origin.take_requests();
    assert_eq!(findings(&home, &["--base", "main"]), (Some(1), expected.to_vec()));
    let asked = origin.take_requests();
    assert!(!asked.iter().any(|path| path.contains("legacy")), "old lines are not audited: {asked:?}");
    let (_, all) = findings(&home, &[]);
    assert_eq!(all.len(), 5, "{all:?}");
    // Nothing new: no findings and no requests.
    std::fs::remove_dir_all(home.home().join("other")).unwrap();
    home.git(&["checkout", "-q", "main"]);
    assert_eq!(findings(&home, &["--base", "main"]), (Some(0), Vec::new()));
    for wrong in ["no-such-revision", "--help"] {
        let (code, output) = audit(&home, &[&format!("--base={wrong}")]);
        assert_eq!((code, output.contains("git knows no revision")), (Some(2), true), "{output}");
    }
    std::fs::remove_dir_all(home.home().join(".git")).unwrap();
    let (code, output) = audit(&home, &["--base", "main"]);
    assert_eq!((code, output.contains("is not in a usable git repository")), (Some(2), true), "{output}");
}

/// A pull request that moves a submodule to what is on the `main` branch of *its* repository.
fn submodule() {
    let origin = origin(World::demo());
    let (home, theirs) = (home(&origin), home(&origin));
    let lines = honest(&origin);
    let good = line_of(&lines, "example.com/hello v1.1.0 ");
    let planted = format!("example.com/dep/v2 v2.0.1 {}", good.rsplit(' ').next().unwrap());
    theirs.git(&["init", "-q"]);
    theirs.write("go.sum", good);
    theirs.git(&["add", "go.sum"]);
    theirs.git(&["commit", "-qm", "honest"]);
    home.git(&["init", "-q"]);
    home.write("go.sum", good);
    home.git(&["add", "go.sum"]);
    let url = theirs.home().to_str().unwrap().to_owned();
    home.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &url, "sub"]);
    home.git(&["commit", "-qm", "base"]);
    home.git(&["checkout", "-qb", "pull-request"]);
    home.write("sub/go.sum", &format!("{good}\n{planted}\n"));
    home.git(&["-C", "sub", "commit", "-qam", "planted"]);
    home.git(&["commit", "-qam", "change"]);
    let found = vec![("hash-mismatch".to_owned(), "sub/go.sum".to_owned(), 2)];
    for words in [&["--base", "main"][..], &["--base", "main", "sub"], &["--base", "main", "sub/go.sum"]] {
        assert_eq!(findings(&home, words), (Some(1), found.clone()), "{words:?}");
    }
}

fn from_anywhere() {
    let (origin, outside) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let home = home(&origin);
    home.git(&["init", "-q"]);
    home.write("a [b]/:c/go.sum", "old rubbish\n");
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "base"]);
    home.write("a [b]/:c/go.sum", "old rubbish\nnew rubbish\n");
    let link = outside.path().join("link");
    std::os::unix::fs::symlink(home.home().join("a [b]"), &link).unwrap();
    let elsewhere = self::home(&origin);
    for folder in [link, home.home().join("a [b]/:c"), home.home().join("a [b]/:c/go.sum")] {
        for home in [&home, &elsewhere] {
            let (code, found) = findings(home, &["--base", "main", folder.to_str().unwrap()]);
            let lines: Vec<u64> = found.iter().map(|(.., line)| *line).collect();
            assert_eq!((code, lines), (Some(1), vec![2]), "{}", folder.display());
        }
    }
    // Inside a hook of another repository: git would look there.
    elsewhere.git(&["init", "-q"]);
    elsewhere.write("a [b]/:c/go.sum", "new rubbish\n");
    elsewhere.git(&["add", "."]);
    elsewhere.git(&["commit", "-qm", "theirs"]);
    let theirs = elsewhere.home().join(".git").to_str().unwrap().to_owned();
    let hooked = elsewhere.set("GIT_DIR", &theirs).set("GIT_WORK_TREE", home.home().to_str().unwrap());
    let (code, found) = findings(&hooked, &["--base", "main", home.home().join("a [b]").to_str().unwrap()]);
    assert_eq!((code, found.len(), found[0].2), (Some(1), 1, 2), "{found:?}");
    // At the base the file was a link, so it had no hash lines.
    let sum = home.home().join("a [b]/:c/go.sum");
    std::fs::rename(&sum, home.home().join("moved")).unwrap();
    std::os::unix::fs::symlink("../../moved", &sum).unwrap();
    let (code, found) = findings(&home, &["--base", "main", "a [b]"]);
    assert_eq!((code, found.len()), (Some(1), 1), "the lines count, not where they lie");
}

fn workspace() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.write("app/go.sum", "");
    home.write("app/go.mod", "module a.com/app\n\nrequire (\n\ta.com/lib v0.0.0\n\ta.com/other v1.0.0\n)\n");
    home.write("lib/go.mod", "module a.com/lib\n");
    let alone = |line| ("missing-outside-workspace".to_owned(), "app/go.mod".to_owned(), line);
    home.write("other/go.mod", "module a.com/other\n");
    let missing = |line| ("missing-line".to_owned(), "app/go.mod".to_owned(), line);
    assert_eq!(findings(&home, &["app"]), (Some(1), vec![missing(4), missing(5)]));
    home.write("go.work", "go 1.26\n\nuse (\n\t./app\n\t./lib\n\t./gone\n)\n");
    assert_eq!(findings(&home, &["app"]), (Some(1), vec![missing(5), alone(4)]));
    home.write("go.work.sum", "a.com/other v1.0.0/go.mod h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=\n");
    assert_eq!(findings(&home, &["app"]), (Some(0), vec![alone(4)]));
    // A line that go.work.sum loses is missing since then; one that was missing before is not.
    home.git(&["init", "-q"]);
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "base"]);
    std::fs::remove_file(home.home().join("go.work.sum")).unwrap();
    assert_eq!(findings(&home, &["--base", "main", "app"]), (Some(1), vec![missing(5)]));
    home.git(&["commit", "-qam", "lost"]);
    assert_eq!(findings(&home, &["--base", "main", "app"]), (Some(0), Vec::new()));
    assert_eq!(origin.take_requests(), Vec::<String>::new());
}

fn worktrees() {
    let origin = origin(World::demo());
    let home = repository(&origin);
    home.git(&["worktree", "add", "-q", "--detach", "../beside"]);
    let beside = home.root().join("beside");
    only_new(&home, &["--base", "main", beside.to_str().unwrap()]);
    home.git(&["-C", "../beside", "config", "extensions.worktreeConfig", "true"]);
    only_new(&home, &["--base", "main", beside.to_str().unwrap()]);
    // A `.git` elsewhere, and borrowed objects.
    home.git(&["init", "-q", "--separate-git-dir=../separate"]);
    only_new(&home, &["--base", "main"]);
    home.git(&["clone", "-q", "--shared", "--branch=change", ".", "../shared"]);
    let shared = home.root().join("shared");
    only_new(&home, &["--base", "origin/main", shared.to_str().unwrap()]);
}
