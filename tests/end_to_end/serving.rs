//! How `serve` meets the world: connections, addresses, variables and signals.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use testkit::World;

use crate::fixture::{Go, Mirror, Running, get, go_trial, origin, request, sumgate, trial, wait};
use crate::hosts::{Hosts, Page};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("serve: an idle connection is closed after --idle-for, and not while a head or an answer comes", idle),
        go_trial("serve: an upstream without a scheme is https, as for go", without_scheme),
        trial("serve: a // of a proxy in front counts as one /", double_slash),
        trial("serve: listens on all interfaces without a host, and on localhost", addresses),
        trial("serve: an empty variable counts as unset", empty_variables),
        trial("serve: goes on after SIGHUP", hangup),
        go_trial("serve: go learns which setting an exempt module needs", exempt),
        trial("serve: with Disable-Module-Fetch only stored files are answered", only_stored),
    ]
}

fn without_scheme(go: &Path) {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let more = ["--upstream", "go.example.com:8443/x|localhost:1,direct", "--sumdb", &origin.gosumdb()];
    let mirror = Mirror::start_with(&folder.path().join("data"), &more);
    let expected = "upstream  https://go.example.com:8443/x|https://localhost:1\n";
    assert!(mirror.greeting.contains(expected), "{}", mirror.greeting);
    drop(mirror);

    let hosts = Hosts::start(&["proxy.test"], folder.path());
    for file in ["list", "v1.0.0.info", "v1.0.0.mod", "v1.0.0.zip"] {
        let path = format!("/example.com/hello/@v/{file}");
        hosts.at(&format!("proxy.test/go{path}"), Page::File(get(&origin.url(), &path).body));
    }
    let ([(proxies, address), (roots, file)], mut program) = (hosts.environment(), sumgate());
    program.envs(hosts.environment());
    let more = ["--upstream", "proxy.test/go", "--sumdb", &origin.gosumdb()];
    let mirror = Mirror::start_by(program, &folder.path().join("other"), &more);
    for goproxy in ["proxy.test/go", &mirror.url] {
        let home = Go::new(go, goproxy, &origin.gosumdb()).set(proxies, &address).set(roots, &file);
        home.must(&["mod", "download", "example.com/hello@v1.0.0"]);
        assert!(!hosts.take_asked().is_empty(), "{goproxy}");
    }
}

fn double_slash() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let more = ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb(), "--base-path", "/go"];
    let mirror = Mirror::start_with(&folder.path().join("data"), &more);
    let root = mirror.url.strip_suffix("/go").unwrap();
    for path in ["//go//example.com/hello/@v/v1.0.0.mod", "/go/example.com///hello//@v/v1.0.0.mod"] {
        assert_eq!(get(root, path).status, 200, "{path}");
    }
    assert_eq!(get(root, "//go//latest").status, 200);
}

fn addresses() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let more = |listen: &str| {
        ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb(), "--listen", listen].map(str::to_owned)
    };
    // The last of several values of a flag would be an error, so this does not use `Mirror::start_with`.
    let start = |listen: &str, data: &str| {
        let mut process = sumgate();
        process.args(["serve", "--data"]).arg(folder.path().join(data)).args(more(listen));
        let mut process = Running(process.stdout(Stdio::piped()).spawn().unwrap());
        let mut first = String::new();
        BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let url = first.trim_end().rsplit(' ').next().unwrap().to_owned();
        (process, url)
    };
    let (_everywhere, url) = start(":0", "everywhere");
    let port = url.strip_prefix("http://127.0.0.1:").expect("an address that can be used").to_owned();
    assert_eq!(get(&url, "/").status, 200);
    assert_eq!(get(&format!("http://127.0.0.2:{port}"), "/").status, 200);
    if TcpListener::bind("[::1]:0").is_ok() {
        assert_eq!(get(&format!("http://[::1]:{port}"), "/").status, 200);
    }
    let (_localhost, url) = start("localhost:0", "localhost");
    assert_eq!(get(&url, "/").status, 200);
    let port = url.strip_prefix("http://127.0.0.1:").expect("the loopback address");
    assert!(TcpStream::connect(format!("127.0.0.2:{port}")).is_err());
}

