//! Downloads that are resumed: from an upstream whose file is another one meanwhile, and what stays of them on disk.

use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use testkit::{Fault, OtherTag, World};

use crate::fixture::{Go, Mirror, files, get, go_trial, origin, trial};

const ZIP: &str = "/example.com/hello/@v/v1.0.0.zip";

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("resumed: the rest of another file is not served, and no upstream is blamed for it", rest_of_another),
        trial("resumed: the rest of another file time after time is a failure, and no forgery", always_another),
        trial("resumed: what a slower upstream sent is dropped when the file is released", released),
    ]
}

fn rest_of_another(go: &Path) {
    for tag in [OtherTag::Own, OtherTag::OfTheFirst] {
        let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
        let fault = || origin.misbehave(ZIP, Fault::Times(2, Box::new(Fault::OtherRest(100, tag))));
        // `go` itself does not resume: its download fails when the connection breaks.
        fault();
        let alone = Go::new(go, &origin.url(), &origin.gosumdb());
        alone.must_fail(&["mod", "download", "example.com/hello@v1.0.0"], "unexpected EOF");
        fault();
        origin.take_requests();
        let mirror = Mirror::start(&origin, &folder.path().join("data"));
        let home = Go::new(go, &mirror.url, &format!("{} {}", origin.key(), mirror.url));
        home.must(&["mod", "download", "example.com/hello@v1.0.0"]);
        let asked = origin.take_requests().into_iter().filter(|asked| asked.starts_with(ZIP)).collect::<Vec<_>>();
        assert_eq!(asked, [ZIP, &format!("{ZIP} bytes=100-"), ZIP], "{tag:?}");
        assert!(mirror.quarantine().is_empty(), "{tag:?}");
    }
}

fn always_another() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    origin.misbehave(ZIP, Fault::OtherRest(100, OtherTag::OfTheFirst));
    let answer = get(&mirror.url, ZIP);
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert!(answer.text().contains("the rest of another file"), "{}", answer.text());
    assert!(mirror.quarantine().is_empty());
    // It is not distrusted: the next honest answer is taken.
    origin.behave();
    assert_eq!(get(&mirror.url, ZIP).body, get(&origin.url(), ZIP).body);
}

fn released() {
    let (slow, honest, folder) = (origin(World::demo()), origin(World::demo()), tempfile::tempdir().unwrap());
    slow.misbehave(ZIP, Fault::Stall(100));
    let (upstreams, sumdb) = (format!("{}|{}", slow.url(), honest.url()), honest.gosumdb());
    let data = folder.path().join("data");
    let mirror = Mirror::start_with(&data, &["--upstream", &upstreams, "--sumdb", &sumdb]);
    assert_eq!(get(&mirror.url, ZIP).status, 200);
    assert_eq!(slow.asked(ZIP), 1, "it was asked first");
    // The others are lock files.
    let staged = || files(&data.join("staging")).into_keys().filter(|name| !name.ends_with("lock")).collect::<Vec<_>>();
    let start = Instant::now();
    while !staged().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", staged());
        std::thread::sleep(Duration::from_millis(20));
    }
}
