//! Names of modules that should stay here, without a pattern that says so: hosts of private networks, and another case.

use std::path::Path;

use libtest_mimic::Trial;
use testkit::World;

use crate::fixture::{Go, Mirror, get, go_trial, origin, run, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("private names: a host of a private network is refused, and sent to nobody", refused),
        trial("private names: with a flag, or a database of one's own, they pass", passed),
        trial("private names: cache fetch sends none", fetched),
        trial("private names: on github.com a private organisation is private in every spelling", spelled),
    ]
}

const FILES: [&str; 6] = [
    "/git.corp/secret/@v/list",
    "/git.corp/secret/@latest",
    "/git.corp/secret/@v/main.info",
    "/git.corp/secret/@v/v1.0.0.info",
    "/git.corp/secret/@v/v1.0.0.mod",
    "/git.corp/secret/@v/v1.0.0.zip",
];
const LOOKUPS: [&str; 2] = ["/lookup/git.corp/secret@v1.0.0", "/sumdb/sum.golang.org/lookup/git.corp/secret@v1.0.0"];

/// The requests that tell somebody the name.
fn told(requests: Vec<String>) -> Vec<String> {
    requests.into_iter().filter(|path| path.contains("git.corp")).collect()
}

fn refused(go: &Path) {
    let (origin, data) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let (url, public) = (origin.url(), format!("sum.golang.org {}", origin.url()));
    let download = ["mod", "download", "git.corp/secret@v1.0.0"];
    Go::new(go, &url, &public).must_fail(&download, "404 Not Found");
    assert!(!told(origin.take_requests()).is_empty(), "go tells the name");

    let mirror = Mirror::start_with(&data.path().join("data"), &["--upstream", &url, "--sumdb", &public]);
    let through = Go::new(go, &format!("{},{url}", mirror.url), &public);
    let output = through.must_fail(&download, "403 Forbidden");
    assert!(output.contains("--private git.corp") && output.contains("--nosumdb git.corp"), "{output}");
    for path in FILES.into_iter().chain(LOOKUPS) {
        let answer = get(&mirror.url, path);
        assert_eq!((answer.status, answer.header("x-sumgate-refused")), (403, Some("private-name")), "{path}");
    }
    assert_eq!(told(origin.take_requests()), [""; 0]);
}

fn passed() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let (url, public) = (origin.url(), format!("sum.golang.org {}", origin.url()));
    let own = origin.gosumdb();
    for (sumdb, patterns, lookup) in [(&public, "git.corp", false), (&own, "", true)] {
        let words = ["--upstream", &url, "--sumdb", sumdb, "--nosumdb", patterns];
        let mirror = Mirror::start_with(&folder.path().join(sumdb.len().to_string()), &words);
        origin.take_requests();
        for path in FILES {
            assert_eq!(get(&mirror.url, path).status, 404, "{path}");
        }
        let told = told(origin.take_requests());
        assert!(!told.is_empty());
        assert_eq!(told.iter().any(|path| path.contains("lookup")), lookup, "{told:?}");
    }
}

fn fetched() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let (url, public) = (origin.url(), format!("sum.golang.org {}", origin.url()));
    let data = folder.path().join("data");
    let words = ["cache", "fetch", "--data", data.to_str().unwrap(), "--upstream", &url, "--sumdb", &public];
    let output = run(&[&words[..], &["git.corp/secret@v1.0.0"]].concat());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("git.corp/secret looks private"), "{text}");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(told(origin.take_requests()), [""; 0]);
}

fn spelled() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    // An empty folder is a source of private modules that makes no requests.
    std::fs::create_dir_all(folder.path().join("proxy")).unwrap();
    let table = |patterns: &str| {
        format!("[[private]]\npatterns = \"{patterns}\"\nurl = \"file://{}\"\n", folder.path().join("proxy").display())
    };
    let start = |nth: &str, patterns: &str, more: &[&str]| {
        let (config, url, sumdb) = (folder.path().join(nth), origin.url(), origin.gosumdb());
        std::fs::write(&config, table(patterns)).unwrap();
        let words = ["--upstream", &url, "--sumdb", &sumdb, "--config", config.to_str().unwrap()];
        Mirror::start_with(&folder.path().join(format!("data{nth}")), &[&words, more].concat())
    };
    let is_told = |mirror: &Mirror, module: &str| {
        origin.take_requests();
        for path in
            [format!("/{module}/@v/list"), format!("/{module}/@v/v1.0.0.zip"), format!("/lookup/{module}@v1.0.0")]
        {
            assert_ne!(get(&mirror.url, &path).status, 200);
        }
        !origin.take_requests().is_empty()
    };
    let mirror = start("1", "github.com/our-org,git.example/our-org", &[]);
    assert!(!is_told(&mirror, "github.com/our-org/a") && !is_told(&mirror, "github.com/!our-!org/a"));
    assert!(!is_told(&mirror, "git.example/our-org/a") && is_told(&mirror, "git.example/!our-!org/a"));
    assert!(is_told(&mirror, "github.com/!other/a"));
    let answer = get(&mirror.url, "/lookup/github.com/!our-!org/a@v1.0.0");
    assert!(answer.text().contains("our-org,github.com/Our-Org/a\""), "go needs this spelling: {}", answer.text());

    let mirror = start("2", "github.com/our-org,git.example/our-org", &["--ignore-case-on", "git.example"]);
    assert!(is_told(&mirror, "github.com/!our-!org/a") && !is_told(&mirror, "git.example/!our-!org/a"));
    let mirror = start("3", "git.example", &["--private", "github.com/our-org"]);
    assert!(!is_told(&mirror, "github.com/!our-!org/a"));
    let output = run(&["serve", "--ignore-case-on", "github.com/x"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
