//! Answers of several upstreams: absent, refused or unknown; and which upstream may be asked after which.

use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use testkit::{Fault, Origin, World};

use crate::fixture::{Answer, Go, Mirror, get, go_trial, origin, trial};

const HELLO: &str = "example.com/hello@v1.0.0";
const INFO: &str = "/example.com/hello/@v/v1.0.0.info";
const LIST: &str = "/example.com/hello/@v/list";
const LATEST: &str = "/example.com/hello/@latest";
const MOD: &str = "/example.com/hello/@v/v1.0.0.mod";
const ZIP: &str = "/example.com/hello/@v/v1.0.0.zip";
const DEP_ZIP: &str = "/example.com/dep/v2/@v/v2.0.1.zip";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("absence: an upstream that once had wrong bytes is asked last, not skipped", wrong_once),
        trial("absence: an upstream with an open circuit breaker may have the version", resting),
        trial("absence: a path that no upstream serves is refused", no_source),
        trial("refusal: 401, 403 and 451 end the search, unless a | follows", refusals),
        trial("refusal: the text is kept and made safe, a 401 mentions credentials", refusal_texts),
        trial("refusal: speed decides only among upstreams joined by |", order),
        trial("refusal: an upstream after a comma is asked after the one before it", comma_waits),
        trial("absence: only if each upstream says so", every_combination),
        trial("absence: a missing or empty folder makes nothing absent", empty_root),
        go_trial("refusal: go and the gate stop where a curating proxy says 403", curated),
        go_trial("absence: go does not bypass a mirror whose upstream fails", go_stays),
    ]
}

fn two() -> (Origin, Origin) {
    (origin(World::demo()), origin(World::demo()))
}

/// A mirror over `upstream`; the database is that of `origin`.
fn mirror(origin: &Origin, upstream: &str, more: &[&str]) -> (tempfile::TempDir, Mirror) {
    let folder = tempfile::tempdir().unwrap();
    let sumdb = origin.gosumdb();
    let words = [&["--upstream", upstream, "--sumdb", &sumdb, "--hold-for", "0s"], more].concat();
    let mirror = Mirror::start_with(&folder.path().join("data"), &words);
    (folder, mirror)
}

fn joined(origins: &[&Origin], separator: &str) -> String {
    origins.iter().map(|origin| origin.url()).collect::<Vec<_>>().join(separator)
}

#[track_caller]
fn assert_status(mirror: &Mirror, path: &str, status: u16) -> Answer {
    let answer = get(&mirror.url, path);
    assert_eq!(answer.status, status, "{path}: {}", answer.text());
    answer
}

const NOT_FOUND: Fault = Fault::Status(404, "not found\n");
const REFUSAL: Fault = Fault::Status(403, "quarantined by policy 7\n");

fn wrong_once() {
    let (wrong, other) = two();
    let (_folder, mirror) = mirror(&wrong, &joined(&[&wrong, &other], ","), &[]);
    other.misbehave(ZIP, NOT_FOUND);
    wrong.misbehave(ZIP, Fault::Body("<html>Log in</html>".into()));
    // The zip exists: it has a record, and the first upstream sent bytes for it.
    assert_status(&mirror, ZIP, 403);
    assert_status(&mirror, ZIP, 403);
    wrong.behave();
    assert_status(&mirror, ZIP, 200);
}

fn resting() {
    let (down, other) = two();
    let (_folder, mirror) = mirror(&down, &joined(&[&down, &other], "|"), &[]);
    for path in [ZIP, INFO, LIST] {
        other.misbehave(path, NOT_FOUND);
    }
    // The database has the same address: only requests for files fail.
    down.misbehave("/example.com/*", Fault::Reset);
    for path in [ZIP, INFO, LIST, ZIP, INFO, LIST] {
        assert_status(&mirror, path, 502);
    }
}

fn no_source() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("serve.toml");
    std::fs::write(&config, format!("[[upstream]]\nurl = \"{}\"\nserves = \"example.com/dep/*\"\n", origin.url()))
        .unwrap();
    let words = ["--config", config.to_str().unwrap(), "--sumdb", &origin.gosumdb(), "--hold-for", "0s"];
    let mirror = Mirror::start_with(&folder.path().join("data"), &words);
    assert_status(&mirror, DEP_ZIP, 200);
    for path in [ZIP, MOD, INFO, LIST, LATEST, "/example.com/hello/@v/main.info", "/example.com/nobody/@v/v1.0.0.zip"] {
        let answer = assert_status(&mirror, path, 403);
        assert!(answer.text().contains("no source is configured for"), "{}", answer.text());
    }
}

