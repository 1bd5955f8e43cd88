//! The same work by other mirrors: a cold and a warm `go mod download` of 29 modules, `.info` and a zip of 60 MB under load,
//! memory, and fifty clients that want one cold zip at once.
//!
//! Yardsticks: goproxy and Athens, as `benches/yardstick/peers` builds them into the folder `SUMGATE_BENCH_PEERS`. Needs `go` and
//! wrk. What is missing is said. The clients of the peers verify with the database itself; those of sumgate through the mirror.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a benchmark may panic")]

#[path = "shared/go_client.rs"]
mod go_client;
#[path = "shared/http.rs"]
mod http;
#[path = "shared/memory_of.rs"]
mod memory_of;
#[path = "shared/mirror.rs"]
mod mirror;
#[path = "shared/wrk.rs"]
mod wrk;
#[path = "shared/zip_of.rs"]
mod zip_of;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use go_client::{download, many};
use mirror::Mirror;
use testkit::{Origin, World};

const MODULES: usize = 29;
const CLIENTS: usize = 50;
const RUNS: usize = 5;
const INFO: &str = "example.com/many/m0/@v/v1.0.0.info";
const ZIP: &str = "example.com/large/@v/v1.0.0.zip";

/// What a server did. Times in milliseconds.
#[derive(Default)]
struct Figures {
    cold: f64,
    warm: f64,
    infos: f64,
    gigabytes: f64,
    at_once: f64,
    zips_fetched: usize,
    memory: f64,
}

fn main() {
    let smoke = std::env::args().any(|word| word == "--test");
    let Some(go) = go_client::go() else {
        println!("not measured: no go command on the PATH");
        return;
    };
    let mut world = World::demo();
    go_client::add_many(&mut world, MODULES);
    zip_of::add_zip(&mut world, "example.com/large@v1.0.0", if smoke { 1 } else { 60 } * zip_of::MB);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let origin = runtime.block_on(Origin::start(world)).unwrap();
    let folder = std::env::var_os("SUMGATE_BENCH_PEERS").map(PathBuf::from).unwrap_or_default();
    println!(
        "| | cold download | warm download | `.info`, 64 connections | 60 MB zip, 8 connections | {CLIENTS} clients, one cold zip | memory at most |"
    );
    println!("|---|---|---|---|---|---|---|");
    for name in ["sumgate", "goproxy", "athens"] {
        let program = folder.join(name);
        if name != "sumgate" && !program.is_file() {
            println!("| {name} | not measured: SUMGATE_BENCH_PEERS names no folder with it |");
            continue;
        }
        let runs = if smoke { 1 } else { RUNS };
        let all: Vec<_> = (0..runs).map(|_| measure(name, &program, &go, &origin, smoke)).collect();
        let median = |of: fn(&Figures) -> f64| {
            let mut values: Vec<_> = all.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        println!(
            "| {name} | {:.0} ms | {:.0} ms | {:.1} thousand/s | {:.2} GB/s | {:.0} ms, {} fetched | {:.0} MB |",
            median(|one| one.cold),
            median(|one| one.warm),
            median(|one| one.infos),
            median(|one| one.gigabytes),
            median(|one| one.at_once),
            all.iter().map(|one| one.zips_fetched).max().unwrap(),
            median(|one| one.memory)
        );
    }
}

fn measure(name: &str, program: &Path, go: &Path, origin: &Origin, smoke: bool) -> Figures {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(name, program, data.path(), origin);
    let mut figures = Figures::default();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    figures.cold = milliseconds(download(go, &server.url, &server.gosumdb, &many(MODULES)));
    figures.warm = milliseconds(download(go, &server.url, &server.gosumdb, &many(MODULES)));
    let _ = origin.take_requests();
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| assert!(http::get(&server.url, ZIP) > 0));
        }
    });
    figures.at_once = milliseconds(begin.elapsed());
    figures.zips_fetched =
        origin.take_requests().iter().filter(|request| request.ends_with("large/@v/v1.0.0.zip")).count();
    if wrk::is_here() {
        let seconds = if smoke { 1 } else { 3 };
        figures.infos = wrk::run(&format!("{}/{INFO}", server.url), &[], 64, seconds).0 / 1e3;
        figures.gigabytes = wrk::run(&format!("{}/{ZIP}", server.url), &[], 8, seconds).1 / 1e9;
    }
    figures.memory = memory_of::resident(&server.process, "VmHWM");
    figures
}

/// A mirror in a process of its own, ended when dropped.
struct Server {
    url: String,
    /// What its clients verify with.
    gosumdb: String,
    process: Child,
}

impl Server {
    fn start(name: &str, program: &Path, data: &Path, origin: &Origin) -> Self {
        if name == "sumgate" {
            let mut mirror = Mirror::start(data, &origin.url(), &origin.gosumdb());
            let gosumdb = format!("{} {}", origin.key(), mirror.url);
            let url = mirror.url.clone();
            let nothing = Command::new("true").spawn().unwrap();
            return Self { url, gosumdb, process: std::mem::replace(&mut mirror.process, nothing) };
        }
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", data);
        command.env("GOENV", "off").env("GOTOOLCHAIN", "local").env("GOFLAGS", "-modcacherw");
        command.env("GOPROXY", origin.url()).env("GOSUMDB", origin.gosumdb());
        if name == "goproxy" {
            command.args(["server", "--address", &address, "--cacher-dir"]).arg(data.join("cache"));
        } else {
            std::fs::create_dir_all(data.join("store")).unwrap();
            let settings = format!("GOPROXY={};GOSUMDB={}", origin.url(), origin.gosumdb());
            command.env("ATHENS_STORAGE_TYPE", "disk").env("ATHENS_DISK_STORAGE_ROOT", data.join("store"));
            command.env("ATHENS_PORT", &address).env("ATHENS_GO_BINARY_ENV_VARS", settings);
            command.env("ATHENS_LOG_LEVEL", "error");
        }
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begin = Instant::now();
        while std::net::TcpStream::connect(&address).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(20), "{name} does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { url: format!("http://{address}"), gosumdb: origin.gosumdb(), process }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
