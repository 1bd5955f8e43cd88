//! An audit of the go.sum of the real piece of the database, cold and warm, in this process and as a whole process, over a stand-in
//! that delays every answer by 50 ms; and the requests of 29 modules that are looked up at once.
//!
//! Yardstick: the client of the `go` command, with a request for everything at once (benches/yardstick/gosumcheck), over
//! the same stand-in, in turns with ours. Its library is copied out of the source of `go` into a temporary module; where
//! there is none, times and requests stand alone.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a benchmark may panic")]

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures_util::future::join_all;
use gomodule::module::{ModuleVersion, Patterns};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use sumgate::audit::{Audit, LeftOut, LocalGo, Reader, find};
use sumgate::base::clock::Clock;
use sumgate::go::environment::{GoEnv, GoWorkSetting};
use sumgate::store::Store;
use sumgate::sumdb::{Anchor, Client, Database, Databases};
use sumgate::upstream::HttpClient;
use tlog::Tile;
use tokio::net::{TcpListener, TcpStream};

/// The rows.
const COLD: usize = 0;
const WARM: usize = 1;
const GO: usize = 2;
const WHOLE_COLD: usize = 3;
const WHOLE_WARM: usize = 4;
const WHOLE_GO: usize = 5;
/// Modules of a build that is not small.
const AT_ONCE: usize = 29;
/// Lookups at the same time, as by default.
const CONCURRENCY: usize = 512;
const DELAY: Duration = Duration::from_millis(50);
const RUNS: usize = 11;
const LINES: usize = 616;
/// One lookup for each module version, and each tile once.
const MOST_REQUESTS: usize = 308 + 494;
const KEY: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/real-sumdb");
    if !folder.is_dir() {
        println!("the piece of the real database is not here ({}); nothing to measure", folder.display());
        return;
    }
    let (url, requests) = stand_in(&folder);
    let go_sum = folder.join("go.sum");
    let program = tempfile::tempdir().unwrap();
    let yardstick = yardstick(program.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // One run is a smoke test; more are a measurement.
    let runs = if std::env::args().any(|word| word == "--test") { 1 } else { RUNS };
    let mut times: [Vec<Duration>; 6] = Default::default();
    let mut asked = [0; 6];
    // Removed at the end: ext4 without a journal looks at each file that was removed of late before it makes a new one.
    let folders: Vec<_> = (0..2 * runs).map(|_| tempfile::tempdir().unwrap()).collect();
    for data in folders.chunks(2) {
        let (inside, whole) = (data[0].path(), data[1].path());
        for turn in [COLD, WARM] {
            times[turn].push(runtime.block_on(audit(&go_sum, inside, &url)));
            asked[turn] = requests.swap(0, Ordering::SeqCst);
        }
        for turn in [WHOLE_COLD, WHOLE_WARM] {
            times[turn].push(process(&go_sum, whole, &url));
            asked[turn] = requests.swap(0, Ordering::SeqCst);
        }
        assert!(asked[COLD] <= MOST_REQUESTS && asked[WARM] == 0 && asked[WHOLE_WARM] == 0, "{asked:?}");
        if let Some(program) = &yardstick {
            let (own, whole) = check(program, &url, &go_sum);
            times[GO].push(own);
            times[WHOLE_GO].push(whole);
            asked[GO] = requests.swap(0, Ordering::SeqCst);
        }
    }
    tell(times, &asked);
    let data = tempfile::tempdir().unwrap();
    runtime.block_on(at_once(&go_sum, data.path(), &url));
    let lookups = requests.swap(0, Ordering::SeqCst);
    println!(
        "{AT_ONCE} cold modules looked up at once: {lookups} requests to the database, with 3 files of each {}; goal 200",
        lookups + 3 * AT_ONCE
    );
}

