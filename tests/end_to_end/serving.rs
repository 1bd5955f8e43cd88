//! How `serve` meets the world: connections, addresses, variables and signals.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use testkit::World;

use crate::fixture::{Mirror, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![trial("serve: an idle connection is closed after --idle-for, and not while a head or an answer comes", idle)]
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
