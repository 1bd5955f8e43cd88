//! Host names that the mirror answers to: the host name of a web page can resolve to this machine (DNS rebinding).

use std::io::{Read, Write};
use std::net::TcpStream;

use libtest_mimic::Trial;
use testkit::World;

use crate::fixture::{Mirror, origin, run, sumgate, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("host names: addresses, localhost and --host are served, others get 421", own_names),
        trial("host names: an invalid name is refused at the start", no_names),
    ]
}

const PATH: &str = "/example.com/hello/@v/v1.0.0.info";

/// Sends a request with these header lines; returns the whole answer.
fn ask(mirror: &Mirror, target: &str, hosts: &[&str]) -> String {
    let address = mirror.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let hosts: String = hosts.iter().map(|host| format!("host: {host}\r\n")).collect();
    stream.write_all(format!("GET {target} HTTP/1.1\r\n{hosts}connection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn own_names() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let words = ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb()];
    let plain = Mirror::start_with(&folder.path().join("plain"), &words);
    let flags = ["--host", "mirror.example.com", "--host", "Cache"];
    let named = Mirror::start_with(&folder.path().join("named"), &[&words[..], &flags].concat());
    let mut variable = sumgate();
    variable.env("SUMGATE_HOST", "mirror.example.com,cache");
    let variable = Mirror::start_by(variable, &folder.path().join("variable"), &words);
    for host in ["127.0.0.1", "127.0.0.1:8080", "192.0.2.7", "[::1]:8080", "localhost", "LocalHost:1"] {
        for mirror in [&plain, &named] {
            let answer = ask(mirror, PATH, &[host]);
            assert!(answer.starts_with("HTTP/1.1 200 "), "{host}: {answer}");
        }
    }
    for host in ["mirror.example.com", "MIRROR.example.com.:443", "cache:8080"] {
        for mirror in [&named, &variable] {
            let answer = ask(mirror, PATH, &[host]);
            assert!(answer.starts_with("HTTP/1.1 200 "), "{host}: {answer}");
        }
        assert!(ask(&plain, PATH, &[host]).starts_with("HTTP/1.1 421 "), "{host}");
    }
    for host in ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "x.mirror.example.com", ""] {
        for (mirror, path) in [(&plain, PATH), (&named, PATH), (&named, "/"), (&named, "/sumdb/x/supported")] {
            let answer = ask(mirror, path, &[host]);
            let is_told = answer.contains(&format!("{host:?}")) && answer.contains("--host NAME");
            assert!(answer.starts_with("HTTP/1.1 421 ") && is_told, "{host}: {answer}");
        }
    }
    // A URL with another host, no host, two hosts.
    let absolute = format!("http://evil.example{PATH}");
    for (target, hosts) in [(absolute.as_str(), &["localhost"][..]), (PATH, &["localhost", "evil.example"])] {
        assert!(ask(&named, target, hosts).starts_with("HTTP/1.1 421 "), "{target} {hosts:?}");
    }
    assert!(!ask(&named, PATH, &[]).starts_with("HTTP/1.1 200 "));
}

fn no_names() {
    for wrong in ["http://mirror.example.com", "mirror.example.com:8080", "*"] {
        let output = run(&["serve", "--host", wrong]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains("--host") && said.contains(wrong), "{said}");
    }
}
