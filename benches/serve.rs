//! What the mirror serves from its own disk: small answers a second over 64 connections, zips of 32 KB over 64 and 1,024, ranges
//! of a large one, a zip of 60 MB to 2 and 8 clients at once, memory while 300 MB come in and go out, and the time from the
//! start to the first answer.
//!
//! Yardstick: nginx with sendfile, serving the same bytes as files, asked by the same wrk in turns. Where nginx or wrk is
//! missing the bench says so, and tells what it can without them.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a benchmark may panic")]

#[path = "shared/mirror.rs"]
mod mirror;
#[path = "shared/wrk.rs"]
mod wrk;

use std::fs;
use std::io::{Cursor, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gomodule::module::ModuleVersion;
use mirror::Mirror;
use testkit::{Origin, World};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

const LARGE: &str = "example.com/large/@v/v1.0.0.zip";
const SMALL: &str = "example.com/small/@v/v1.0.0.zip";
/// 64 KiB in the middle of [`LARGE`], also in a smoke test.
const RANGE: &str = "Range: bytes=500000-565535";
const HUGE: &str = "example.com/huge/@v/v1.0.0.zip";
const TURNS: usize = 5;
const MB: usize = 1_000_000;
const SMALL_LEN: usize = 32_000;

fn main() {
    // A smoke test is short and does not measure speed.
    let smoke = std::env::args().any(|word| word == "--test");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (large, huge) = if smoke { (1, 3) } else { (60, 300) };
    let mut world = World::demo();
    add_zip(&mut world, "example.com/small@v1.0.0", SMALL_LEN);
    add_zip(&mut world, "example.com/large@v1.0.0", large * MB);
    add_zip(&mut world, "example.com/huge@v1.0.0", huge * MB);
    let origin = runtime.block_on(Origin::start(world)).unwrap();
    let data = tempfile::tempdir().unwrap();
    let mirror = Mirror::start(data.path(), &origin.url(), &origin.gosumdb());
    memory(&mirror, huge);
    speed(&mirror, &origin, smoke);
    drop(mirror);
    start(&origin, if smoke { 100 } else { 100_000 });
}

/// A module of one file that does not compress, of so many bytes.
fn add_zip(world: &mut World, module: &str, length: usize) {
    let module = ModuleVersion::parse(module).unwrap();
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let go_mod = format!("module {}\n", module.path);
    zip.start_file(format!("{module}/go.mod"), stored).unwrap();
    zip.write_all(go_mod.as_bytes()).unwrap();
    zip.start_file(format!("{module}/data"), stored).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    let mut piece = vec![0; length.min(MB)];
    for _ in 0..length / piece.len() {
        random.fill(&mut piece);
        zip.write_all(&piece).unwrap();
    }
    world.add(&module, &go_mod, zip.finish().unwrap().into_inner());
}

fn memory(mirror: &Mirror, mb: usize) {
    get(&mirror.url, "example.com/hello/@v/v1.0.0.mod");
    let idle = resident(mirror, "VmRSS");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(get(&mirror.url, HUGE) > mb << 19));
        }
    });
    let most = resident(mirror, "VmHWM");
    println!(
        "memory: {idle:.1} MiB idle; {:.1} MiB more at most while a {mb} MB zip is fetched, hashed and served to 8 clients",
        most - idle
    );
}

/// A line of `/proc/PID/status`, in MiB; 0 on systems that have none.
fn resident(mirror: &Mirror, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", mirror.process.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().nth(1)?.parse().ok());
    line.unwrap_or(0.0) / 1024.0
}

