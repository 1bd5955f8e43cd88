//! Lists and `@latest` of which the policy leaves nothing.

use std::path::Path;

use libtest_mimic::Trial;
use testkit::World;

use crate::fixture::{Go, Mirror, get, go_trial, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("policy: a list that a rule empties is a 403 with the rule, online and offline", emptied),
        trial("policy: a denied @latest without a tag names the newest commit here that passes", older_commit),
    ]
}

const POLICY: &str = "\
[[deny]]
module = \"example.com/hello\"
reason = \"the old greeting\"

[[deny]]
module = \"example.com/pseudo\"
reason = \"no release\"
";

fn emptied(go: &Path) {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let (data, policy) = (folder.path().join("data"), folder.path().join("policy.toml"));
    std::fs::write(&policy, POLICY).unwrap();
    let pseudo = "/example.com/pseudo/@v/v0.0.0-20260102030405-0123456789ab";
    let (url, sumdb) = (origin.url(), origin.gosumdb());
    let sources = ["--upstream", &url, "--sumdb", &sumdb];
    let mirror = Mirror::start_with(&data, &sources);
    for version in ["/example.com/hello/@v/v1.0.0", "/example.com/hello/@v/v1.1.0", pseudo] {
        for kind in ["info", "mod", "zip"] {
            assert_eq!(get(&mirror.url, &format!("{version}.{kind}")).status, 200);
        }
    }
    assert_eq!(get(&mirror.url, "/example.com/hello/@v/list").text(), "v1.0.0\nv1.1.0\n");
    drop(mirror);
    let with_policy = [&sources[..], &["--policy", policy.to_str().unwrap()]].concat();
    for mode in [&[][..], &["--offline"]] {
        let mirror = Mirror::start_with(&data, &[&with_policy[..], mode].concat());
        for (path, line, reason) in [
            ("/example.com/hello/@v/list", "(policy, line 1)", "the old greeting"),
            ("/example.com/hello/@latest", "(policy, line 1)", "the old greeting"),
            ("/example.com/pseudo/@latest", "(policy, line 5)", "no release"),
        ] {
            let answer = get(&mirror.url, path);
            let said = answer.text();
            assert_eq!(answer.status, 403, "{path} {mode:?}: {said}");
            assert!(said.contains(line) && said.contains(reason), "{path} {mode:?}: {said}");
        }
        let list = get(&mirror.url, "/example.com/pseudo/@v/list");
        assert_eq!((list.status, list.text().as_str()), (200, ""), "it has no tagged version {mode:?}");
        // What `go` says without the rule is a version that it then cannot get.
        let home = Go::new(go, &mirror.url, &format!("{} {}", origin.key(), mirror.url));
        home.write("go.mod", "module a.example/app\n");
        home.must_fail(&["get", "example.com/hello@latest"], "the old greeting");
        home.must_fail(&["list", "-m", "-versions", "example.com/hello"], "the old greeting");
    }
}

fn older_commit() {
    let mut world = World::demo();
    for version in ["v0.0.0-20260202030405-0123456789ac", "v0.0.0-20260302030405-0123456789ad"] {
        world.add_simple(&format!("example.com/pseudo@{version}"), "", "package pseudo\n");
    }
    let origin = origin(world);
    let folder = tempfile::tempdir().unwrap();
    let (data, policy) = (folder.path().join("data"), folder.path().join("policy.toml"));
    let deny = "[[deny]]\nmodule = \"example.com/pseudo\"\nversions = \">v0.0.0-20260301000000-000000000000\"\nreason = \"too young\"\n";
    std::fs::write(&policy, deny).unwrap();
    let (url, sumdb) = (origin.url(), origin.gosumdb());
    let sources = ["--upstream", &url, "--sumdb", &sumdb, "--policy", policy.to_str().unwrap()];
    let mirror = Mirror::start_with(&data, &sources);
    let latest = || {
        let answer = get(&mirror.url, "/example.com/pseudo/@latest");
        assert!(answer.status == 403 && answer.text().contains("too young"), "{}", answer.text());
        answer.text()
    };
    assert!(!latest().contains("here"), "{}", latest());
    for version in ["v0.0.0-20260102030405-0123456789ab", "v0.0.0-20260202030405-0123456789ac"] {
        assert_eq!(get(&mirror.url, &format!("/example.com/pseudo/@v/{version}.zip")).status, 200);
    }
    let words = "the newest commit here that passes is example.com/pseudo@v0.0.0-20260202030405-0123456789ac";
    assert!(latest().contains(words), "{}", latest());
}
