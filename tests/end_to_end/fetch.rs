//! `sumgate cache fetch`, and the import of a module cache.

use std::path::Path;

use libtest_mimic::Trial;
use testkit::{Fault, World};

use crate::airgap::{fetch, go_sum, sumgate};
use crate::audit::{honest, line_of};
use crate::fixture::{Go, files, go_trial, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("fetch: fetches what go.sum needs, once", fetch_go_sum),
        trial("fetch: every exit code", fetch_exits),
        go_trial("fetch, module cache: modules of GOPRIVATE are not sent to third parties", kept_from_others),
        trial("fetch: a private name is not sent to an upstream or a database", fetch_private),
        go_trial("module cache: a proved zip is imported, a changed one is refused", module_cache),
    ]
}

fn fetch_go_sum() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let go_sum = go_sum(&origin, folder.path(), &["example.com/hello@v1.1.0", "example.com/dep/v2@v2.0.1"]);
    // Of one only the go.mod is needed.
    let lines = honest(&origin);
    let more = line_of(&lines, "example.com/hello v1.0.0/go.mod ");
    std::fs::write(&go_sum, std::fs::read_to_string(&go_sum).unwrap() + more + "\n").unwrap();
    let (code, said) = fetch(&origin, &data, &["-m", &go_sum]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("fetched 8 files (") && said.lines().count() == 1, "{said}");
    let tree = files(&data.join("proxy"));
    assert!(
        tree.contains_key("example.com/hello/@v/v1.1.0.zip") && tree.contains_key("example.com/hello/@v/v1.0.0.mod")
    );
    assert!(!tree.contains_key("example.com/hello/@v/v1.0.0.zip"), "no line needs it");
    let asked = origin.take_requests();
    assert_eq!(asked.iter().filter(|path| path.starts_with("/lookup/")).count(), 3, "{asked:?}");

    let (code, said) = fetch(&origin, &data, &["-m", &go_sum]);
    assert_eq!((code, said.as_str()), (Some(0), "fetched 0 files (0 bytes), 8 were in the store\n"));
    let lists = ["/example.com/dep/v2/@v/list", "/example.com/hello/@v/list"];
    let mut asked = origin.take_requests();
    asked.sort();
    assert_eq!(asked, lists, "whether there is a newer version");

    let (code, said) = fetch(&origin, &data, &["example.com/legacy@v2.0.0+incompatible"]);
    assert!(code == Some(0) && said.starts_with("fetched 3 files ("), "{said}");
}

fn fetch_private() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    // The repository does not exist; what matters is where its name is sent.
    let (code, said) = fetch(&origin, folder.path(), &["--private", "127.0.0.1", "127.0.0.1/hello@v1.0.0"]);
    assert_ne!(code, Some(0), "{said}");
    assert_eq!(origin.take_requests(), Vec::<String>::new());
}

fn fetch_exits() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let data = |name: &str| folder.path().join(name);
    let said = |got: (Option<i32>, String), code: i32, words: &str| {
        assert!(got.0 == Some(code) && got.1.contains(words), "not {code} with {words:?}: {got:?}");
    };
    said(fetch(&origin, &data("a"), &["example.com/nobody@v1.0.0"]), 1, "2 MISSING OR REFUSED");
    said(fetch(&origin, &data("a"), &["example.com/nobody@main"]), 2, "main");
    // An upstream has it, and the database has no record yet.
    origin.world().add_simple("example.com/fresh@v1.0.0", "", "package fresh\n");
    origin.misbehave("/lookup/example.com/fresh@v1.0.0", Fault::Status(404, "not found"));
    said(fetch(&origin, &data("a"), &["example.com/fresh@v1.0.0"]), 2, "try again");
    let no_such =
        "cannot read /nonexistent/go.sum: No such file or directory (os error 2): name another one with -m FILE";
    said(fetch(&origin, &data("a"), &["-m", "/nonexistent/go.sum"]), 2, no_such);

    // A go.sum with another hash, and a malformed line.
    let lines = honest(&origin);
    let wrong = line_of(&lines, "example.com/hello v1.0.0 ").replace("v1.0.0", "v1.1.0");
    let planted = folder.path().join("planted.sum");
    std::fs::write(&planted, format!("rubbish\n{wrong}\n")).unwrap();
    let got = fetch(&origin, &data("a"), &["-m", planted.to_str().unwrap()]);
    assert!(got.1.contains("planted.sum:1: not a hash line"), "{}", got.1);
    said(got, 1, "planted.sum says h1:");

    let policy = folder.path().join("policy.toml");
    std::fs::write(&policy, "[[deny]]\nmodule = \"example.com/dep/v2\"\nreason = \"because\"\n").unwrap();
    let under_policy = ["--policy", policy.to_str().unwrap(), "example.com/dep/v2@v2.0.1"];
    said(fetch(&origin, &data("b"), &under_policy), 1, "because");
    assert!(!files(&data("b").join("proxy")).keys().any(|name| name.ends_with(".zip")));

    origin.misbehave("/example.com/hello/@v/v1.0.0.zip", Fault::FlipBit(50));
    said(fetch(&origin, &data("c"), &["example.com/hello@v1.0.0"]), 1, "example.com/hello@v1.0.0 .zip refused");
    origin.behave();
    origin.misbehave("*", Fault::Status(403, "go away"));
    said(fetch(&origin, &data("d"), &["example.com/hello@v1.0.0"]), 2, "go away");
    origin.behave();
    said(fetch(&origin, &data("e"), &["example.com/hello@v1.0.0"]), 0, "fetched 5 files");
    let fork = origin.world().fork(400, 900);
    *origin.world() = fork;
    said(fetch(&origin, &data("e"), &["example.com/Upper/CaseMod@v1.2.3"]), 3, "two histories");
}

