//! The log of `sumgate serve`: what an operator must see, each once, and nothing of what is merely absent.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use testkit::{Fault, World};

use crate::fixture::{Answer, Mirror, get, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("log: a refusal is one line with its cause, trouble with lists is logged, absence is not", lines),
        trial("log: JSON has a line for each event and each request, text none for requests", json),
    ]
}

fn lines() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.toml");
    std::fs::write(&policy, "[[deny]]\nmodule = \"example.com/Upper\"\nreason = \"no\"\n").unwrap();
    let (url, sumdb) = (origin.url(), origin.gosumdb());
    let words = ["--upstream", &url, "--sumdb", &sumdb, "--policy", policy.to_str().unwrap()];
    let mirror = Mirror::start_with(&folder.path().join("data"), &words);
    let log = || std::fs::read_to_string(mirror.data.with_extension("log")).unwrap();
    for path in ["/example.com/@v/list", "/example.com/none/@v/v1.0.0.mod", "/example.com/none/@latest"] {
        assert_ne!(get(&mirror.url, path).status, 200, "{path}");
    }
    let list = "/example.com/dep/v2/@v/list";
    origin.misbehave(list, Fault::Status(403, "closed today"));
    assert_ne!(get(&mirror.url, list).status, 200);
    let denied = "/example.com/!upper/!case!mod/@v/list";
    assert_eq!(get(&mirror.url, denied).status, 403);
    let zip = "/example.com/hello/@v/v1.0.0.zip";
    let go_mod = get(&origin.url(), "/example.com/hello/@v/v1.0.0.mod").text();
    origin.misbehave("/example.com/hello/@v/v1.0.0.mod", Fault::Body(format!("{go_mod}\n\n").into_bytes().into()));
    assert_ne!(get(&mirror.url, "/example.com/hello/@v/v1.0.0.mod").status, 200);
    assert_eq!(get(&mirror.url, zip).status, 200);
    let log = log();
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
    let of = |word: &str| warnings.iter().filter(|line| line.contains(word)).copied().collect::<Vec<_>>();
    let [refused] = of("refused artifact")[..] else { panic!("{log}") };
    assert!(refused.contains("wrong-bytes") && refused.contains("proved:") && refused.contains("h1:"), "{log}");
    let [no_list, denied_list] = of("no list")[..] else { panic!("{log}") };
    assert!(denied_list.contains(denied) && denied_list.contains("no; (policy, line 1)"), "{log}");
    assert!(no_list.contains(list) && no_list.contains("403"), "{log}");
    assert!(!log.contains("status="), "requests are at debug: {log}");
    assert!(of("none").is_empty() && of("/example.com/@v").is_empty(), "{log}");
}

fn json() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let words = ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb(), "--log-format", "json"];
    let mirror = Mirror::start_with(&folder.path().join("data"), &words);
    let zip = "/example.com/hello/@v/v1.0.0.zip";
    let served = get(&mirror.url, zip);
    origin.misbehave("/example.com/dep/v2/@v/v2.0.1.zip", Fault::Body("not a zip".into()));
    let refused = get(&mirror.url, "/example.com/dep/v2/@v/v2.0.1.zip");
    assert_eq!((served.status, refused.status, get(&mirror.url, "/healthz").status), (200, 403, 200));
    let lines = || {
        let log = std::fs::read_to_string(mirror.data.with_extension("log")).unwrap();
        let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        log.lines().map(line).collect::<Vec<serde_json::Value>>()
    };
    let of = |answer: &Answer| -> Vec<serde_json::Value> {
        let id = answer.header("x-request-id").unwrap();
        lines().into_iter().filter(|line| line["request"] == id).collect()
    };
    // The line is written once the answer was sent.
    let deadline = Instant::now() + Duration::from_secs(10);
    while of(&refused).len() < 2 {
        assert!(Instant::now() < deadline, "{:?}", lines());
        std::thread::sleep(Duration::from_millis(20));
    }
    let [request] = &of(&served)[..] else { panic!("{:?}", lines()) };
    assert_eq!((&request["message"], &request["target"]), (&"request".into(), &"access".into()));
    assert_eq!((&request["method"], &request["path"], &request["status"]), (&"GET".into(), &zip.into(), &200.into()));
    assert_eq!((&request["client"], &request["bytes"]), (&"127.0.0.1".into(), &served.body.len().into()));
    assert!(request["seconds"].is_f64() && request["timestamp"].is_string() && request["code"].is_null(), "{request}");
    let refusals = of(&refused);
    let codes = refusals.iter().map(|line| (line["target"].as_str().unwrap(), line["code"].as_str().unwrap()));
    assert_eq!(codes.collect::<Vec<_>>(), [("events", "wrong-bytes"), ("access", "wrong-bytes")], "{refusals:?}");
    assert!(lines().iter().all(|line| line["path"] != "/healthz"), "checks are no lines");
    // A terminal obeys these characters, or shows another text.
    origin.misbehave("*", Fault::Status(500, "down"));
    let hostile = get(&mirror.url, "/example.com/\u{9b}2J\u{202e}/@v/list");
    let deadline = Instant::now() + Duration::from_secs(10);
    while of(&hostile).is_empty() {
        assert!(Instant::now() < deadline, "{:?}", lines());
        std::thread::sleep(Duration::from_millis(20));
    }
    let log = std::fs::read_to_string(mirror.data.with_extension("log")).unwrap();
    assert!(!log.contains(['\u{9b}', '\u{202e}']), "{log:?}");
    assert_eq!(of(&hostile)[0]["path"], "/example.com/\\u{9b}2J\\u{202e}/@v/list");
}
