//! What a page of another origin may read: public files and the log, and nothing of private modules.

use libtest_mimic::Trial;
use testkit::World;

use crate::fixture::{Answer, Mirror, get, origin, request, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("cors: public files, lookups, tiles and heads are readable from another origin", public),
        trial("cors: private modules, lists and the mirror itself are not", not_public),
        trial("cors: a browser may ask for a part of a public file, and for nothing else", preflight),
    ]
}

fn mirror() -> (testkit::Origin, tempfile::TempDir, Mirror) {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let (url, sumdb) = (origin.url(), origin.gosumdb());
    let flags = ["--upstream", &url, "--sumdb", &sumdb, "--nosumdb", "example.com/dep"];
    let mirror = Mirror::start_with(&folder.path().join("data"), &flags);
    (origin, folder, mirror)
}

fn is_readable(answer: &Answer) -> bool {
    answer.header("access-control-allow-origin") == Some("*")
}

const ZIP: &str = "/example.com/hello/@v/v1.0.0.zip";

fn public() {
    let (_origin, _folder, mirror) = mirror();
    for path in [
        ZIP,
        "/example.com/hello/@v/v1.0.0.mod",
        "/example.com/hello/@v/v1.0.0.info",
        "/lookup/example.com/hello@v1.0.0",
        "/latest",
        "/sumdb/localhost.localdev/sumdb/tile/8/0/000",
        "/sumdb/localhost.localdev/sumdb/supported",
    ] {
        // The second answer is from the cache.
        for _ in 0..2 {
            let answer = get(&mirror.url, path);
            assert_eq!((answer.status, is_readable(&answer)), (200, true), "{path}: {}", answer.head);
            let exposed = answer.header("access-control-expose-headers").unwrap();
            assert_eq!(exposed, "Accept-Ranges, Content-Range", "{path}");
        }
    }
    let part = request(&mirror.url, "GET", ZIP, "range: bytes=0-3\r\n");
    assert_eq!((part.status, is_readable(&part)), (206, true));
    // An error can quote an upstream, or a policy.
    for path in
        ["/lookup/example.com/hello@v1.9.9", "/example.com/hello/@v/v1.9.9.zip", "/example.com/none/@v/v1.0.0.mod"]
    {
        let error = get(&mirror.url, path);
        assert!(error.status >= 400 && !is_readable(&error), "{path}: {}", error.head);
    }
}

fn not_public() {
    let (_origin, _folder, mirror) = mirror();
    for path in [
        "/example.com/dep/v2/@v/v2.0.1.zip",
        "/example.com/dep/v2/@v/v2.0.1.mod",
        "/example.com/dep/v2/@v/v2.0.1.info",
        "/example.com/dep/v2/@v/v2.0.2.zip",
        "/lookup/example.com/dep/v2@v2.0.1",
        "/example.com/hello/@v/list",
        "/example.com/hello/@latest",
        "/",
        "/healthz",
        "/-/api/v1/overview",
        "/-/module?q=example.com/hello@v1.0.0",
        "/none",
    ] {
        for _ in 0..2 {
            let answer = request(&mirror.url, "GET", path, "origin: http://elsewhere.example\r\naccept: text/html\r\n");
            assert!(!is_readable(&answer), "{path}: {}", answer.head);
        }
    }
}

fn preflight() {
    let (_origin, _folder, mirror) = mirror();
    let ask = "origin: http://elsewhere.example\r\naccess-control-request-method: GET\r\n\
               access-control-request-headers: range\r\n";
    let answer = request(&mirror.url, "OPTIONS", ZIP, ask);
    assert_eq!((answer.status, is_readable(&answer)), (204, true), "{}", answer.head);
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET, HEAD"));
    let allowed = answer.header("access-control-allow-headers").unwrap();
    assert!(allowed.contains("Range") && !allowed.contains("Disable"), "{allowed}");
    for path in ["/example.com/dep/v2/@v/v2.0.1.zip", "/", "/example.com/hello/@v/list", "/-/api/v1/audit"] {
        let answer = request(&mirror.url, "OPTIONS", path, ask);
        assert_eq!((answer.status, is_readable(&answer)), (405, false), "{path}: {}", answer.head);
    }
    assert_eq!(request(&mirror.url, "OPTIONS", ZIP, "").status, 405, "not the question of a browser");
}
