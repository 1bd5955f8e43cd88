//! A cold audit and the one after it, by modules.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use testkit::{Origin, World};
use tokio::runtime::Runtime;

use crate::measure::{Line, Measure, Panel};
use crate::used::{self, Used};

#[expect(clippy::unnecessary_wraps, reason = "it is one of several")]
pub(crate) fn measure(runtime: &Runtime, smoke: bool) -> Option<Measure> {
    let names = ["cold audit", "second audit"];
    let (mut times, mut memory) = (names.map(Line::new), names.map(Line::new));
    for size in crate::sizes(&[1, 10, 100, 1_000, 10_000], smoke) {
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
        for (times, memory) in times.iter_mut().zip(&mut memory) {
            let used = audit(home.path(), &origin);
            times.points.push((size, used.ms));
            memory.points.push((size, used.mb));
        }
    }
    let panels =
        vec![Panel { unit: "time, ms", lines: times.into() }, Panel { unit: "peak memory, MB", lines: memory.into() }];
    Some(Measure { title: "Audit of a go.sum", size: "modules in the audit", panels })
}

/// An audit of the go.sum in a folder, where it also keeps its data.
pub(crate) fn audit(home: &Path, origin: &Origin) -> Used {
    let mut audit = Command::new(env!("CARGO_BIN_EXE_sumgate"));
    audit.current_dir(home).env_clear().stdout(Stdio::null());
    audit.args(["audit", "--no-policy", "--anchor", "none", "--data", "data", "--sumdb", &origin.gosumdb()]);
    used::by(&mut audit)
}
