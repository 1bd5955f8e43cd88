//! How cost grows: modules in an audit, megabytes in a zip, connections to the mirror, versions on its disk.
//!
//! Prints a table and, for BENCHMARKS.md, a chart of the cost of one unit relative to the cheapest: if the line stays low, the cost is
//! proportional.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a benchmark may panic")]
#![expect(clippy::cast_precision_loss, reason = "counts and milliseconds are far below 2^52")]

#[path = "shared/mirror.rs"]
mod mirror;
#[path = "shared/wrk.rs"]
mod wrk;
#[path = "shared/zips.rs"]
mod zips;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gomodule::dirhash::{ZipLimits, hash_module_zip};
use gomodule::module::ModuleVersion;
use mirror::Mirror;
use testkit::{Origin, World};

/// A measurement: numbers of units, and their cost in milliseconds.
struct Growth {
    name: &'static str,
    points: Vec<(usize, f64)>,
}

fn main() {
    // A smoke test grows little.
    let smoke = std::env::args().any(|word| word == "--test");
    let sizes = |all: &[usize]| if smoke { all[..2].to_vec() } else { all.to_vec() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let [cold, warm] = audits(&runtime, &sizes(&[1, 10, 100, 1_000, 10_000]));
    let versions = versions(&runtime, &sizes(&[1_000, 10_000, 100_000, 1_000_000]), if smoke { 100 } else { 1 });
    let mut all = vec![cold, warm, versions];
    all.extend(zips(&sizes(&[1, 10, 100, 300])));
    if wrk::is_here() {
        all.push(connections(&runtime, &sizes(&[1, 10, 100, 1_000]), if smoke { 1 } else { 3 }));
    } else {
        println!("there is no wrk on the PATH; no connections");
    }
    all.iter().for_each(table);
    all.iter().for_each(chart);
}

/// A cold audit, and the second one, of so many modules.
fn audits(runtime: &tokio::runtime::Runtime, sizes: &[usize]) -> [Growth; 2] {
    let mut growths =
        ["a cold audit, by modules", "a second audit, by modules"].map(|name| Growth { name, points: Vec::new() });
    for &size in sizes {
        let mut world = World::demo();
        let mut sums = String::new();
        for nth in 0..size {
            let module = world.add_simple(&format!("example.com/many/m{nth}@v1.0.0"), "", "package m\n");
            let reply = world.lookup(&module, world.size()).unwrap();
            sums.extend(reply.lines().filter(|line| line.contains(" h1:")).flat_map(|line| [line, "\n"]));
        }
        let origin = runtime.block_on(Origin::start(world)).unwrap();
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("go.sum"), sums).unwrap();
        for growth in &mut growths {
            let mut audit = Command::new(env!("CARGO_BIN_EXE_sumgate"));
            audit.current_dir(home.path()).env_clear().args([
                "audit",
                "--no-policy",
                "--anchor",
                "none",
                "--data",
                "data",
            ]);
            audit.args(["--sumdb", &origin.gosumdb()]).stdout(Stdio::null());
            let begin = Instant::now();
            assert!(audit.status().unwrap().success());
            growth.points.push((size, milliseconds(begin.elapsed())));
        }
    }
    growths
}

/// The h1 of a zip of so many MB unpacked, one thread.
fn zips(sizes: &[usize]) -> Option<Growth> {
    let sources = zips::sources()?;
    let points = sizes.iter().map(|&mb| {
        let module = ModuleVersion::parse("example.com/bench@v1.0.0").unwrap();
        let mut left = mb * 1_000_000;
        let files = sources.iter().cycle().take_while(|file| {
            let fits = left > 0;
            left = left.saturating_sub(file.len());
            fits
        });
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&zips::module_zip(&module, files)).unwrap();
        let limits = ZipLimits { threads: 1, ..ZipLimits::default() };
        let begin = Instant::now();
        hash_module_zip(&file, &module, &limits).unwrap();
        (mb, milliseconds(begin.elapsed()))
    });
    Some(Growth { name: "the h1 of a zip, by unpacked MB", points: points.collect() })
}

/// From the start to the first list, with so many versions on disk, a hundred to a module.
fn versions(runtime: &tokio::runtime::Runtime, sizes: &[usize], part: usize) -> Growth {
    let origin = runtime.block_on(Origin::start(World::demo())).unwrap();
    let data = tempfile::tempdir().unwrap();
    let (mut made, mut points) = (0, Vec::new());
    for &size in sizes {
        while made < size / part {
            let folder = data.path().join(format!("proxy/example.com/m{}/@v", made / 100));
            fs::create_dir_all(&folder).unwrap();
            let versions = made..made + 100;
            // A million links take less time than a million files, and a scan would find as many names.
            let first = folder.join("first");
            fs::write(&first, format!("module example.com/m{}\n", made / 100)).unwrap();
            versions.clone().for_each(|nth| fs::hard_link(&first, folder.join(format!("v1.0.{nth}.mod"))).unwrap());
            fs::write(folder.join("list"), versions.map(|nth| format!("v1.0.{nth}\n")).collect::<String>()).unwrap();
            made += 100;
        }
        let begin = Instant::now();
        // A list needs the go.mod of the newest version; these have no record.
        let mirror =
            Mirror::start_with(&["--nosumdb", "example.com/m*"], data.path(), &origin.url(), &origin.gosumdb());
        let host = mirror.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        write!(stream, "GET /example.com/m0/@v/list HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("v1.0.99\n"), "{answer}");
        points.push((size, milliseconds(begin.elapsed())));
    }
    Growth { name: "from start to first list, by versions on disk", points }
}

/// A thousand small answers over so many connections.
fn connections(runtime: &tokio::runtime::Runtime, sizes: &[usize], seconds: u32) -> Growth {
    let origin = runtime.block_on(Origin::start(World::demo())).unwrap();
    let data = tempfile::tempdir().unwrap();
    let mirror = Mirror::start(data.path(), &origin.url(), &origin.gosumdb());
    let url = format!("{}/example.com/hello/@v/v1.0.0.mod", mirror.url);
    let points = sizes.iter().map(|&size| {
        let (requests, _) = wrk::run(&url, &[], u32::try_from(size).unwrap(), seconds);
        (size, 1e6 / requests)
    });
    Growth { name: "a thousand small answers, by connections", points: points.collect() }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn table(growth: &Growth) {
    println!(
        "| {} | {} |",
        growth.name,
        growth.points.iter().map(|(size, _)| size.to_string()).collect::<Vec<_>>().join(" | ")
    );
    println!("|---|{}", "---|".repeat(growth.points.len()));
    let times: Vec<String> = growth.points.iter().map(|(_, ms)| format!("{ms:.1} ms")).collect();
    println!("| | {} |\n", times.join(" | "));
}

/// A Mermaid chart of the cost of one unit, or of the total cost if it does not depend on the number.
fn chart(growth: &Growth) {
    let per_unit = !growth.name.contains("connections") && !growth.name.contains("versions");
    let costs: Vec<f64> =
        growth.points.iter().map(|(size, ms)| if per_unit { ms / *size as f64 } else { *ms }).collect();
    let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
    let join = |values: Vec<String>| values.join(", ");
    println!(
        "```mermaid\nxychart-beta\n  title \"{}: cost {}\"",
        growth.name,
        if per_unit { "of one" } else { "in all" }
    );
    println!("  x-axis [{}]", join(growth.points.iter().map(|(size, _)| format!("\"{size}\"")).collect()));
    println!("  y-axis \"times the least\"");
    println!("  line [{}]\n```\n", join(costs.iter().map(|cost| format!("{:.2}", cost / least)).collect()));
}
