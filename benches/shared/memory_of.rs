//! The memory of a process.

use std::process::Child;

/// A line of `/proc/PID/status`, in MB; 0 on systems that have none.
pub(crate) fn resident(process: &Child, name: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().nth(1)?.parse().ok());
    line.unwrap_or(0.0) * 1024.0 / 1e6
}
