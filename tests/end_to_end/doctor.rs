//! `sumgate doctor`: each weakness shown in an environment that has it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use libtest_mimic::Trial;
use testkit::{Fault, Origin, World};

use crate::fixture::{Go, Mirror, go_trial, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("doctor: each setting has its code and its command", settings),
        trial("doctor: a go that is too old", an_old_go),
        trial("doctor: without go, it is not clean", without_go),
        trial("doctor: a go that fails, or leaves a child, is reported and not waited for", a_go_that_fails),
        trial("doctor: go.sum files without a go.mod", orphans),
        trial("doctor: a mirror that does not answer", a_silent_mirror),
        trial("doctor: another server at the address of the mirror", another_server),
        go_trial("doctor: a client that has a newer head than its mirror", ahead_of_the_mirror),
        go_trial("doctor: go's own defaults are fine", defaults),
    ]
}

/// A home with a `go` that has no settings of its own.
fn home(goproxy: &str) -> Go {
    with_go(Go::new(Path::new("/nonexistent"), goproxy, "sum.golang.org"), "echo '{}'")
}

fn finds(home: &Go, code: &str, command: &str) {
    let (exit, output) = home.sumgate(&["doctor"]);
    assert_eq!((exit, output.contains(&format!("[{code}]"))), (Some(1), true), "{output}");
    let (exit, output) = home.sumgate(&["doctor", "--fix"]);
    assert_eq!((exit, output.as_str()), (Some(1), command));
}

fn settings() {
    let default = "https://proxy.golang.org,direct";
    assert_eq!(home(default).sumgate(&["doctor"]), (Some(0), "clean\n".to_owned()));
    finds(&home(default).set("GOSUMDB", "off"), "sumdb-off", "export GOSUMDB=sum.golang.org\n");
    finds(&home(default).set("GONOSUMDB", "github.com"), "wide-nosumdb", "unset GONOSUMDB\n");
    finds(&home(default).set("GOPRIVATE", "*"), "wide-private", "unset GOPRIVATE\n");
    finds(&home("file:///srv/go").set("GOTOOLCHAIN", "auto"), "file-proxy", "export GOTOOLCHAIN=local\n");
    let insecure = home(default).set("GOINSECURE", "*");
    let (exit, output) = insecure.sumgate(&["doctor"]);
    assert_eq!((exit, output.contains("note[insecure]")), (Some(0), true), "{output}");
    assert_eq!(insecure.sumgate(&["doctor", "--deny", "note"]).0, Some(1));
    assert_eq!(insecure.sumgate(&["doctor", "--fix"]), (Some(0), "unset GOINSECURE\n".to_owned()));
    let origin = origin(World::demo());
    let mirror = origin.url();
    finds(&home(&format!("{mirror},direct")), "direct-behind-mirror", &format!("export GOPROXY={mirror}\n"));
}

/// A fake `go` of that version.
fn an_old_go() {
    let script = "echo '{\"GOVERSION\": \"go1.26.5\", \"GOPROXY\": \"https://proxy.golang.org,direct\"}'";
    let home = home_with_go(script);
    finds(&home, "old-go", "export GOTOOLCHAIN=go1.26.6+auto\n");
    // And this fixes it.
    assert_eq!(home.set("GOTOOLCHAIN", "go1.26.6+auto").sumgate(&["doctor"]).0, Some(0));
}

fn home_with_go(script: &str) -> Go {
    with_go(Go::new(Path::new("/nonexistent"), "https://proxy.golang.org,direct", "sum.golang.org"), script)
}

/// Without `go`, what `go env -w` wrote is unknown.
fn without_go() {
    let home = Go::new(Path::new("/nonexistent"), "https://proxy.golang.org,direct", "sum.golang.org");
    let home = home.set("PATH", "/nonexistent");
    for words in [&["doctor"][..], &["doctor", "--fix"]] {
        let (exit, output) = home.sumgate(words);
        assert!(exit == Some(2) && !output.contains("clean"), "{output}");
        assert!(output.contains("there is no go command on the PATH"), "{output}");
    }
}

