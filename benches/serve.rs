//! What the mirror serves from its own disk: small answers a second over 64 connections, zips of 32 KB over 64 and 1,024, ranges
//! of a large one, a zip of 60 MB to 2 and 8 clients at once, and the time from the start to the first answer.
//!
//! Yardstick: nginx with sendfile, serving the same bytes as files, asked by the same wrk in turns. Where nginx or wrk is
//! missing the bench says so, and tells what it can without them. `cargo bench --bench serve -- "60 MB"` measures the rows with
//! these words only.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a benchmark may panic")]

#[path = "shared/http.rs"]
mod http;
#[path = "shared/mirror.rs"]
mod mirror;
#[path = "shared/nginx.rs"]
mod nginx;
#[path = "shared/rows.rs"]
mod rows;
#[path = "shared/wrk.rs"]
mod wrk;
#[path = "shared/zip_of.rs"]
mod zip_of;

use std::fs;
use std::io::Read;
use std::time::Instant;

use http::{ask, get};
use mirror::Mirror;
use nginx::Nginx;
use rows::{Length, Rows};
use testkit::{Origin, World};
use zip_of::{MB, add_zip};

const LARGE: &str = "example.com/large/@v/v1.0.0.zip";
const SMALL: &str = "example.com/small/@v/v1.0.0.zip";
/// 64 KiB in the middle of [`LARGE`], also in a smoke test.
const RANGE: &str = "Range: bytes=500000-565535";
const TURNS: usize = 5;
const SMALL_LEN: usize = 32_000;

/// One row: the same request by so many connections. A whole large file is measured in bytes, everything else in answers.
struct Load {
    name: &'static str,
    path: String,
    headers: &'static [&'static str],
    connections: u32,
    goal: f64,
}

fn main() {
    let rows = Rows::of_the_command_line();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut world = World::demo();
    add_zip(&mut world, "example.com/small@v1.0.0", SMALL_LEN);
    add_zip(&mut world, "example.com/large@v1.0.0", if rows.length == Length::Smoke { MB } else { 60 * MB });
    let origin = runtime.block_on(Origin::start(world)).unwrap();
    speed(&rows, &origin);
    start(&rows, &origin, if rows.length == Length::Smoke { 100 } else { 100_000 });
}

fn loads(origin: &Origin) -> Vec<Load> {
    let database = format!("sumdb/{}", origin.key().split('+').next().unwrap());
    let small = |name, path: String, connections, goal| Load { name, path, headers: &[], connections, goal };
    let hello = |extension: &str| format!("example.com/hello/@v/v1.0.0.{extension}");
    let range = Load {
        name: "64 KB of a large zip, 64 connections",
        path: LARGE.to_owned(),
        headers: &[RANGE],
        connections: 64,
        goal: 1.0,
    };
    vec![
        small("`.info`, 64 connections", hello("info"), 64, 1.3),
        small("`.mod`, 64 connections", hello("mod"), 64, 1.3),
        small("lookups, 64 connections", format!("{database}/lookup/example.com/hello@v1.0.0"), 64, 1.3),
        small("tiles, 64 connections", format!("{database}/tile/8/0/000"), 64, 1.3),
        small("a zip of 32 KB, 64 connections", SMALL.to_owned(), 64, 1.2),
        small("a zip of 32 KB, 1,024 connections", SMALL.to_owned(), 1024, 1.0),
        range,
        small("a zip of 60 MB, 2 clients", LARGE.to_owned(), 2, 1.0),
        small("a zip of 60 MB, 8 clients", LARGE.to_owned(), 8, 1.5),
    ]
}

fn speed(rows: &Rows, origin: &Origin) {
    let loads: Vec<Load> = loads(origin).into_iter().filter(|load| rows.wants(load.name)).collect();
    if loads.is_empty() {
        return;
    }
    if !wrk::is_here() {
        println!("speeds are not measured: no wrk on the PATH");
        return;
    }
    let (data, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(data.path(), &origin.url(), &origin.gosumdb());
    for Load { path, .. } in &loads {
        let to = files.path().join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, body(&mirror.url, path)).unwrap();
    }
    let nginx = Nginx::start(files.path());
    if nginx.is_none() {
        println!("without ratios: no nginx on the PATH");
    }
    let (turns, seconds) = match rows.length {
        Length::Smoke => (1, 1),
        Length::Quick => (3, 1),
        Length::Full => (TURNS, 3),
    };
    for load in loads {
        let is_whole = load.path == LARGE && load.headers.is_empty();
        let measure = |url: &str| {
            let (requests, bytes) = wrk::run(&format!("{url}/{}", load.path), load.headers, load.connections, seconds);
            if is_whole { bytes / 1e9 } else { requests / 1e3 }
        };
        let mut rates: [Vec<f64>; 2] = Default::default();
        for _ in 0..turns {
            rates[0].push(measure(&mirror.url));
            rates[1].extend(nginx.as_ref().map(|nginx| measure(&nginx.url)));
        }
        let [ours, theirs] = rates.map(median);
        let unit = if is_whole { "GB/s" } else { "thousand/s" };
        // A ratio needs a yardstick.
        let times = if nginx.is_some() { ours / theirs } else { f64::NAN };
        let result = format!("{ours:.2} {unit}, {times:.2} times");
        let yardstick = format!("nginx with sendfile: {theirs:.2} {unit}");
        rows.print(load.name, &yardstick, (times, &result), &(load.goal..=f64::INFINITY));
    }
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}

/// From the start of the process to the first proved file, with so many versions on disk.
fn start(rows: &Rows, origin: &Origin, versions: usize) {
    let name = format!("start to the first proved zip, {versions} versions on disk");
    if !rows.wants(&name) {
        return;
    }
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
        begin.elapsed().as_secs_f64() * 1e3
    });
    let least = times.min_by(f64::total_cmp).unwrap();
    rows.print(&name, "–", (least, &format!("{least:.1} ms")), &(0.0..=200.0));
}

fn body(url: &str, path: &str) -> Vec<u8> {
    let mut whole = Vec::new();
    ask(url, path).read_to_end(&mut whole).unwrap();
    assert!(whole.starts_with(b"HTTP/1.1 200"), "{path}");
    let head = whole.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    whole.split_off(head + 4)
}
