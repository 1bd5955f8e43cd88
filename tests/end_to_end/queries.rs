//! Version queries: branches and tags with any character that `go` sends.

use std::path::Path;

use libtest_mimic::Trial;
use testkit::{Fault, World};

use crate::fixture::{Go, Mirror, get, go_trial, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("queries: go gets through the mirror what it gets without it", like_the_upstream),
        trial("queries: a folder does not have what no file name can hold", longer_than_a_file_name),
        trial("queries: a refusal names the query and its flaw", refused),
    ]
}

/// A query, and its form in a URL.
const QUERIES: [(&str, &str); 10] = [
    ("fix#12", "fix%2312"),
    ("a,b", "a%2Cb"),
    ("f(x)", "f%28x%29"),
    ("k=v", "k=v"),
    ("100%", "100%25"),
    ("100%25", "100%2525"),
    ("two words", "two%20words"),
    ("[x]{y}^z~&$", "%5Bx%5D%7By%7D%5Ez~&$"),
    ("Release+1", "!release+1"),
    (".hidden", ".hidden"),
];

fn like_the_upstream(go: &Path) {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let long = "branch-".repeat(30);
    let all: Vec<(&str, &str)> = QUERIES.into_iter().chain([(long.as_str(), long.as_str())]).collect();
    for (_, in_url) in &all {
        let info = Fault::Body("{\"Version\":\"v1.0.0\"}".into());
        origin.misbehave(&format!("/example.com/hello/@v/{in_url}.info"), info.clone());
        // `go` encodes the `!` of escaped upper case too.
        origin.misbehave(&format!("/example.com/hello/@v/{}.info", in_url.replace('!', "%21")), info);
    }
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    for (query, _) in all {
        let module = format!("example.com/hello@{query}");
        for url in [&origin.url(), &mirror.url] {
            let home = Go::new(go, url, "off");
            assert_eq!(home.must(&["list", "-m", &module]), "example.com/hello v1.0.0\n", "{module} from {url}");
        }
    }
    // `go` does not send letters outside ASCII; other clients may.
    origin.take_requests();
    assert_eq!(get(&mirror.url, "/example.com/hello/@v/gr%C3%B6%C3%9Fe.info").status, 404);
    assert_eq!(origin.asked("/example.com/hello/@v/gr%C3%B6%C3%9Fe.info"), 1);
}

fn longer_than_a_file_name() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let tree = folder.path().join("tree/example.com/hello/@v");
    std::fs::create_dir_all(&tree).unwrap();
    std::fs::write(tree.join("a b#c.info"), "{\"Version\":\"v1.0.0\"}").unwrap();
    let url = format!("file://{}", folder.path().join("tree").display());
    let mirror = Mirror::start_with(&folder.path().join("data"), &["--upstream", &url, "--sumdb", &origin.gosumdb()]);
    assert_eq!(get(&mirror.url, "/example.com/hello/@v/a%20b%23c.info").status, 200);
    let answer = get(&mirror.url, &format!("/example.com/hello/@v/{}.info", "a".repeat(300)));
    assert_eq!(answer.status, 404, "{}", answer.text());
}

fn refused() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    for wrong in ["a%2Ab", "a%3Fb", "a.", "Main", &"a".repeat(1100)] {
        let answer = get(&mirror.url, &format!("/example.com/hello/@v/{wrong}.info"));
        assert_eq!(answer.status, 400, "{wrong}");
        assert!(answer.text().contains("is not a version query: "), "{}", answer.text());
    }
    assert!(origin.take_requests().iter().all(|asked| !asked.contains("/@v/")));
}
