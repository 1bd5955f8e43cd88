//! The memory of the mirror: while large zips come in and go out, with 500 clients for one zip that is not there yet, and with a
//! million cached files.
//!
//! Memory is what the process has in RAM (`VmRSS`), and its peak (`VmHWM`), from `/proc`; 0 on systems without it. Buffers of the
//! system, such as those of sockets, are not in it.
#![expect(clippy::case_sensitive_file_extension_comparisons, reason = "files are named by our own code")]
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a benchmark may panic")]

#[path = "shared/http.rs"]
mod http;
#[path = "shared/memory_of.rs"]
mod memory_of;
#[path = "shared/mirror.rs"]
mod mirror;
#[path = "shared/rows.rs"]
mod rows;
#[path = "shared/zip_of.rs"]
mod zip_of;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;

use gomodule::module::ModuleVersion;
use http::get;
use mirror::Mirror;
use rows::{Length, Rows};
use testkit::{Origin, World};
use zip_of::{MB, add_zip};

/// Versions of a module.
const VERSIONS: usize = 100;
/// Enough for a client that reads and forgets. 500 of the usual size would be a gigabyte of address space.
const STACK: usize = 128 << 10;
/// Connections that ask for cached files.
const CLIENTS: usize = 8;

fn main() {
    let rows = Rows::of_the_command_line();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let is_smoke = rows.length == Length::Smoke;
    let (clients, large, huge) = if is_smoke { (20, 1, 3) } else { (500, 60, 300) };
    download(&rows, &runtime, &format!("memory over idle: {huge} MB fetched, hashed and served to 8 clients"), 8, huge);
    download(
        &rows,
        &runtime,
        &format!("memory over idle: {clients} clients for a cold zip of {large} MB"),
        clients,
        large,
    );
    match rows.length {
        Length::Smoke => cached(&rows, &runtime, 2_000, 200),
        Length::Quick => cached(&rows, &runtime, 100_000, 6_000),
        // More proved files than the mirror remembers.
        Length::Full => cached(&rows, &runtime, 1_000_000, 60_000),
    }
}

/// So many clients ask for a zip that is not there yet.
fn download(rows: &Rows, runtime: &tokio::runtime::Runtime, name: &str, clients: usize, mb: usize) {
    if !rows.wants(name) {
        return;
    }
    let mut world = World::demo();
    add_zip(&mut world, "example.com/large@v1.0.0", mb * MB);
    let origin = runtime.block_on(Origin::start(world)).unwrap();
    let data = tempfile::tempdir().unwrap();
    let mirror = Mirror::start(data.path(), &origin.url(), &origin.gosumdb());
    get(&mirror.url, "example.com/hello/@v/v1.0.0.mod");
    let idle = memory_of::resident(&mirror.process, "VmRSS");
    std::thread::scope(|scope| {
        for _ in 0..clients {
            let client = || assert!(get(&mirror.url, "example.com/large/@v/v1.0.0.zip") > mb * MB);
            std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, client).unwrap();
        }
    });
    let more = memory_of::resident(&mirror.process, "VmHWM") - idle;
    rows.print(name, &format!("idle: {idle:.1} MB"), (more, &format!("{more:.1} MB")), &(0.0..=64.0));
}

/// So many cached files, of which some are go.mod files with a record and the others `.info` files. Each is asked for once.
fn cached(rows: &Rows, runtime: &tokio::runtime::Runtime, files: usize, proved: usize) {
    let names = ["after the start with", "after each was asked for once:"]
        .map(|when| format!("memory {when} {files} cached files"));
    if !names.iter().any(|name| rows.wants(name)) {
        return;
    }
    let mut world = World::demo();
    for nth in 0..proved {
        let module = ModuleVersion::parse(&format!("example.com/m{}@v1.0.{}", nth / VERSIONS, nth % VERSIONS)).unwrap();
        world.add_go_mod(&module, &format!("module {}\n", module.path));
    }
    let origin = runtime.block_on(Origin::start(world)).unwrap();
    let data = tempfile::tempdir().unwrap();
    let paths = make_files(&data.path().join("proxy"), files, proved);
    let mirror = Mirror::start(data.path(), &origin.url(), &origin.gosumdb());
    get(&mirror.url, "example.com/m0/@v/v1.0.0.mod");
    let start = memory_of::resident(&mirror.process, "VmRSS");
    rows.print(&names[0], "–", (start, &format!("{start:.1} MB")), &(0.0..=40.0));
    std::thread::scope(|scope| {
        for nth in 0..CLIENTS {
            let paths = paths.iter().skip(nth).step_by(CLIENTS);
            let mut connection = Connection::to(&mirror.url);
            scope.spawn(move || paths.for_each(|path| connection.get(path)));
        }
    });
    let after = memory_of::resident(&mirror.process, "VmRSS");
    rows.print(&names[1], "–", (after, &format!("{after:.1} MB")), &(0.0..=120.0));
    let asked = origin.take_requests().iter().filter(|path| path.ends_with(".mod") || path.ends_with(".info")).count();
    assert_eq!(asked, 0, "the files are in the store");
}

/// Makes files in the store, and returns their paths below it. A million links take less time than a million files.
fn make_files(store: &Path, files: usize, proved: usize) -> Vec<String> {
    let (mut paths, infos) = (Vec::new(), store.join("infos"));
    fs::create_dir_all(&infos).unwrap();
    for nth in 0..VERSIONS {
        fs::write(infos.join(nth.to_string()), format!("{{\"Version\":\"v1.0.{nth}\"}}")).unwrap();
    }
    for nth in 0..proved.max(files - proved) {
        let (module, version) = (nth / VERSIONS, nth % VERSIONS);
        let folder = store.join(format!("example.com/m{module}/@v"));
        let go_mod = folder.join("v1.0.0.mod");
        if version == 0 {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&go_mod, format!("module example.com/m{module}\n")).unwrap();
        }
        if nth < proved {
            if version > 0 {
                fs::hard_link(&go_mod, folder.join(format!("v1.0.{version}.mod"))).unwrap();
            }
            paths.push(format!("example.com/m{module}/@v/v1.0.{version}.mod"));
        }
        if nth < files - proved {
            fs::hard_link(infos.join(version.to_string()), folder.join(format!("v1.0.{version}.info"))).unwrap();
            paths.push(format!("example.com/m{module}/@v/v1.0.{version}.info"));
        }
    }
    paths
}

/// A connection that stays open.
struct Connection {
    host: String,
    stream: BufReader<TcpStream>,
}

impl Connection {
    fn to(url: &str) -> Self {
        let host = url.strip_prefix("http://").unwrap().to_owned();
        let stream = TcpStream::connect(&host).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { host, stream: BufReader::new(stream) }
    }

    fn get(&mut self, path: &str) {
        let request = format!("GET /{path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut line, mut length) = (String::new(), 0);
        self.stream.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 200"), "{path}: {line}");
        while line != "\r\n" {
            line.clear();
            self.stream.read_line(&mut line).unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
        }
        self.stream.read_exact(&mut vec![0; length]).unwrap();
    }
}
