//! How cost grows: modules in an audit, megabytes in a zip, connections to the mirror, versions on its disk, records in the log.
//!
//! Prints the tables of BENCHMARKS.md, and writes the plots that it shows to `benches/plots`. A word on the command line chooses a
//! measure: `cargo bench --bench growth -- tree`.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a benchmark may panic")]
#![expect(clippy::cast_precision_loss, reason = "counts and milliseconds are far below 2^52")]

mod audits;
mod connections;
mod hashes;
mod measure;
#[expect(dead_code, reason = "here every mirror has words of its own")]
#[path = "../shared/mirror.rs"]
mod mirror;
mod plot;
mod tree;
mod used;
mod versions;
#[path = "../shared/wrk.rs"]
mod wrk;
#[path = "../shared/zips.rs"]
mod zips;

use std::fs;
use std::path::Path;

use measure::Measure;
use tokio::runtime::Runtime;

/// Makes a measure; `None`, with a message, if a program is missing. A smoke test grows little.
type Make = fn(&Runtime, bool) -> Option<Measure>;

const MEASURES: [(&str, Make); 5] = [
    ("audit", audits::measure),
    ("zip", hashes::measure),
    ("connections", connections::measure),
    ("versions", versions::measure),
    ("tree", tree::measure),
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let smoke = words.iter().any(|word| word == "--test");
    let chosen: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let runtime = Runtime::new().unwrap();
    // The plots of a smoke test are not kept.
    let thrown_away = tempfile::tempdir().unwrap();
    let plots = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/plots");
    let plots = if smoke { thrown_away.path() } else { &plots };
    fs::create_dir_all(plots).unwrap();
    for (name, make) in MEASURES {
        if !chosen.is_empty() && !chosen.iter().any(|one| *one == name) {
            continue;
        }
        let Some(measure) = make(&runtime, smoke) else { continue };
        let svg = plot::svg(&measure);
        assert_well_formed(&svg);
        fs::write(plots.join(format!("{name}.svg")), svg).unwrap();
        println!("{}\n![{}](benches/plots/{name}.svg)\n", measure.table(), measure.title);
    }
}

/// The first sizes in a smoke test, else all.
fn sizes(all: &[usize], smoke: bool) -> Vec<usize> {
    all[..if smoke { 2 } else { all.len() }].to_vec()
}

fn assert_well_formed(svg: &str) {
    let mut reader = quick_xml::Reader::from_str(svg);
    while reader.read_event().unwrap() != quick_xml::events::Event::Eof {}
}
