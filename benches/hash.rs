//! The h1 of a large and of a small module zip, against Go's own algorithm run by the `go` on the PATH, and how much of the
//! work is left once the last byte is here.
//!
//! Yardstick: `yardstick/hashzip`, built and run here. Where there is no `go`, the times stand alone.
#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::fs::File;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sumgate::dirhash::{H1, ReadAlong, ZipLimits, hash_module_zip, hash_module_zip_read};
use sumgate::module::ModuleVersion;
use zip::write::SimpleFileOptions;

const RUNS: u32 = 10;
/// What a network delivers in one piece.
const PIECE: usize = 64 << 10;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let yardstick = yardstick(folder.path());
    // One run is a smoke test; more are a measurement.
    let smoke = std::env::args().any(|word| word == "--test");
    let runs = if smoke { 1 } else { RUNS };
    let sizes =
        if smoke { [("large", 300, 40), ("small", 20, 40)] } else { [("large", 12_000, 110), ("small", 235, 85)] };
    for (name, files, lines) in sizes {
        let module = ModuleVersion::parse("example.com/bench@v1.0.0").unwrap();
        let zip = module_zip(&module, files, lines);
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
        let mut along = ReadAlong::new(&limits(1));
        let start = Instant::now();
        zip.chunks(PIECE).for_each(|piece| along.feed(piece));
        let read = start.elapsed();
        let rest = best(runs, || hash_module_zip_read(&file, &module, &limits(1), &along).unwrap().h1, report.h1);
        println!(
            "  one thread {one:.1?}, two {two:.1?}; read along {read:.1?}, of which behind the last byte {rest:.1?} = {:.2} of one thread",
            ratio(rest, one)
        );
        if let Some(yardstick) = &yardstick {
            let output = Command::new(yardstick).arg(runs.to_string()).arg(&path).output().unwrap();
            let output = String::from_utf8(output.stdout).unwrap();
            let (h1, micros) = output.trim().split_once(' ').unwrap();
            assert_eq!(h1, report.h1.to_string());
            let go = Duration::from_micros(micros.parse().unwrap());
            println!("  Go {go:.1?}: {:.1} times one thread, {:.1} times two", ratio(go, one), ratio(go, two));
        }
    }
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

fn yardstick(folder: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/yardstick/hashzip/main.go");
    let program = folder.join("hashzip");
    let mut go = Command::new("go");
    go.current_dir(folder)
        .env("GOFLAGS", "")
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off")
        .env("GO111MODULE", "off");
    match go.args(["build", "-o"]).arg(&program).arg(&source).status() {
        Ok(status) if status.success() => Some(program),
        _ => {
            println!("there is no go command that builds the yardstick; the times stand alone");
            None
        }
    }
}

/// Text that compresses about as source code does: every second line is like one that came shortly before.
fn module_zip(module: &ModuleVersion, files: usize, lines: usize) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let mut seed = 1_u64;
    let mut random = |below: usize| {
        // Marsaglia's xorshift: the same zip on every machine.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed >> 33).unwrap() % below
    };
    let words: Vec<String> = (0..3000).map(|_| format!("{:x}", random(1 << 24) >> (4 * random(5)))).collect();
    let mut past: Vec<String> = vec![String::new(); 40];
    zip.start_file(format!("{module}/go.mod"), SimpleFileOptions::default()).unwrap();
    writeln!(zip, "module {}", module.path).unwrap();
    for nth in 1..files {
        zip.start_file(format!("{module}/p{}/f{nth}.go", nth % 100), SimpleFileOptions::default()).unwrap();
        for _ in 0..lines {
            let at = random(past.len());
            if random(2) == 0 || past[at].is_empty() {
                let length = random(9) + 7;
                let line: Vec<&str> = (0..length)
                    .map(|_| {
                        let most = random(words.len()) + 1;
                        words[random(most)].as_str()
                    })
                    .collect();
                past[at] = line.join(" ");
            }
            writeln!(zip, "\t{}", past[at]).unwrap();
        }
    }
    zip.finish().unwrap().into_inner()
}
