//! The id of a request: on every answer, in the text of every error, and in the log.

use std::collections::HashSet;
use std::path::Path;

use libtest_mimic::Trial;
use testkit::{Fault, World};

use crate::fixture::{Answer, Go, Mirror, go_trial, origin, request, trial};

const ZIP: &str = "/example.com/hello/@v/v1.0.0.zip";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("request ids: every answer has its own, also one from memory, and an error names it", every_answer),
        trial("request ids: the log of a refusal has the id and the client", log),
        trial("request ids: only a trusted proxy may choose one", proxy),
        go_trial("request ids: `go` shows the one of a refusal", shown),
    ]
}

fn id(answer: &Answer) -> String {
    answer.header("x-request-id").unwrap_or_else(|| panic!("no id: {}", answer.head)).to_owned()
}

fn every_answer() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    let go_mod = "/example.com/hello/@v/v1.0.0.mod";
    let kept = [go_mod, go_mod, go_mod, "/tile/8/0/000", "/tile/8/0/000", ZIP, ZIP, "/", "/healthz"];
    let mut ids = HashSet::new();
    for path in kept {
        let answer = request(&mirror.url, "GET", path, "");
        assert!(ids.insert(id(&answer)), "{path} has an id for the second time: {}", answer.head);
        assert!(!answer.text().contains(&id(&answer)), "{path}");
    }
    for (method, path, headers, status) in [
        ("GET", "/example.com/none/@v/v1.0.0.zip", "", 404),
        ("GET", "/sumgate.invalid/x/@v/list", "", 403),
        ("GET", ZIP, "Range: bytes=99999999-\r\n", 416),
        ("GET", "/..", "", 400),
        ("POST", ZIP, "", 405),
        ("GET", "/", "Host: other.example\r\n", 421),
        ("GET", ZIP, "X-Request-Id: chosen\r\n", 200),
    ] {
        let answer = request(&mirror.url, method, path, headers);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(ids.insert(id(&answer)), "{path}: {}", answer.head);
        assert!(id(&answer).len() == 16 && id(&answer).bytes().all(|byte| byte.is_ascii_hexdigit()), "{}", answer.head);
        if status != 200 {
            assert_eq!(answer.text().lines().last(), Some(format!("request {}", id(&answer)).as_str()), "{path}");
        }
    }
    let head = request(&mirror.url, "HEAD", "/sumgate.invalid/x/@v/list", "");
    assert_eq!((head.status, head.text().as_str(), id(&head).len()), (403, "", 16));
}

fn log() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    origin.misbehave(ZIP, Fault::Body("not a zip".into()));
    let refused = request(&mirror.url, "GET", ZIP, "");
    assert_eq!(refused.status, 403, "{}", refused.text());
    let list = request(&mirror.url, "GET", "/sumgate.invalid/x/@v/list", "");
    let log = std::fs::read_to_string(mirror.data.with_extension("log")).unwrap();
    for (answer, word) in [(&refused, "refused artifact"), (&list, "no list")] {
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(&id(answer))).collect();
        let [line] = lines[..] else { panic!("{log}") };
        assert!(line.contains(word) && line.contains("client=127.0.0.1"), "{line}");
    }
}

fn proxy() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let (url, sumdb) = (origin.url(), origin.gosumdb());
    let words = ["--upstream", &url, "--sumdb", &sumdb, "--trusted-proxy", "127.0.0.1/32"];
    let mirror = Mirror::start_with(&folder.path().join("data"), &words);
    let of = |given: &str| id(&request(&mirror.url, "GET", "/", &format!("X-Request-Id: {given}\r\n")));
    assert_eq!(of("0af7651916cd43dd8448eb211c80319c"), "0af7651916cd43dd8448eb211c80319c");
    for wrong in ["<script>", "a b", "", &"a".repeat(65), "é"] {
        assert_eq!(of(wrong).len(), 16, "{wrong:?}");
    }
    let refused = request(&mirror.url, "GET", "/sumgate.invalid/x/@v/list", "X-Request-Id: chosen-1\r\n");
    assert!(refused.text().ends_with("\nrequest chosen-1\n"), "{}", refused.text());
    let log = std::fs::read_to_string(mirror.data.with_extension("log")).unwrap();
    assert!(log.contains("request=chosen-1"), "{log}");
}

/// With wrong bytes of many upstreams, whose lines are more than `go` shows.
fn shown(go: &Path) {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let others: Vec<_> = (0..9).map(|_| crate::fixture::origin(World::demo())).collect();
    let all = || others.iter().chain([&origin]);
    all().for_each(|origin| origin.misbehave(ZIP, Fault::Body("not a zip".into())));
    let urls = all().map(testkit::Origin::url).collect::<Vec<_>>().join("|");
    let mirror = Mirror::start_with(&folder.path().join("data"), &["--upstream", &urls, "--sumdb", &origin.gosumdb()]);
    let refusal = request(&mirror.url, "GET", ZIP, "");
    assert!(refusal.text().lines().count() > 9, "{}", refusal.text());
    let words =
        Go::new(go, &mirror.url, &origin.gosumdb()).must_fail(&["mod", "download", "example.com/hello@v1.0.0"], "403");
    let log = std::fs::read_to_string(mirror.data.with_extension("log")).unwrap();
    let id = words.lines().find_map(|line| line.trim().strip_prefix("request ")).unwrap_or_else(|| panic!("{words}"));
    assert!(log.contains(&format!("request={id} ")), "{id}: {log}");
}
