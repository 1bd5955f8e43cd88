//! HTTP_PROXY, HTTPS_PROXY and NO_PROXY: the mirror uses them as the `go` command does.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;

use libtest_mimic::Trial;
use testkit::{Origin, World};

use crate::fixture::{Go, Mirror, get, go_trial, origin, sumgate, trial};

const LIST: &str = "/example.com/hello/@v/list";
const ZIP: &str = "/example.com/hello/@v/v1.0.0.zip";
/// No name server knows it: only a proxy can.
const ELSEWHERE: &str = "http://modules.invalid";

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("proxies: the recorded answers are those of go", answers_of_go),
        trial("proxies: servers on this machine are asked without a proxy", servers_here),
        go_trial("proxies: an upstream and a database elsewhere are asked through HTTP_PROXY, as by go", elsewhere),
        trial("proxies: NO_PROXY and ALL_PROXY are read as by go", exceptions),
        go_trial("proxies: a socks5 proxy looks the name up, as for go", socks),
        trial("proxies: an unusable proxy is an error at the start", unusable),
        trial("proxies: if the proxy cannot be reached, the message names it, without its login", unreachable),
    ]
}

fn answers_of_go(go: &Path) {
    let home = Go::new(go, "off", "off");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = home.root().join("proxies");
    home.must(&["build", "-o", program.to_str().unwrap(), root.join("testdata/proxies/main.go").to_str().unwrap()]);
    let cases = std::fs::read_to_string(root.join("src/upstream/proxy_cases.txt")).unwrap();
    for case in cases.split("\n\n").skip(1) {
        let (urls, proxies): (Vec<&str>, Vec<&str>) =
            case.lines().filter_map(|line| line.strip_prefix("  ")?.split_once(' ')).unzip();
        let mut command = home.command(&program);
        command.envs(case.lines().filter_map(|line| line.split_once('=')));
        let mut running = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        running.stdin.take().unwrap().write_all(urls.join("\n").as_bytes()).unwrap();
        let output = running.wait_with_output().unwrap();
        assert!(output.status.success(), "{case}");
        assert_eq!(String::from_utf8(output.stdout).unwrap().lines().collect::<Vec<_>>(), proxies, "{case}");
    }
}

/// The mirror over an upstream and a database, with these variables.
fn mirror(folder: &Path, upstream: &str, origin: &Origin, variables: &[(&str, &str)]) -> Mirror {
    let mut program = sumgate();
    program.envs(variables.iter().copied());
    let gosumdb = format!("{} {upstream}", origin.key());
    Mirror::start_by(program, &folder.join("data"), &["--upstream", upstream, "--sumdb", &gosumdb])
}

fn servers_here() {
    let (modules, proxy, folder) = (origin(World::demo()), origin(World::demo()), tempfile::tempdir().unwrap());
    let private = folder.path().join("serve.toml");
    let url = modules.url().replace("127.0.0.1", "localhost");
    std::fs::write(&private, format!("[[private]]\npatterns = \"example.com/legacy\"\nurl = {url:?}\n")).unwrap();
    let mut program = sumgate();
    program.env("HTTP_PROXY", proxy.url()).env("https_proxy", proxy.url());
    let words = ["--upstream", &modules.url(), "--sumdb", &modules.gosumdb(), "--config", private.to_str().unwrap()];
    let mirror = Mirror::start_by(program, &folder.path().join("data"), &words);
    for path in [ZIP, "/example.com/legacy/@v/list"] {
        assert_eq!(get(&mirror.url, path).status, 200, "{path}");
    }
    assert_eq!(proxy.take_requests(), [""; 0], "the proxy received a request for a server on this machine");
}

