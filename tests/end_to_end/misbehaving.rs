//! Upstreams that misbehave, each in its own way: no request fails that another upstream, or another path, can serve.

use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use testkit::{Fault, Origin, World};

use crate::fixture::{Go, Mirror, get, go_trial, origin};

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("misbehaving: twenty upstreams do not fail one honest request", twenty),
        go_trial("misbehaving: an upstream that fails for a dozen modules serves the others, as for go", a_dozen),
    ]
}

const MODULES: [&str; 6] = [
    "example.com/hello@v1.0.0",
    "example.com/hello@v1.1.0",
    "example.com/Upper/CaseMod@v1.2.3",
    "example.com/legacy@v2.0.0+incompatible",
    "example.com/dep/v2@v2.0.1",
    "example.com/pseudo@v0.0.0-20260102030405-0123456789ab",
];

/// What each does: to paths that begin so.
fn faults() -> Vec<(&'static str, Fault)> {
    let html = "<!DOCTYPE html><html><body>Please log in</body></html>\n";
    let later = Some(Box::new(Fault::Status(500, "too late\n")));
    vec![
        // One that sends gzip is as good as an honest one (`codings`).
        ("/*", Fault::Coding("deflate")),
        ("/*", Fault::Coding("br")),
        ("/*", Fault::Body(html.into())),
        ("/*", Fault::Body("".into())),
        ("/*", Fault::Status(500, "cannot clone\n")),
        ("/example.com/hello/*", Fault::Status(500, "cannot clone\n")),
        ("/*", Fault::RetryAfter(503, 120)),
        ("/*", Fault::RetryAfter(429, 120)),
        ("/*", Fault::Hold),
        ("/*", Fault::Trickle(10)),
        ("/*", Fault::Stall(20)),
        ("/*", Fault::Break(20)),
        ("/*", Fault::Cut(20)),
        ("/*", Fault::FlipBit(0)),
        ("/*", Fault::Redirect("/loop".to_owned())),
        ("/*", Fault::Redirect("http://modules.invalid/".to_owned())),
        ("/*", Fault::Reset),
        ("/*", Fault::Status(404, "not found\n")),
        ("/*", Fault::Status(401, "log in\n")),
        ("/*", Fault::Status(403, "forbidden\n")),
        ("/*", Fault::Delay(Duration::from_secs(20), later)),
    ]
}

fn twenty(go: &Path) {
    let (honest, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let wrong: Vec<Origin> = faults()
        .into_iter()
        .map(|(path, fault)| {
            let origin = origin(World::demo());
            origin.misbehave(path, fault);
            origin
        })
        .collect();
    let urls: Vec<String> = wrong.iter().chain([&honest]).map(Origin::url).collect();
    let mirror =
        Mirror::start_with(&folder.path().join("data"), &["--upstream", &urls.join("|"), "--sumdb", &honest.gosumdb()]);
    let home = Go::new(go, &mirror.url, &format!("{} {}", honest.key(), mirror.url));
    home.must(&[&["mod", "download"], &MODULES[..]].concat());
    for module in MODULES {
        let (path, version) =
            module.to_lowercase().split_once('@').map(|(path, version)| (path.to_owned(), version.to_owned())).unwrap();
        let path = path.replace("upper/casemod", "!upper/!case!mod");
        for extension in ["info", "mod", "zip"] {
            let file = format!("/{path}/@v/{version}.{extension}");
            let (got, expected) = (get(&mirror.url, &file), get(&honest.url(), &file));
            assert_eq!(got.status, 200, "{file}: {}", got.text());
            assert!(extension == "info" || got.body == expected.body, "{file}");
        }
    }
}

fn a_dozen(go: &Path) {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    origin.misbehave("/broken.example/*", Fault::Status(500, "cannot clone\n"));
    let broken: Vec<String> = (0..12).map(|nth| format!("broken.example/m{nth}@v1.0.0")).collect();
    let broken: Vec<&str> = broken.iter().map(String::as_str).collect();
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    for url in [origin.url(), mirror.url.clone()] {
        let home = Go::new(go, &url, &format!("{} {url}", origin.key()));
        let told = home.must_fail(&[&["mod", "download"], &broken[..]].concat(), "cannot clone");
        for module in &broken {
            let line = told.lines().find(|line| line.contains(module)).unwrap_or_else(|| panic!("{module}: {told}"));
            assert!(!broken.iter().any(|other| other != module && line.contains(&format!("{other}:"))), "{line}");
        }
        let start = Instant::now();
        home.must(&[&["mod", "download"], &MODULES[..]].concat());
        assert!(start.elapsed() < Duration::from_secs(5), "{url}: {:?}", start.elapsed());
    }
}
