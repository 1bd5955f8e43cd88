//! The h1 of a zip, by its unpacked size.

use std::fs;
use std::process::{Command, Stdio};

use gomodule::module::ModuleVersion;
use tokio::runtime::Runtime;

use crate::measure::{Line, Measure, Panel};
use crate::{used, zips};

pub(crate) fn measure(_: &Runtime, smoke: bool) -> Option<Measure> {
    let sources = zips::sources()?;
    let module = ModuleVersion::parse("example.com/bench@v1.0.0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (mut times, mut memory) = (Line::new("sumgate hash"), Line::new("sumgate hash"));
    for mb in crate::sizes(&[1, 10, 100, 500], smoke) {
        let mut left = mb * 1_000_000;
        // The last file may be longer than what is left: a zip of 500 MB is still below Go's limit of 500 MiB.
        let files = sources.iter().cycle().take_while(|file| {
            let fits = left > 0;
            left = left.saturating_sub(file.len());
            fits
        });
        let path = folder.path().join("bench.zip");
        fs::write(&path, zips::module_zip(&module, files)).unwrap();
        // The best of three: the first reads the program from the disk.
        let runs = [(); 3].map(|()| {
            used::by(Command::new(env!("CARGO_BIN_EXE_sumgate")).arg("hash").arg(&path).stdout(Stdio::null()))
        });
        times.points.push((mb, runs.iter().map(|used| used.ms).fold(f64::INFINITY, f64::min)));
        memory.points.push((mb, runs.iter().map(|used| used.mb).fold(0.0, f64::max)));
    }
    let panels =
        vec![Panel { unit: "time, ms", lines: vec![times] }, Panel { unit: "peak memory, MB", lines: vec![memory] }];
    Some(Measure { title: "The h1 of a zip, whole process", size: "MB unpacked", panels })
}