fn refusals() {
    for (status, told) in [(401, 502), (403, 403), (451, 403)] {
        for path in [ZIP, MOD, INFO, LIST, LATEST] {
            let (first, second) = two();
            first.misbehave(path, Fault::Status(status, "no"));
            let (_folder, comma) = mirror(&first, &joined(&[&first, &second], ","), &[]);
            assert_status(&comma, path, told);
            assert_eq!(second.asked(path), 0, "{status} {path}");
            let (_folder, bar) = mirror(&first, &joined(&[&first, &second], "|"), &[]);
            assert_status(&bar, path, 200);
            // After 404 and 410 the next one is asked.
            for status in [404, 410] {
                let (_folder, comma) = mirror(&first, &joined(&[&first, &second], ","), &[]);
                first.misbehave(path, Fault::Status(status, "no"));
                assert_status(&comma, path, 200);
            }
        }
    }
}

fn refusal_texts() {
    let (first, second) = two();
    let (_folder, mirror) = mirror(&first, &joined(&[&first, &second], ","), &[]);
    first.misbehave("/example.com/*", Fault::Status(403, "held\n\n\u{1b}[31mticket\u{7} 7\n"));
    for path in [ZIP, MOD, INFO, LIST, LATEST] {
        let said = assert_status(&mirror, path, 403).text();
        assert!(said.contains("held [31mticket 7") && said.contains(&first.url()), "{said:?}");
        // The second line is the id of the request.
        assert!(!said.contains('\u{1b}') && said.trim_end().lines().count() == 2, "{said:?}");
    }
    first.misbehave("/example.com/*", Fault::Status(401, "who are you"));
    let said = assert_status(&mirror, ZIP, 502).text();
    assert!(said.contains("login") && said.contains(&first.url()), "{said}");
}

fn order() {
    let (slow, quick) = two();
    slow.misbehave("/example.com/*", Fault::Delay(Duration::from_millis(300), None));
    for (separator, first) in [(",", &slow), ("|", &quick)] {
        let (_folder, mirror) = mirror(&slow, &joined(&[&slow, &quick], separator), &[]);
        // Both are asked one after the other, so that their statistics are the same.
        slow.misbehave(DEP_ZIP, NOT_FOUND);
        for _ in 0..3 {
            assert_status(&mirror, DEP_ZIP, 200);
            std::fs::remove_dir_all(mirror.data.join("proxy")).unwrap();
        }
        let (before_slow, before_quick) = (slow.asked(ZIP), quick.asked(ZIP));
        assert_status(&mirror, ZIP, 200);
        let asked = (slow.asked(ZIP) - before_slow, quick.asked(ZIP) - before_quick);
        let only = if std::ptr::eq(first, &raw const slow) { (1, 0) } else { (0, 1) };
        assert_eq!(asked, only, "joined by {separator}");
    }
}

fn comma_waits() {
    let (first, second) = two();
    let (_folder, mirror) = mirror(&first, &joined(&[&first, &second], ","), &[]);
    // Silent, then honest.
    first.misbehave(ZIP, Fault::Delay(Duration::from_secs(4), None));
    assert_status(&mirror, ZIP, 200);
    assert_eq!((first.asked(ZIP), second.asked(ZIP)), (1, 0));
    // It began to send and stalls: the next one may be asked.
    first.misbehave(DEP_ZIP, Fault::Stall(100));
    assert_status(&mirror, DEP_ZIP, 200);
    assert_eq!((first.asked(DEP_ZIP), second.asked(DEP_ZIP)), (1, 1));
    // It fails: proved files may come from the next one.
    let legacy = "/example.com/legacy/@v/v2.0.0+incompatible.zip";
    first.misbehave(legacy, Fault::Status(500, "down"));
    assert_status(&mirror, legacy, 200);
    // For unproved answers the rules of `go` apply.
    let list = "/example.com/pseudo/@v/list";
    first.misbehave(list, Fault::Status(500, "down"));
    assert_status(&mirror, list, 502);
}

/// Two upstreams with all combinations of answers and separators: 404 only if both say so.
fn every_combination() {
    let answers: [(&str, Option<Fault>); 7] = [
        ("right", None),
        ("404", Some(NOT_FOUND)),
        ("410", Some(Fault::Status(410, "gone"))),
        ("403", Some(REFUSAL)),
        ("500", Some(Fault::Status(500, "down"))),
        ("reset", Some(Fault::Reset)),
        ("page", Some(Fault::Body("<html>Log in</html>".into()))),
    ];
    let cases: Vec<_> = answers.iter().flat_map(|a| answers.iter().map(move |b| (a, b))).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                while let Some((a, b)) = cases.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    for separator in [",", "|"] {
                        one_combination(a, b, separator);
                    }
                }
            });
        }
    });
}

