//! The h1 of a large and of a small module zip, in this process and by `sumgate hash` from its start to its end, on both cores and
//! on one, and how much of the work is left once the last byte is here.
//!
//! Yardstick: `yardstick/hashzip`, Go's own algorithm, built by the `go` on the PATH and run here in turns. Where there is no `go`,
//! the times stand alone.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a benchmark may panic")]

#[path = "shared/yardstick.rs"]
mod yardstick;
#[path = "shared/zips.rs"]
mod zips;

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gomodule::dirhash::{H1, StreamHasher, ZipLimits, hash_module_zip, hash_module_zip_streamed};
use gomodule::module::ModuleVersion;
use zips::module_zip;

const RUNS: u32 = 10;
/// The size of one read from a network.
const PIECE: usize = 64 << 10;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let yardstick = yardstick::build("hashzip");
    // One run is a smoke test; more are a measurement.
    let smoke = std::env::args().any(|word| word == "--test");
    let runs = if smoke { 1 } else { RUNS };
    let Some(sources) = zips::sources() else { return };
    let large = if smoke { 300 } else { sources.len() };
    for (name, files) in [("large", large), ("small", 235)] {
        let module = ModuleVersion::parse("example.com/bench@v1.0.0").unwrap();
        let zip = module_zip(&module, sources.iter().take(files));
        let path = folder.path().join(name);
        std::fs::write(&path, &zip).unwrap();
        let file = File::open(&path).unwrap();
        let limits = |threads| ZipLimits { threads, ..ZipLimits::default() };
        let report = hash_module_zip(&file, &module, &limits(1)).unwrap();
        println!(
            "{name}: {files} files, {} MB unpacked, {} MB packed; the best of {runs}",
            mb(report.unpacked),
            mb(report.packed)
        );
        let one = best(runs, || hash_module_zip(&file, &module, &limits(1)).unwrap().h1, report.h1);
        let two = best(runs, || hash_module_zip(&file, &module, &limits(2)).unwrap().h1, report.h1);
        let mut along = StreamHasher::new(&limits(1));
        let start = Instant::now();
        zip.chunks(PIECE).for_each(|piece| along.feed(piece));
        let read = start.elapsed();
        let rest = best(runs, || hash_module_zip_streamed(&file, &module, &limits(1), &along).unwrap().h1, report.h1);
        println!(
            "  one thread {one:.1?}, two {two:.1?}; read along {read:.1?}, of which behind the last byte {rest:.1?} = {:.2} of one thread",
            ratio(rest, one)
        );
        if let Some(yardstick) = &yardstick {
            let output = Command::new(yardstick.path()).arg(runs.to_string()).arg(&path).output().unwrap();
            let output = String::from_utf8(output.stdout).unwrap();
            let (h1, micros) = output.trim().split_once(' ').unwrap();
            assert_eq!(h1, report.h1.to_string());
            let go = Duration::from_micros(micros.parse().unwrap());
            println!("  Go {go:.1?}: {:.1} times one thread, {:.1} times two", ratio(go, one), ratio(go, two));
            whole_process("all cores", &[], &yardstick.path(), &path, runs);
            whole_process("one core", &["taskset", "--cpu-list", "0"], &yardstick.path(), &path, runs);
        }
    }
}

/// Compares `sumgate hash` with the yardstick, each as a process. `before` is what starts them.
fn whole_process(cores: &str, before: &[&str], yardstick: &Path, zip: &Path, runs: u32) {
    let time = |program: &Path, word: &str| {
        let words = before.iter().map(Path::new).chain([program, Path::new(word), zip]).collect::<Vec<_>>();
        let start = Instant::now();
        let status = Command::new(words[0]).args(&words[1..]).stdout(Stdio::null()).status().ok()?;
        assert!(status.success());
        Some(start.elapsed())
    };
    let turns =
        (0..runs).map(|_| Some((time(Path::new(env!("CARGO_BIN_EXE_sumgate")), "hash")?, time(yardstick, "1")?)));
    let Some(turns) = turns.collect::<Option<Vec<_>>>() else {
        println!("  not measured with {cores}: no taskset on the PATH");
        return;
    };
    let ours = turns.iter().map(|(ours, _)| *ours).min().unwrap();
    let go = turns.iter().map(|(_, go)| *go).min().unwrap();
    println!("  whole process, {cores}: {ours:.1?}, Go {go:.1?}: {:.1} times", ratio(go, ours));
}

fn best(runs: u32, hash: impl Fn() -> H1, expected: H1) -> Duration {
    let run = |_| {
        let start = Instant::now();
        assert_eq!(hash(), expected);
        start.elapsed()
    };
    (0..runs).map(run).min().unwrap()
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}

fn mb(bytes: u64) -> u64 {
    bytes / 1_000_000
}
