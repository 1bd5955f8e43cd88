//! Version lists and `.info` files as unusual proxies write them: `go` reads the same through the mirror as without it.

use std::path::Path;

use libtest_mimic::Trial;
use testkit::{Fault, Origin, World};

use crate::fixture::{Go, Mirror, get, go_trial, origin};

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("odd answers: lines of a list that are no versions are skipped, as by go", lists),
        go_trial("odd answers: a page in place of a list is an error, not a module without versions", pages),
        go_trial("odd answers: the names of the fields of an .info are read in any case, as by go", infos),
    ]
}

const LIST: &str = "/example.com/hello/@v/list";
const INFO: &str = "/example.com/hello/@v/v1.0.0.info";

/// `go` without the mirror, and `go` with a new mirror of the same upstream.
fn both(go: &Path, origin: &Origin, words: &[&str]) -> [(bool, String); 2] {
    let folder = tempfile::tempdir().unwrap();
    let without = Go::new(go, &origin.url(), &origin.gosumdb());
    let mirror = Mirror::start(origin, &folder.path().join("data"));
    let with = Go::new(go, &mirror.url, &format!("{} {}", origin.key(), mirror.url));
    [without.run(words), with.run(words)]
}

const VERSIONS: [&str; 4] = ["list", "-m", "-versions", "example.com/hello"];

fn lists(go: &Path) {
    let origin = origin(World::demo());
    for (list, versions) in [
        (&b"# all versions\nv1.0.0\nlatest\n1.1.0\nv1.1.0 2026-01-02T03:04:05Z\n"[..], " v1.0.0 v1.1.0"),
        (b"v1.0.0\r\n\r\nv1.1.0\r\n", " v1.0.0 v1.1.0"),
        (b"  v1.0.0\n\tv1.1.0\tnew\n", " v1.0.0 v1.1.0"),
        (b"v1.0.0\xff\nv1.1.0 \xff\n\xfev1.2.0\n", " v1.1.0"),
        (b"v1.0.0\x1b\nv1.1.0", " v1.1.0"),
        (b"\xef\xbb\xbfv1.0.0\nv1.1.0\n", " v1.1.0"),
        (b"v01.0.0\nv1.1.0\nv1.0.0.0\n", " v1.1.0"),
        (b"<!-- list -->\nv1.1.0\n", " v1.1.0"),
        (b"no version was released\n", ""),
        (b"{\"versions\": [\"v1.0.0\"]}", ""),
    ] {
        origin.misbehave(LIST, Fault::Body(list.to_vec().into()));
        let [without, with] = both(go, &origin, &VERSIONS);
        let shown = String::from_utf8_lossy(list);
        assert_eq!(without, (true, format!("example.com/hello{versions}\n")), "{shown}");
        assert_eq!(with, without, "{shown}");
    }
}

fn pages(go: &Path) {
    let origin = origin(World::demo());
    for page in ["<!DOCTYPE html>\n<title>Log in</title>\n", "\n\n<html>Log in</html>", "\u{feff}<html>"] {
        origin.misbehave(LIST, Fault::Body(page.into()));
        let [without, with] = both(go, &origin, &VERSIONS);
        assert_eq!(without, (true, "example.com/hello\n".to_owned()), "{page}");
        assert!(!with.0 && with.1.contains("found an HTML page"), "better: a sign-in page hides versions: {}", with.1);
    }
}

fn infos(go: &Path) {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let words = ["list", "-m", "-f", "{{.Version}} {{.Time}}", "example.com/hello@v1.0.0"];
    for (version, time) in [("version", "time"), ("VERSION", "TIME"), ("vErSiOn", "tIME"), ("ver\u{17f}ion", "Time")] {
        let info = format!("{{\"{version}\":\"v1.0.0\",\"{time}\":\"2026-01-02T03:04:05Z\",\"Else\":[1]}}");
        origin.misbehave(INFO, Fault::Body(info.clone().into()));
        let [without, with] = both(go, &origin, &words);
        assert_eq!(without, (true, "v1.0.0 2026-01-02 03:04:05 +0000 UTC\n".to_owned()), "{info}");
        assert_eq!(with, without, "{info}");
    }
    // What is passed on has the usual names.
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    assert_eq!(get(&mirror.url, INFO).text(), "{\"Version\":\"v1.0.0\",\"Time\":\"2026-01-02T03:04:05Z\"}");
}