fn one_combination(a: &(&str, Option<Fault>), b: &(&str, Option<Fault>), separator: &str) {
    let (first, second, database) = (origin(World::demo()), origin(World::demo()), origin(World::demo()));
    let (_folder, mirror) = mirror(&database, &joined(&[&first, &second], separator), &[]);
    for (origin, (_, fault)) in [(&first, a), (&second, b)] {
        if let Some(fault) = fault {
            origin.misbehave("/example.com/hello/*", fault.clone());
        }
    }
    let absent = |name: &str| matches!(name, "404" | "410");
    // Files last: once stored, they are served while upstreams are down.
    for path in [LIST, LATEST, INFO, MOD, ZIP] {
        let answer = get(&mirror.url, path);
        let case = format!("{}{separator}{} {path}: {} {}", a.0, b.0, answer.status, answer.text());
        assert_eq!(answer.status == 404, absent(a.0) && absent(b.0), "{case}");
        // As for `go`: a refusal ends at a comma, and so does a failure for unproved answers.
        let proved = path == ZIP || path == MOD;
        let goes_on = separator == "|" || absent(a.0) || (proved && a.0 != "403");
        let right = a.0 == "right" || (goes_on && b.0 == "right");
        assert_eq!(answer.status == 200, right, "{case}");
    }
}

fn empty_root() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("mount");
    let url = format!("file://{}", root.display());
    for missing in [true, false] {
        if !missing {
            std::fs::create_dir(&root).unwrap();
        }
        let (_data, mirror) = mirror(&origin, &url, &[]);
        for path in [ZIP, MOD, INFO, LIST, LATEST] {
            let said = assert_status(&mirror, path, 502).text();
            assert!(said.contains(root.to_str().unwrap()), "{said}");
        }
        let log = std::fs::read_to_string(mirror.data.with_extension("log")).unwrap();
        assert!(log.contains(root.to_str().unwrap()), "it is said at the start, too: {log}");
    }
    // If the folder is not empty, a missing file is absent.
    std::fs::create_dir_all(root.join("example.com/other")).unwrap();
    let (_data, mirror) = mirror(&origin, &url, &[]);
    for path in [ZIP, MOD, INFO, LIST, LATEST] {
        assert_status(&mirror, path, 404);
    }
}

/// A curating proxy that is slow to answer 403, and an open one that was fast before.
fn curated(go: &Path) {
    let (curator, open) = two();
    let upstream = joined(&[&curator, &open], ",");
    let (_folder, mirror) = mirror(&curator, &upstream, &[]);
    curator.misbehave("/example.com/dep/*", NOT_FOUND);
    for file in ["info", "mod", "zip"] {
        assert_status(&mirror, &format!("/example.com/dep/v2/@v/v2.0.1.{file}"), 200);
    }
    curator.misbehave(ZIP, Fault::Delay(Duration::from_secs(3), Some(Box::new(REFUSAL))));
    let alone = Go::new(go, &upstream, &curator.gosumdb());
    alone.must_fail(&["mod", "download", HELLO], "403 Forbidden");
    let through = Go::new(go, &mirror.url, &format!("{} {}", curator.key(), mirror.url));
    let start = Instant::now();
    let said = through.must_fail(&["mod", "download", HELLO], "403 Forbidden");
    assert!(said.contains("quarantined by policy 7"), "{said}");
    assert!(start.elapsed() >= Duration::from_secs(3));
    let gated = Go::new(go, &upstream, &curator.gosumdb());
    let (code, said) = gated.sumgate(&["run", "--", "go", "mod", "download", HELLO]);
    assert!(code != Some(0) && said.contains("quarantined by policy 7"), "{said}");
    assert_eq!(open.asked(ZIP), 0);
}

fn go_stays(go: &Path) {
    let faults = [Fault::Status(500, "down"), Fault::Reset, Fault::Body("<html>Log in</html>".into()), REFUSAL];
    for (fault, separator) in faults.into_iter().flat_map(|fault| [(fault.clone(), ","), (fault, "|")]) {
        let (first, second, next) = (origin(World::demo()), origin(World::demo()), origin(World::demo()));
        let (_folder, mirror) = mirror(&next, &joined(&[&first, &second], separator), &[]);
        first.misbehave("/example.com/hello/*", fault);
        second.misbehave("/example.com/hello/*", NOT_FOUND);
        let go = Go::new(go, &format!("{},{}", mirror.url, next.url()), &format!("{} {}", next.key(), mirror.url));
        next.take_requests();
        let (fine, said) = go.run(&["mod", "download", HELLO]);
        let went_on: Vec<String> = next.take_requests().into_iter().filter(|path| path.contains("hello/@")).collect();
        assert!(!fine && went_on.is_empty(), "{went_on:?}\n{said}");
    }
}