/// Prints the rows.
fn tell(mut times: [Vec<Duration>; 6], asked: &[usize; 6]) {
    let runs = times[COLD].len();
    println!("audit of {LINES} lines, {DELAY:?} to every answer, default settings, {runs} runs:");
    let [cold, warm, go, whole_cold, whole_warm, whole_go] = times.each_mut().map(|times| {
        times.sort();
        times.first().zip(times.get(times.len() / 2)).map(|(best, median)| (*best, *median))
    });
    let tell = |what, nth: usize, time: Option<(Duration, Duration)>, goal| {
        if let Some((best, median)) = time {
            println!("  {what}: best {} ms, median {} ms, {} requests{goal}", ms(best), ms(median), asked[nth]);
        }
    };
    tell("cold", COLD, cold, "");
    tell("warm", WARM, warm, "");
    tell("cold, whole process", WHOLE_COLD, whole_cold, "");
    tell("warm, whole process", WHOLE_WARM, whole_warm, "; goal 15 ms");
    tell("the client of go, all at once, cold", GO, go, "");
    tell("the client of go, whole process", GO, whole_go, "");
    let pairs = [("cold", cold, go), ("cold, whole process", whole_cold, whole_go)];
    for (what, ours, theirs) in pairs.into_iter().filter_map(|(what, ours, go)| Some((what, ours?, go?))) {
        let ratio = |ours: Duration, theirs: Duration| ours.as_secs_f64() / theirs.as_secs_f64();
        let (best, median) = (ratio(ours.0, theirs.0), ratio(ours.1, theirs.1));
        println!("  {what}, as a part of the time of go: best {best:.2}, median {median:.2}; goal 0.80");
    }
}

fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}

/// All that `sumgate audit` does, except for starting the process and printing.
async fn audit(go_sum: &Path, data: &Path, url: &str) -> Duration {
    let start = Instant::now();
    let client = client(data, url);
    let found = find(go_sum, &LeftOut::default()).unwrap();
    let go = LocalGo::of(&GoEnv::default());
    let entries = Reader::new(&found.tree, None, &go, &GoWorkSetting::Auto).read(&found.targets[0]).unwrap();
    let databases = Databases::new(vec![client]).unwrap();
    let now = SystemTime::now();
    let audit =
        Audit { databases, exempt: Patterns::default(), at_once: CONCURRENCY, policy: None, base_policy: None, now };
    let report = audit.run(&entries, &AtomicUsize::new(0)).await;
    assert_eq!((report.proved, report.findings.len(), report.unchecked.len()), (LINES, 0, 0));
    let time = start.elapsed();
    audit.databases.written().await;
    time
}

fn client(data: &Path, url: &str) -> Client {
    let store = Store::open(data).unwrap();
    let database = Database::parse(&format!("{KEY} {url}")).unwrap();
    Client::open(database, &store, &Anchor::BuiltIn, &HttpClient::new().unwrap(), Clock::System).unwrap()
}

/// `sumgate audit`, from its start to its end.
fn process(go_sum: &Path, data: &Path, url: &str) -> Duration {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sumgate"));
    command.args(["audit", "--sumdb"]).arg(format!("{KEY} {url}")).arg("--data").arg(data).arg(go_sum);
    let start = Instant::now();
    let output = command.output().unwrap();
    let time = start.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    time
}

/// Lookups of modules whose records are far apart, one by one, as a mirror makes them.
async fn at_once(go_sum: &Path, data: &Path, url: &str) {
    let client = client(data, url);
    let text = fs::read_to_string(go_sum).unwrap();
    let modules = text.lines().filter(|line| !line.contains("/go.mod h1:")).map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        ModuleVersion::parse(&format!("{}@{}", words[0], words[1])).unwrap()
    });
    let modules: Vec<ModuleVersion> = modules.step_by(LINES / 2 / AT_ONCE).take(AT_ONCE).collect();
    assert_eq!(modules.len(), AT_ONCE);
    for looked_up in join_all(modules.iter().map(|module| client.lookup(module))).await {
        looked_up.unwrap();
    }
}

/// Runs the yardstick. Returns the time that it measures, without the start of the process, and that of the process.
fn check(program: &Path, url: &str, go_sum: &Path) -> (Duration, Duration) {
    let start = Instant::now();
    let output = Command::new(program).args([KEY, url]).arg(go_sum).output().unwrap();
    let whole = start.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let [agree, _requests, micros] = printed.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{printed}") };
    assert_eq!(agree, LINES.to_string());
    (Duration::from_micros(micros.parse().unwrap()), whole)
}

