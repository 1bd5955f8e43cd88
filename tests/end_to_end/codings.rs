//! Upstreams that send a body with a Content-Encoding, although none was requested.

use std::path::Path;

use libtest_mimic::Trial;
use testkit::{Fault, World};

use crate::fixture::{Go, Mirror, get, go_trial, origin, trial};

const PATHS: [&str; 5] = [
    "/example.com/hello/@v/list",
    "/example.com/hello/@latest",
    "/example.com/hello/@v/v1.0.0.info",
    "/example.com/hello/@v/v1.0.0.mod",
    "/example.com/hello/@v/v1.0.0.zip",
];

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("codings: gzip that was not requested is decoded: lists, files, records, tiles", gzip),
        trial("codings: another coding is an error of the upstream, and never wrong bytes", others),
    ]
}

fn gzip(go: &Path) {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    origin.misbehave("*", Fault::Coding("gzip"));
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    for url in [origin.url(), mirror.url.clone()] {
        let home = Go::new(go, &url, &format!("{} {url}", origin.key()));
        home.must(&["mod", "download", "example.com/hello@latest", "example.com/dep/v2@v2.0.1"]);
    }
    for path in PATHS {
        let answer = get(&mirror.url, path);
        origin.behave();
        let honest = get(&origin.url(), path);
        origin.misbehave("*", Fault::Coding("gzip"));
        assert_eq!((answer.status, answer.header("content-encoding")), (200, None), "{path}");
        assert!(path.ends_with("latest") || answer.body == honest.body, "{path}");
    }
    assert!(mirror.quarantine().is_empty());
}

fn others() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    for coding in ["br", "deflate", "gzip, br", "aes128gcm"] {
        origin.misbehave("/example.com/*", Fault::Coding(coding));
        let mirror = Mirror::start(&origin, &folder.path().join(coding));
        for path in PATHS {
            let answer = get(&mirror.url, path);
            assert_eq!(answer.status, 502, "{coding} {path}: {}", answer.text());
            assert!(answer.text().contains("expected a body without Content-Encoding"), "{}", answer.text());
        }
        assert!(mirror.quarantine().is_empty());
        // The upstream is not distrusted: the next honest answer is taken.
        origin.behave();
        assert_eq!(get(&mirror.url, PATHS[4]).status, 200);
    }
}