fn empty_variables() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mut program = sumgate();
    for name in
        ["POLICY", "HOST", "TRUSTED_PROXY", "FRESH_FOR", "OFFLINE", "CONFIG", "ANCHOR", "SUMDB", "DATA", "UPSTREAM"]
    {
        program.env(format!("SUMGATE_{name}"), "");
    }
    let more = ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb()];
    let mirror = Mirror::start_by(program, &folder.path().join("data"), &more);
    assert_eq!(get(&mirror.url, "/example.com/hello/@v/v1.0.0.mod").status, 200);
    let mut check = sumgate();
    check.env("SUMGATE_LISTEN", "").env("SUMGATE_SUMDB", "").env("SUMGATE_UPSTREAM", "");
    let output = check.args(["serve", "--check", "--data"]).arg(folder.path().join("other")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn hangup() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mut mirror = Mirror::start(&origin, &folder.path().join("data"));
    let id = Pid::from_child(&mirror.process.0);
    kill_process(id, Signal::HUP).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(get(&mirror.url, "/").status, 200);
    kill_process(id, Signal::TERM).unwrap();
    assert!(wait(&mut mirror.process.0).success());
}

fn exempt(go: &Path) {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let more =
        ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb(), "--nosumdb", "example.com/hello,corp.example"];
    let mirror = Mirror::start_with(&folder.path().join("data"), &more);
    let home = || Go::new(go, &mirror.url, &format!("{} {}", origin.key(), mirror.url));
    let line = "go env -w GONOSUMDB=\"example.com/hello,corp.example\"";
    home().must_fail(&["mod", "download", "example.com/hello@v1.0.0"], line);
    home().set("GONOSUMDB", "example.com/hello,corp.example").must(&["mod", "download", "example.com/hello@v1.0.0"]);
}

fn only_stored() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    let ask = |path: &str| request(&mirror.url, "GET", path, "Disable-Module-Fetch: true\r\n");
    let paths = ["v1.0.0.info", "v1.0.0.mod", "v1.0.0.zip", "list", "v2.0.0%2Bincompatible.info", "main.info"];
    for path in paths {
        let answer = ask(&format!("/example.com/hello/@v/{path}"));
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
        assert!(answer.text().contains("Disable-Module-Fetch"), "{}", answer.text());
    }
    assert_eq!(ask("/example.com/hello/@latest").status, 404);
    assert_eq!(origin.take_requests(), Vec::<String>::new());
    for extension in ["mod", "zip"] {
        assert_eq!(get(&mirror.url, &format!("/example.com/hello/@v/v1.0.0.{extension}")).status, 200);
    }
    origin.take_requests();
    for path in ["v1.0.0.info", "v1.0.0.mod", "v1.0.0.zip"] {
        assert_eq!(ask(&format!("/example.com/hello/@v/{path}")).status, 200, "{path}");
    }
    assert_eq!(ask("/example.com/hello/@v/list").text(), "v1.0.0\n");
    assert!(ask("/example.com/hello/@latest").text().contains("\"v1.0.0\""));
    assert_eq!(ask("/example.com/hello/@v/v1.1.0.zip").status, 404);
    assert_eq!(origin.take_requests(), Vec::<String>::new());
    // Any other value is ignored.
    let answer = request(&mirror.url, "GET", "/example.com/hello/@v/v1.1.0.mod", "Disable-Module-Fetch: false\r\n");
    assert_eq!(answer.status, 200);
}

/// Reads the home page to its end.
fn home(stream: &mut TcpStream) {
    let mut text = String::new();
    while !text.contains("trusted tree size") {
        let mut piece = [0; 1000];
        let length = stream.read(&mut piece).unwrap();
        assert_ne!(length, 0, "the connection was closed: {text}");
        text.push_str(&String::from_utf8_lossy(&piece[..length]));
    }
}

fn idle() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let more = ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb(), "--idle-for", "2s"];
    let mirror = Mirror::start_with(&folder.path().join("data"), &more);
    let mut stream = TcpStream::connect(mirror.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    home(&mut stream);
    std::thread::sleep(Duration::from_secs(1));
    // The head of the next request takes longer than an idle connection may stay.
    stream.write_all(b"GET / HT").unwrap();
    std::thread::sleep(Duration::from_secs(3));
    stream.write_all(b"TP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    home(&mut stream);
    let start = Instant::now();
    assert_eq!(stream.read(&mut [0; 1]).unwrap_or_default(), 0);
    assert!((1..10).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}