/// Builds the yardstick in `folder`, if there is a `go` with its source.
fn yardstick(folder: &Path) -> Option<PathBuf> {
    let built = build(folder);
    if built.is_none() {
        println!("there is no go command, or not its source, to build the yardstick with; the times stand alone");
    }
    built
}

fn build(folder: &Path) -> Option<PathBuf> {
    let output = Command::new("go").args(["env", "GOROOT"]).output().ok().filter(|output| output.status.success())?;
    let source = Path::new(String::from_utf8(output.stdout).ok()?.trim()).join("src/cmd/vendor/golang.org/x/mod");
    copy(&source.join("sumdb"), &folder.join("mod/sumdb"))?;
    copy(&source.join("module"), &folder.join("mod/module"))?;
    copy(&source.join("semver"), &folder.join("mod/semver"))?;
    copy(&source.join("internal"), &folder.join("mod/internal"))?;
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/yardstick/gosumcheck/main.go");
    fs::copy(ours, folder.join("main.go")).ok()?;
    fs::write(folder.join("mod/go.mod"), "module golang.org/x/mod\n\ngo 1.25\n").ok()?;
    let go_mod =
        "module yardstick\n\ngo 1.25\n\nrequire golang.org/x/mod v0.0.0\n\nreplace golang.org/x/mod => ./mod\n";
    fs::write(folder.join("go.mod"), go_mod).ok()?;
    let program = folder.join("gosumcheck");
    let mut go = Command::new("go");
    go.current_dir(folder).env("GOFLAGS", "-mod=mod").env("GOTOOLCHAIN", "local").env("GOWORK", "off");
    go.env("GOPROXY", "off").env("GO111MODULE", "on").args(["build", "-o"]).arg(&program).arg(".");
    go.status().ok()?.success().then_some(program)
}

fn copy(from: &Path, to: &Path) -> Option<()> {
    fs::create_dir_all(to).ok()?;
    for entry in fs::read_dir(from).ok()? {
        let entry = entry.ok()?;
        let to = to.join(entry.file_name());
        if entry.file_type().ok()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to).ok()?;
        }
    }
    Some(())
}

/// Serves the folder from memory on loopback, in its own thread, with a delay. Counts the requests.
fn stand_in(folder: &Path) -> (String, Arc<AtomicUsize>) {
    let mut stored = HashMap::new();
    load(folder, "", &mut stored);
    let (stored, requests) = (Arc::new(stored), Arc::new(AtomicUsize::new(0)));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let counted = Arc::clone(&requests);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&stored), Arc::clone(&counted)));
            }
        });
    });
    (url, requests)
}

async fn serve(stream: TcpStream, stored: Arc<HashMap<String, Bytes>>, requests: Arc<AtomicUsize>) {
    stream.set_nodelay(true).unwrap();
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        requests.fetch_add(1, Ordering::SeqCst);
        let body = answer(&stored, request.uri().path());
        async move {
            tokio::time::sleep(DELAY).await;
            let mut response = Response::new(Full::new(body.clone().unwrap_or_default()));
            if body.is_none() {
                *response.status_mut() = StatusCode::NOT_FOUND;
            }
            Ok::<_, Infallible>(response)
        }
    });
    // A client may disconnect.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// A stored file; a partial tile that is not stored is cut from a wider one, as the real server has every width.
fn answer(stored: &HashMap<String, Bytes>, path: &str) -> Option<Bytes> {
    if let Some(body) = stored.get(path) {
        return Some(body.clone());
    }
    let tile = Tile::parse(path.trim_start_matches('/')).ok()?;
    let wider = (tile.width()..=256).find_map(|width| stored.get(&format!("/{}", tile.with_width(width).ok()?)))?;
    tile.cut(wider).map(Bytes::copy_from_slice)
}

fn load(folder: &Path, name: &str, stored: &mut HashMap<String, Bytes>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{name}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            load(&entry.path(), &name, stored);
        } else {
            stored.insert(name, fs::read(entry.path()).unwrap().into());
        }
    }
}
