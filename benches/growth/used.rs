//! What a process uses: time, and memory at its peak.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) struct Used {
    pub(crate) ms: f64,
    pub(crate) mb: f64,
}

/// Runs a command, which must succeed. Its memory is read every millisecond until it ends.
pub(crate) fn by(command: &mut Command) -> Used {
    let ended = AtomicBool::new(false);
    let begin = Instant::now();
    let mut process = command.spawn().unwrap();
    let id = process.id();
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0.0;
            while !ended.load(Ordering::Relaxed) {
                most = peak(id).max(most);
                thread::sleep(Duration::from_millis(1));
            }
            most
        });
        let status = process.wait().unwrap();
        let ms = milliseconds(begin.elapsed());
        ended.store(true, Ordering::Relaxed);
        assert!(status.success());
        Used { ms, mb: watch.join().unwrap() }
    })
}

/// The most memory that a process had until now, in MB; 0 if it has ended.
pub(crate) fn peak(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) * 1024.0 / 1e6
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