fn with_go(home: Go, script: &str) -> Go {
    home.write("bin/go", &format!("#!/bin/sh\n{script}\n"));
    let go = home.home().join("bin/go");
    std::fs::set_permissions(&go, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", home.home().join("bin").display());
    home.set("PATH", &path)
}

fn a_go_that_fails() {
    let (exit, output) = home_with_go("echo 'go: bad flag -x' >&2; exit 1").sumgate(&["doctor"]);
    assert_eq!(exit, Some(2));
    assert!(output.contains("exit status: 1: \"go: bad flag -x\""), "{output}");
    let (exit, output) = home_with_go("sleep 60 & echo $! > left; exit 0").sumgate(&["doctor"]);
    assert_eq!((exit, output.contains("did not end within 10 seconds")), (Some(2), true), "{output}");
}

fn orphans() {
    let home = home("https://proxy.golang.org,direct");
    home.write("a/go.sum", "");
    home.write("b/go.sum", "");
    home.write("b/go.mod", "module b.com/b\n");
    home.write("c/go.work.sum", "");
    finds(&home, "sum-without-mod", "git rm -- a/go.sum\n");
}

fn a_silent_mirror() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let home = home(&format!("http://{address}"));
    assert!(home.sumgate(&["doctor"]).1.contains("[mirror-unreachable]"));
    let (exit, output) = home.sumgate(&["doctor", "--fix"]);
    assert_eq!((exit, output.contains("no command fixes [mirror-unreachable]")), (Some(1), true), "{output}");
}

fn another_server() {
    let (there, other) = (origin(World::demo()), origin(World::new(World::demo().name(), [9; 32])));
    other.world().pad(3);
    let head = other.world().head_at(3).unwrap();
    let client = home(&there.url()).set("GOSUMDB", &there.key());
    let latest = format!("/sumdb/{}/latest", there.world().name());
    assert_eq!(client.sumgate(&["doctor"]), (Some(0), "clean\n".to_owned()));
    for (fault, found) in [
        (Fault::Body("<html><title>Welcome</title></html>".into()), "found \"<html><title>Welcome"),
        (Fault::Body("".into()), "found \"\""),
        (Fault::Body("x".repeat(2 << 20).into()), "the answer is larger than"),
        (Fault::Body(head.into()), "found \"go.sum database tree 3"),
        (Fault::Status(500, "down"), "HTTP status 500"),
        (Fault::Status(503, "down"), "HTTP status 503"),
        (Fault::Status(400, "https only"), "HTTP status 400: https only"),
    ] {
        there.misbehave(&latest, fault);
        let (exit, output) = client.sumgate(&["doctor"]);
        assert_eq!((exit, output.contains("[mirror-unreachable]")), (Some(1), true), "{output}");
        assert!(output.contains(found), "{output}");
    }
    for status in [404, 410, 403, 401] {
        there.misbehave(&latest, Fault::Status(status, "not here"));
        let (exit, output) = client.sumgate(&["doctor"]);
        assert_eq!((exit, output.as_str()), (Some(0), "clean\n"), "{status}");
    }
}

/// A `go` that asked the database directly remembers a newer head than the mirror.
fn ahead_of_the_mirror(go: &Path) {
    let (origin, data) = (origin(World::demo()), tempfile::tempdir().unwrap());
    origin.show(Some(400));
    let mirror = Mirror::start(&origin, &data.path().join("data"));
    let key = origin.key();
    let fetch = |origin: &Origin, url: &str| {
        let client = Go::new(go, &origin.url(), &format!("{key} {url}")).set("GOTOOLCHAIN", "local");
        client.must(&["mod", "download", "example.com/hello@v1.0.0"]);
        client
    };
    // The mirror trusts the tree of 400 records.
    fetch(&origin, &mirror.url);
    origin.show(None);
    let client = fetch(&origin, &origin.url());
    let client = client.set("GOPROXY", &mirror.url).set("GOSUMDB", &key);
    let (exit, output) = client.sumgate(&["doctor"]);
    assert_eq!((exit, output.contains("[mirror-behind]")), (Some(1), true), "{output}");
    assert!(output.contains("a tree of 607 records, but the mirror has 400"), "{output}");
}

fn defaults(go: &Path) {
    let home = Go::new(go, "https://proxy.golang.org,direct", "sum.golang.org");
    let (exit, output) = home.sumgate(&["doctor"]);
    assert_eq!((exit, output.as_str()), (Some(0), "clean\n"));
}