fn speed(mirror: &Mirror, origin: &Origin, smoke: bool) {
    if !wrk::is_here() {
        println!("there is no wrk on the PATH; no speeds");
        return;
    }
    let files = tempfile::tempdir().unwrap();
    let database = origin.key();
    let tile = format!("sumdb/{}/tile/8/0/000", database.split('+').next().unwrap());
    let lookup = format!("sumdb/{}/lookup/example.com/hello@v1.0.0", database.split('+').next().unwrap());
    let small = ["example.com/hello/@v/v1.0.0.info", "example.com/hello/@v/v1.0.0.mod", &lookup, &tile];
    for path in small.iter().chain(&[SMALL, LARGE]) {
        let to = files.path().join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, body(&mirror.url, path)).unwrap();
    }
    let nginx = Nginx::start(files.path());
    let (turns, seconds) = if smoke { (1, 1) } else { (TURNS, 3) };
    let zips = [(SMALL, 64, &[][..]), (SMALL, 1024, &[]), (LARGE, 64, &[RANGE]), (LARGE, 2, &[]), (LARGE, 8, &[])];
    for (path, connections, headers) in small.iter().map(|path| (*path, 64, &[][..])).chain(zips) {
        let is_whole = path == LARGE && headers.is_empty();
        let mut rates: [Vec<f64>; 2] = Default::default();
        for _ in 0..turns {
            let measure = |url: &str| {
                let (requests, bytes) = wrk::run(&format!("{url}/{path}"), headers, connections, seconds);
                if is_whole { bytes / 1e9 } else { requests / 1e3 }
            };
            rates[0].push(measure(&mirror.url));
            rates[1].extend(nginx.as_ref().map(|nginx| measure(&nginx.url)));
        }
        let [ours, theirs] = rates.map(median);
        let unit = if is_whole { "GB/s" } else { "thousand requests/s" };
        print!("{path} {}, {connections} connections: {ours:.2} {unit}", headers.join(", "));
        match theirs {
            theirs if theirs > 0.0 => println!("; nginx {theirs:.2}: {:.2} times", ours / theirs),
            _ => println!("; there is no nginx on the PATH"),
        }
    }
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}

/// From the start of the process to the first proved file, with so many versions on disk.
fn start(origin: &Origin, versions: usize) {
    let data = tempfile::tempdir().unwrap();
    let proved = "example.com/hello/@v/v1.0.0.zip";
    get(&Mirror::start(data.path(), &origin.url(), &origin.gosumdb()).url, proved);
    for nth in 0..versions {
        let folder = data.path().join(format!("proxy/example.com/m{}/@v", nth / 20));
        fs::create_dir_all(&folder).unwrap();
        for kind in ["info", "mod", "zip"] {
            fs::write(folder.join(format!("v1.0.{}.{kind}", nth % 20)), "").unwrap();
        }
    }
    let times = (0..TURNS).map(|_| {
        let begin = Instant::now();
        let mirror = Mirror::start(data.path(), &origin.url(), &origin.gosumdb());
        get(&mirror.url, proved);
        begin.elapsed()
    });
    println!("start with {versions} versions on disk: {:.1?} to the first proved zip", times.min().unwrap());
}

fn get(url: &str, path: &str) -> usize {
    let mut answer = ask(url, path);
    let (mut all, mut piece) = (0, vec![0; 1 << 16]);
    loop {
        match answer.read(&mut piece).unwrap() {
            0 => return all,
            read => all += read,
        }
    }
}

fn body(url: &str, path: &str) -> Vec<u8> {
    let mut whole = Vec::new();
    ask(url, path).read_to_end(&mut whole).unwrap();
    assert!(whole.starts_with(b"HTTP/1.1 200"), "{path}");
    let head = whole.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    whole.split_off(head + 4)
}

fn ask(url: &str, path: &str) -> TcpStream {
    let host = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    stream
}

/// nginx over a folder, ended when dropped.
struct Nginx {
    url: String,
    process: Child,
    _home: tempfile::TempDir,
}

impl Nginx {
    fn start(files: &Path) -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = format!(
            "daemon off; worker_processes auto; pid {home}/pid; error_log {home}/error.log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; default_type text/plain;\n\
             server {{ listen {address}; root {files}; }} }}\n",
            home = home.path().display(),
            files = files.display()
        );
        fs::write(home.path().join("nginx.conf"), config).unwrap();
        // Its workers may run as another user.
        for folder in [files, home.path()] {
            fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        let mut command = Command::new("nginx");
        command.arg("-p").arg(home.path()).arg("-c").arg(home.path().join("nginx.conf"));
        let process = command.stderr(Stdio::null()).spawn().ok()?;
        let nginx = Self { url: format!("http://{address}"), process, _home: home };
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(10), "nginx does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers end with it only after this signal.
        let _ = Command::new("kill").args(["-QUIT", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}
