//! The names that the checksum database receives: none that `go` itself would not send, and none too early.

use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use testkit::{Fault, Origin, World};

use crate::fixture::{Go, Mirror, get, go_trial, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("early names: go get of an exempt module sends no part of its path to the database", prefixes),
        trial("early names: a version is looked up only after its .info has come", after_the_info),
    ]
}

fn lookups(origin: &Origin) -> Vec<String> {
    let asked = origin.take_requests();
    assert!(asked.iter().any(|path| path.ends_with(".info")), "the wire is not watched: {asked:?}");
    asked.into_iter().filter(|path| path.contains("lookup/")).collect()
}

fn prefixes(go: &Path) {
    let get_it = |proxy: &str, origin: &Origin| {
        let database = format!("{} {}", origin.key(), origin.url());
        let go = Go::new(go, proxy, &database).set("GONOSUMDB", "corp.example/team/*");
        go.write("go.mod", "module example.org/app\n\ngo 1.21\n");
        go.must(&["get", "corp.example/team/tool/cmd@v1.0.0"]);
        go.must_fail(&["get", "corp.example/team/tool/cmd@v1.0.9"], "v1.0.9");
    };
    let origin = origin(World::demo());
    let code = [("go.mod", "module corp.example/team/tool\n"), ("cmd/a.go", "package cmd\n")];
    origin.world().add_files("corp.example/team/tool@v1.0.0", &code);
    get_it(&origin.url(), &origin);
    assert_eq!(lookups(&origin), Vec::<String>::new(), "without the mirror");

    let folder = tempfile::tempdir().unwrap();
    let (url, sumdb) = (origin.url(), origin.gosumdb());
    let words = ["--upstream", &url, "--sumdb", &sumdb, "--nosumdb", "corp.example/team/*"];
    let mirror = Mirror::start_with(&folder.path().join("data"), &words);
    get_it(&mirror.url, &origin);
    assert_eq!(lookups(&origin), Vec::<String>::new(), "through the mirror");
}

fn after_the_info() {
    let info = "/example.com/hello/@v/v1.0.0.info";
    let faults = [Fault::Status(404, "not found"), Fault::Status(500, "broken"), Fault::Body("<html>".into())];
    for fault in faults.map(Some).into_iter().chain([None]) {
        let origin = origin(World::demo());
        let folder = tempfile::tempdir().unwrap();
        let mirror = Mirror::start(&origin, &folder.path().join("data"));
        if let Some(fault) = fault {
            origin.misbehave(info, fault.clone());
            assert_ne!(get(&mirror.url, info).status, 200);
            // A lookup that was begun too early would have come by now.
            std::thread::sleep(Duration::from_millis(200));
            assert_eq!(lookups(&origin), Vec::<String>::new(), "{fault:?}");
        } else {
            assert_eq!(get(&mirror.url, info).status, 200);
            // Nobody asked for the `.mod`.
            let begun = Instant::now();
            while origin.asked("/lookup/example.com/hello@v1.0.0") == 0 {
                assert!(begun.elapsed() < Duration::from_secs(10), "the record was not prefetched");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}