fn kept_from_others(go: &Path) {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let (proxy, sumdb) = (origin.url(), origin.gosumdb());
    let private = |data: &str, words: &[&str]| {
        let data = folder.path().join(data);
        let mut command = crate::fixture::sumgate();
        command.env("GOPRIVATE", "example.com/dep").args(words).arg("--data").arg(data).args(["--sumdb", &sumdb]);
        let output = command.output().unwrap();
        let asked = origin.take_requests();
        assert!(asked.iter().any(|path| path.contains("example.com/hello")), "the wire is not watched: {asked:?}");
        let named: Vec<String> = asked.into_iter().filter(|path| path.contains("example.com/dep")).collect();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap(), named)
    };
    let go_sum = go_sum(&origin, folder.path(), &["example.com/hello@v1.0.0", "example.com/dep/v2@v2.0.1"]);
    let fetch = ["cache", "fetch", "--upstream", &proxy, "-m", &go_sum];
    let (code, said, named) = private("a", &fetch);
    assert_eq!((code, named), (Some(1), Vec::new()), "{said}");
    assert!(said.contains("fetched 5 files") && said.contains("1 MISSING OR REFUSED"), "{said}");
    assert!(
        said.contains("example.com/dep/v2@v2.0.1: GONOPROXY or GONOSUMDB (by default GOPRIVATE) covers it"),
        "{said}"
    );
    // If a flag names it, it may be sent to the upstream, but not to the database.
    let (code, said, named) = private("b", &[&fetch[..], &["--nosumdb", "example.com/dep"]].concat());
    assert!(code == Some(0) && said.contains("fetched 8 files"), "{said}");
    assert!(!named.is_empty() && named.iter().all(|path| path.starts_with("/example.com/dep/v2/@v/")), "{named:?}");

    let home = Go::new(go, &proxy, &sumdb);
    home.must(&["mod", "download", "example.com/hello@v1.0.0", "example.com/dep/v2@v2.0.1"]);
    origin.take_requests();
    let cache = home.module_cache();
    let import = ["cache", "import", "--modcache", cache.to_str().unwrap()];
    let (code, said, named) = private("c", &import);
    assert_eq!((code, named), (Some(0), Vec::new()), "{said}");
    assert!(said.contains("imported 3 files") && said.contains("1 private versions skipped"), "{said}");
    let (code, said, named) = private("d", &[&import[..], &["--nosumdb", "example.com/dep"]].concat());
    assert_eq!((code, named), (Some(0), Vec::new()), "{said}");
}

fn module_cache(go: &Path) {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let home = Go::new(go, &origin.url(), &origin.gosumdb());
    home.must(&["mod", "download", "example.com/hello@v1.0.0", "example.com/Upper/CaseMod@v1.2.3"]);
    let cache = home.module_cache();
    let zip = cache.join("cache/download/example.com/hello/@v/v1.0.0.zip");
    let right = std::fs::read(&zip).unwrap();
    let mut wrong = right.clone();
    wrong[60] ^= 1;
    std::fs::write(&zip, &wrong).unwrap();
    origin.take_requests();
    let data = folder.path().join("data");
    let import = ["cache", "import", "--modcache", cache.to_str().unwrap()];
    let (code, said) = sumgate(&data, &origin.gosumdb(), &import);
    assert!(code == Some(1) && said.contains("example.com/hello@v1.0.0 .zip refused"), "{said}");
    // Nothing unproved is stored from a cache with wrong bytes, except files that were read before they were detected.
    assert!(["imported 3 files", "imported 4 files"].iter().any(|words| said.contains(words)), "{said}");
    assert!(!files(&data.join("proxy")).contains_key("example.com/hello/@v/v1.0.0.info"));
    let asked = origin.take_requests();
    assert!(
        asked.iter().all(|path| ["/lookup/", "/tile/", "/latest"].iter().any(|of| path.starts_with(of))),
        "{asked:?}"
    );
    assert!(!files(&data.join("proxy")).contains_key("example.com/hello/@v/v1.0.0.zip"));

    // The records are proved now, so the right zip needs no request.
    std::fs::write(&zip, &right).unwrap();
    let (code, said) = sumgate(&data, &origin.gosumdb(), &[&import[..], &["--offline"]].concat());
    let rest = ["imported 2 files (", "imported 3 files ("];
    assert!(code == Some(0) && rest.iter().any(|words| said.starts_with(words)), "{said}");
    let no_cache = ["cache", "import", "--modcache", folder.path().to_str().unwrap()];
    let (code, said) = sumgate(&data, &origin.gosumdb(), &no_cache);
    assert!(code == Some(2) && said.contains("is not a module cache"), "{said}");
    // Modules that go would not look up are not looked up.
    let private = Go::new(go, "off", "off").set("GOPRIVATE", "example.com/hello");
    let (data, sumdb) = (folder.path().join("private"), origin.gosumdb());
    let (code, said) = private.sumgate(&[&import[..], &["--data", data.to_str().unwrap(), "--sumdb", &sumdb]].concat());
    assert!(code == Some(0) && said.contains("imported 3 files"), "{said}");
    assert!(said.contains("1 private versions skipped"), "{said}");
    assert!(!origin.take_requests().iter().any(|path| path.contains("hello")));
    // Without a proof nothing is imported.
    let (code, said) =
        sumgate(&folder.path().join("empty"), &origin.gosumdb(), &[&import[..], &["--offline"]].concat());
    assert!(
        code == Some(2) && said.contains("was not proved here before, and offline it cannot be looked up"),
        "{said}"
    );
    assert_eq!(files(&folder.path().join("empty/proxy")).len(), 0);
    assert_eq!(origin.take_requests(), Vec::<String>::new());
}
