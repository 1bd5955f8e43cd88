//! Traces: what an OTLP receiver gets, and what it never gets. A build without them says so.

use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use testkit::Origin;

use crate::fixture::{Mirror, sumgate};

/// Longer than all attempts to send take.
pub const TIME_LIMIT: Duration = Duration::from_secs(60);
pub const ZIP: &str = "/example.com/hello/@v/v1.0.0.zip";

/// A mirror over the demo world that has these variables.
pub fn mirror(origin: &Origin, data: &Path, variables: &[(&str, &str)], more: &[&str]) -> Mirror {
    let mut program = sumgate();
    program.envs(variables.iter().copied());
    let (upstream, sumdb) = (origin.url(), origin.gosumdb());
    Mirror::start_by(program, data, &[&["--upstream", &upstream, "--sumdb", &sumdb], more].concat())
}

/// The lines of its log that have this text, once there is one.
pub fn told(mirror: &Mirror, text: &str) -> Vec<String> {
    let start = Instant::now();
    loop {
        let log = log(mirror);
        let lines: Vec<String> = log.lines().filter(|line| line.contains(text)).map(str::to_owned).collect();
        if !lines.is_empty() {
            return lines;
        }
        assert!(start.elapsed() < TIME_LIMIT, "no {text:?} in {log}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn log(mirror: &Mirror) -> String {
    std::fs::read_to_string(mirror.data.with_extension("log")).unwrap()
}

#[cfg(feature = "otlp")]
pub fn trials() -> Vec<Trial> {
    use crate::{traces_lost, traces_private, traces_sent};
    [traces_sent::trials(), traces_private::trials(), traces_lost::trials()].into_iter().flatten().collect()
}

#[cfg(not(feature = "otlp"))]
pub fn trials() -> Vec<Trial> {
    vec![crate::fixture::trial("traces: a build without them says so once", || {
        let origin = crate::fixture::origin(testkit::World::demo());
        let folder = tempfile::tempdir().unwrap();
        let receiver = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")];
        let mirror = mirror(&origin, &folder.path().join("data"), &receiver, &[]);
        assert_eq!(crate::fixture::get(&mirror.url, ZIP).status, 200);
        let lines = told(&mirror, "OTEL_EXPORTER_OTLP_ENDPOINT is set, but this build sends no traces");
        assert!(lines.len() == 1 && lines[0].contains("--features otlp"), "{lines:?}");
    })]
}
