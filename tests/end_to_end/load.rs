//! Load: connections that never read, and requests that never end.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use testkit::World;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::fixture::{Go, Mirror, go_trial, origin, runtime, trial};

pub fn trials() -> Vec<Trial> {
    let crowd = go_trial(
        "load: 5,000 clients that never read or never send, from one address or fifty, do not block others",
        crowd,
    );
    let has_files = getrlimit(Resource::Nofile).maximum.is_none_or(|maximum| maximum >= FILES);
    let crowd = if has_files { crowd } else { crowd.with_ignored_flag(true) };
    vec![
        crowd,
        trial("load: one client gets at most half of the connections", half),
        trial("load: under load one client gets a quarter, and a trusted proxy says which client it is", shares),
    ]
}

const HOSTILE: usize = 5_000;
/// Open files that the mirror needs for all connections, and this test for its clients.
const FILES: u64 = 17_408;
const LARGE: &str = "/example.com/large/@v/v1.0.0.zip";

/// A module whose zip is larger than the buffers of a connection.
fn world() -> World {
    let (mut world, mut random, mut text) =
        (World::demo(), fastrand::Rng::with_seed(7), String::from("package large\n"));
    while text.len() < 24 << 20 {
        let _ =
            writeln!(text, "// {:x}{:x}{:x}{:x}", random.u128(..), random.u128(..), random.u128(..), random.u128(..));
    }
    world.add_files("example.com/large@v1.0.0", &[("go.mod", "module example.com/large\n"), ("large.go", &text)]);
    world
}

/// The mirror, with so many open files at the start.
fn mirror(data: &Path, limit: &str, words: &[&str]) -> Mirror {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit {limit} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_sumgate")]);
    Mirror::start_by(shell, data, words)
}

/// A connection from this loopback address, on which this much of a request was sent.
async fn client(mirror: &Mirror, from: Ipv4Addr, request: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.into(), 0)).unwrap();
    let mut stream = socket.connect(mirror.url.strip_prefix("http://").unwrap().parse().unwrap()).await.unwrap();
    // The mirror may have closed it already.
    let _ = stream.write_all(request.as_bytes()).await;
    stream
}

fn address(nth: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, u8::try_from(nth + 1).unwrap())
}

fn get(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{more}\r\n")
}

fn crowd(go: &Path) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: current.max(Some(FILES)), maximum }).unwrap();
    let (origin, data) = (origin(world()), tempfile::tempdir().unwrap());
    let words = ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb()];
    // The usual limit.
    let mirror = mirror(data.path(), "-Sn 1024", &words);
    let download = || {
        let home = Go::new(go, &mirror.url, &origin.gosumdb());
        let start = Instant::now();
        home.must(&["mod", "download", "example.com/hello@v1.1.0"]);
        start.elapsed()
    };
    let best = || (0..3).map(|_| download()).min().unwrap().as_secs_f64();
    download();
    let alone = best();
    for addresses in [1, 50] {
        let hostile = runtime().block_on(async {
            let mut hostile = Vec::new();
            for nth in 0..HOSTILE {
                let request = get(LARGE, "");
                // Half of them stop in the middle of the head.
                let request = if nth % 2 == 0 { &request } else { &request[..request.len() - 2] };
                hostile.push(client(&mirror, address(nth % addresses), request).await);
            }
            hostile
        });
        println!("{addresses} addresses: {:.2} times", best() / alone);
        let process = format!("/proc/{}", mirror.process.0.id());
        let open = std::fs::read_dir(format!("{process}/fd")).unwrap();
        let open: Vec<_> = open.filter_map(|entry| entry.unwrap().path().read_link().ok()).collect();
        let sockets =
            open.iter().filter(|place| place.starts_with("socket:") || place.to_string_lossy().contains("socket:"));
        // Half of those that sent a request. On a slow machine the heads of the others time out before all are connected.
        assert!(sockets.count() >= HOSTILE / 4, "most of those that sent a request are connected");
        assert_eq!(open.iter().filter(|place| place.ends_with("v1.0.0.zip")).count(), 1, "readers share an open file");
        let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
        let memory: u64 = status.split_once("VmRSS:").unwrap().1.split_whitespace().next().unwrap().parse().unwrap();
        assert!(memory < 250 << 10, "{memory} KB");
        drop(hostile);
    }
}

/// Complete and partial requests, five times the limit.
fn half() {
    let (origin, data) = (origin(world()), tempfile::tempdir().unwrap());
    let mirror = mirror(data.path(), "-n 256", &["--upstream", &origin.url(), "--sumdb", &origin.gosumdb()]);
    runtime().block_on(async {
        let request = get(LARGE, "");
        for part in [request.len(), request.len() - 2] {
            let mut hostile = Vec::new();
            for _ in 0..320 {
                hostile.push(client(&mirror, address(0), &request[..part]).await);
            }
            for _ in 0..3 {
                let mut modest = client(&mirror, address(1), &get("/example.com/hello/@v/v1.0.0.info", "")).await;
                let mut start = [0; 12];
                let read = tokio::time::timeout(Duration::from_secs(4), modest.read_exact(&mut start)).await;
                assert!(read.is_ok() && &start == b"HTTP/1.1 200", "{part} bytes of a request: {start:?}");
            }
        }
    });
}

/// How many of these clients have got an answer, or the beginning of one.
async fn answered(clients: &[TcpStream]) -> usize {
    let mut count = 0;
    for client in clients {
        count += usize::from(tokio::time::timeout(Duration::ZERO, client.readable()).await.is_ok());
    }
    count
}

fn shares() {
    let (origin, data) = (origin(world()), tempfile::tempdir().unwrap());
    let words = ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb(), "--trusted-proxy", "127.0.2.0/24"];
    // A limit of 64 requests.
    let mirror = mirror(data.path(), "-n 256", &words);
    let (greedy, modest, proxy) = (address(0), address(1), Ipv4Addr::new(127, 0, 2, 1));
    runtime().block_on(async {
        let answers = |from, more: &'static str| {
            let mirror = &mirror;
            async move {
                let mut stream = client(mirror, from, &get("/example.com/hello/@v/v1.0.0.info", more)).await;
                let mut start = [0; 12];
                let read = tokio::time::timeout(Duration::from_secs(2), stream.read_exact(&mut start)).await;
                (read.is_ok() && &start == b"HTTP/1.1 200", stream)
            }
        };
        // One of them brings the module here.
        let mut hostile = vec![client(&mirror, greedy, &get(LARGE, "")).await];
        hostile[0].readable().await.unwrap();
        for _ in 0..31 {
            hostile.push(client(&mirror, greedy, &get(LARGE, "")).await);
        }
        // A quarter is 16; the others wait, and their connections keep the load high.
        while answered(&hostile).await < 16 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(answers(modest, "").await.0, "another client has its turn");
        assert!(answers(proxy, "x-forwarded-for: 192.0.2.1\r\n").await.0, "so has one behind a proxy");
        assert!(
            !answers(proxy, "x-forwarded-for: 192.0.2.1, 127.0.1.1\r\n").await.0,
            "the header names the greedy one"
        );
        assert!(answers(modest, "x-forwarded-for: 127.0.1.1\r\n").await.0, "nobody believes this one");
        let (answered, mut waiting) = answers(proxy, "x-forwarded-for: 127.0.1.1\r\n").await;
        assert!(!answered, "it holds more than a quarter");
        drop(hostile);
        let mut start = [0; 12];
        waiting.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200", "its turn came");
    });
}