fn elsewhere(go: &Path) {
    let (proxy, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    // The origin looks at the path of a request only, as a proxy may be asked.
    let words = ["mod", "download", "example.com/hello@v1.0.0"];
    let gosumdb = format!("{} {ELSEWHERE}", proxy.key());
    Go::new(go, ELSEWHERE, &gosumdb).set("HTTP_PROXY", &proxy.url()).must(&words);
    let variables = [("HTTP_PROXY", &*proxy.url())];
    let mirror = mirror(folder.path(), ELSEWHERE, &proxy, &variables);
    Go::new(go, &mirror.url, &format!("{} {}", proxy.key(), mirror.url)).set("HTTP_PROXY", &proxy.url()).must(&words);
}

fn exceptions() {
    let proxy = origin(World::demo());
    let url = proxy.url();
    for (variables, reached) in [
        (&[("HTTP_PROXY", &*url), ("NO_PROXY", "other.invalid,10.0.0.0/8")][..], true),
        (&[("http_proxy", &*url)], true),
        (&[("HTTP_PROXY", &*url), ("NO_PROXY", "modules.invalid:80")], false),
        (&[("HTTP_PROXY", &*url), ("NO_PROXY", ".invalid")], false),
        (&[("HTTP_PROXY", &*url), ("no_proxy", "*")], false),
        (&[("HTTPS_PROXY", &*url)], false),
        (&[("ALL_PROXY", &*url)], false),
        (&[("HTTP_PROXY", "")], false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mirror = mirror(folder.path(), ELSEWHERE, &proxy, variables);
        assert_eq!(get(&mirror.url, LIST).status, if reached { 200 } else { 502 }, "{variables:?}");
        assert_eq!(proxy.take_requests().is_empty(), !reached, "{variables:?}");
    }
}

/// A SOCKS5 server (RFC 1928) for clients without a login; it connects every name to `to`, and returns the names.
fn socks_server(to: SocketAddr) -> (SocketAddr, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, (names, asked)) = (listener.local_addr().unwrap(), std::sync::mpsc::channel());
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let names = names.clone();
            std::thread::spawn(move || {
                let mut client: TcpStream = client.unwrap();
                let bytes = |count: usize, client: &mut TcpStream| {
                    let mut read = vec![0; count];
                    client.read_exact(&mut read).unwrap();
                    read
                };
                let methods = bytes(2, &mut client)[1];
                bytes(methods.into(), &mut client);
                client.write_all(&[5, 0]).unwrap();
                let request = bytes(5, &mut client);
                assert_eq!(request[..4], [5, 1, 0, 3], "expected to connect to a name");
                let name = bytes(request[4].into(), &mut client);
                bytes(2, &mut client);
                names.send(String::from_utf8(name).unwrap()).unwrap();
                client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
                let server = TcpStream::connect(to).unwrap();
                let (mut back, mut up) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut client, &mut up));
                let _ = std::io::copy(&mut &server, &mut back);
            });
        }
    });
    (address, asked)
}

fn socks(go: &Path) {
    let (modules, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let (address, names) = socks_server(modules.url()["http://".len()..].parse().unwrap());
    let proxy = format!("socks5://{address}");
    let home = Go::new(go, ELSEWHERE, &format!("{} {ELSEWHERE}", modules.key())).set("HTTP_PROXY", &proxy);
    home.must(&["mod", "download", "example.com/hello@v1.0.0"]);
    assert!(names.try_iter().all(|name| name == "modules.invalid"));
    let mirror = mirror(folder.path(), ELSEWHERE, &modules, &[("HTTP_PROXY", &proxy)]);
    assert_eq!(get(&mirror.url, ZIP).status, 200);
    assert_eq!(names.recv().unwrap(), "modules.invalid");
}

fn unusable() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = sumgate();
    program
        .env("HTTPS_PROXY", "gopher://me:word@proxy.example")
        .args(["serve", "--data"])
        .arg(folder.path().join("data"));
    let output = program.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("HTTPS_PROXY has an invalid proxy address: expected http://"), "{message}");
    assert!(message.starts_with("sumgate: cannot set up the HTTP client: HTTPS_PROXY"), "{message}");
    assert!(!message.contains("word"), "{message}");
}

fn unreachable() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gosumdb = format!("{} {ELSEWHERE}", origin.key());
    for (scheme, shown) in [("http", "http"), ("socks5", "socks5h")] {
        let mut program = sumgate();
        program
            .env("HTTP_PROXY", format!("{scheme}://me:word@{closed}"))
            .args(["sumdb", "lookup", "--sumdb", &gosumdb]);
        let output = program.arg("--data").arg(folder.path()).arg("example.com/hello@v1.0.0").output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        let named = format!("{ELSEWHERE}: through the proxy {shown}://{closed}: ");
        assert!(message.contains(&named) && !message.contains("word"), "{message}");
    }
    // An audit has one line for all that it did not check.
    let go_sum = folder.path().join("go.sum");
    let lines = ["a", "b", "c"]
        .map(|name| format!("example.com/{name} v1.0.0 h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=\n"));
    std::fs::write(&go_sum, lines.concat()).unwrap();
    let mut audit = sumgate();
    audit.env("HTTP_PROXY", format!("http://{closed}")).args(["audit", "--no-policy", "--sumdb", &gosumdb, "--data"]);
    let output = audit.arg(folder.path()).arg(&go_sum).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        shown.contains(&format!("cannot be reached (through the proxy http://{closed}: connection refused)")),
        "{shown}"
    );
}
