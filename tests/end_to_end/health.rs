//! `/healthz` and `sumgate health`.

use std::net::TcpListener;

use libtest_mimic::Trial;
use testkit::World;

use crate::fixture::{Mirror, get, origin, request, run, sumgate, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("health: /healthz answers below the base path, whatever the database does", healthz),
        trial("health: the command says whether the mirror answers", command),
        trial(
            "health: the command reads only where the mirror is, and needs no logins and no policy",
            invalid_settings,
        ),
        trial("health: another server is not the mirror", another_server),
    ]
}

fn healthz() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    // The discard port of loopback is closed: neither upstream nor database can be reached.
    let sumdb = format!("{} http://127.0.0.1:9", origin.key());
    let more = ["--upstream", "http://127.0.0.1:9", "--sumdb", &sumdb, "--base-path", "/go"];
    let mirror = Mirror::start_with(&folder.path().join("data"), &more);
    let answer = get(&mirror.url, "/healthz");
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok\n"));
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    let head = request(&mirror.url, "HEAD", "/healthz", "");
    assert_eq!((head.status, head.text().as_str()), (200, ""));
    assert_eq!(request(&mirror.url, "POST", "/healthz", "").status, 405);
    let root = mirror.url.strip_suffix("/go").unwrap();
    for (url, path, status) in [(root, "/healthz", 404), (&mirror.url, "/healthz/x", 404)] {
        assert_eq!(get(url, path).status, status, "{url}{path}");
    }
}

fn command() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mut mirror = Mirror::start(&origin, &folder.path().join("data"));
    let port = mirror.url.rsplit(':').next().unwrap().to_owned();
    let (listen, everywhere, url) = (format!("127.0.0.1:{port}"), format!(":{port}"), mirror.url.clone());
    let config = folder.path().join("serve.toml");
    std::fs::write(&config, format!("[serve]\nlisten = \"0.0.0.0:{port}\"\n")).unwrap();
    let ways = [
        vec!["--listen", &listen],
        vec!["--listen", &everywhere],
        vec!["--url", &url],
        vec!["--config", config.to_str().unwrap()],
    ];
    let ask = |way: &[&str]| {
        // A proxy of the environment is not between a mirror and its own check.
        let mut program = sumgate();
        program.arg("health").args(way).env("HTTP_PROXY", "http://127.0.0.1:9").env("SSL_CERT_FILE", "");
        let output = program.output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    for way in &ways[..2] {
        assert_eq!(ask(way), (Some(0), format!("{url} answers\n")), "{way:?}");
    }
    for way in &ways[2..] {
        let output = run(&[&["health"], way.as_slice()].concat());
        assert_eq!(output.status.code(), Some(0), "{way:?}: {output:?}");
    }
    mirror.process.0.kill().unwrap();
    mirror.process.0.wait().unwrap();
    for way in &ways[..2] {
        let (exit, output) = ask(way);
        assert_eq!((exit, output.contains("the mirror does not answer")), (Some(2), true), "{output}");
    }
    for wrong in [&["--listen", "127.0.0.1:0"][..], &["--url", "ftp://a.example"]] {
        assert_eq!(ask(wrong).0, Some(2), "{wrong:?}");
    }
}

/// A mirror with valid settings answers on, and another user than its own may ask it.
fn invalid_settings() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    let config = folder.path().join("serve.toml");
    let listen = mirror.url.strip_prefix("http://").unwrap();
    let others =
        "policy = \"nowhere.toml\"\nno-flag = 1\n[[upstream]]\nurl = \"https://a.example\"\ntoken-file = \"nowhere\"\n";
    for (listen, exit) in [(listen, Some(0)), ("x", Some(2))] {
        std::fs::write(&config, format!("[serve]\nlisten = \"{listen}\"\n{others}")).unwrap();
        let output = run(&["health", "--config", config.to_str().unwrap()]);
        assert_eq!(output.status.code(), exit, "{output:?}");
    }
}

fn another_server() {
    let origin = origin(World::demo());
    origin.misbehave("/healthz", testkit::Fault::Body("<html>welcome</html>".into()));
    let output = run(&["health", "--url", &origin.url()]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("does not answer like a sumgate mirror"), "{output:?}");
    // One that accepts, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let output = run(&["health", "--listen", &silent.local_addr().unwrap().to_string()]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("the mirror does not answer"), "{output:?}");
}
