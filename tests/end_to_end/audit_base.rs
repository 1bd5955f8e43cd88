//! `sumgate audit --base`: a pull request in a scratch repository.

use libtest_mimic::Trial;
use sumgate::demo::World;

use crate::audit::{audit, findings, home, honest, line_of};
use crate::fixture::{origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![trial("audit: only the lines added since a revision", since_a_revision)]
}

/// What a pull request looks like: the base has a line that is wrong already, and the branch adds two.
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
        [("hash-mismatch", "mod/go.sum", 3), ("missing-line", "mod/go.mod", 5), ("malformed-line", "other/go.sum", 1)];
    let expected = expected.map(|(code, file, line)| (code.to_owned(), file.to_owned(), line));
    origin.take_requests();
    assert_eq!(findings(&home, &["--base", "main"]), (Some(1), expected.to_vec()));
    let asked = origin.take_requests();
    assert!(!asked.iter().any(|path| path.contains("legacy")), "old lines are not audited: {asked:?}");
    let (_, all) = findings(&home, &[]);
    assert_eq!(all.len(), 5, "{all:?}");
    // Nothing new: nothing to say, and nobody asked.
    std::fs::remove_dir_all(home.home().join("other")).unwrap();
    home.git(&["checkout", "-q", "main"]);
    assert_eq!(findings(&home, &["--base", "main"]), (Some(0), Vec::new()));
    for wrong in ["no-such-revision", "--help"] {
        let (code, output) = audit(&home, &[&format!("--base={wrong}")]);
        assert_eq!((code, output.contains("git knows no revision")), (Some(2), true), "{output}");
    }
}
