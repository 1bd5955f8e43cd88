//! Load by wrk.

use std::process::{Command, Stdio};

pub(crate) fn is_here() -> bool {
    Command::new("wrk").arg("--version").stdout(Stdio::null()).status().is_ok()
}

/// So many connections request `url` repeatedly, with these headers; every answer must be successful. Returns answers and bytes in
/// a second.
pub(crate) fn run(url: &str, headers: &[&str], connections: u32, seconds: u32) -> (f64, f64) {
    let threads = connections.min(2);
    let mut wrk = Command::new("wrk");
    wrk.args([format!("-t{threads}"), format!("-c{connections}"), format!("-d{seconds}s"), url.to_owned()]);
    wrk.args(headers.iter().flat_map(|header| ["-H", header]));
    let said = String::from_utf8(wrk.output().unwrap().stdout).unwrap();
    assert!(!said.contains("Non-2xx"), "{said}");
    let of = |name: &str| said.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap().trim();
    let transfer = of("Transfer/sec:");
    let (number, unit) = transfer.split_at(transfer.find(char::is_alphabetic).unwrap());
    // wrk counts in powers of 1024.
    let unit = ["B", "KB", "MB", "GB"].iter().position(|name| *name == unit).unwrap();
    let bytes = number.parse::<f64>().unwrap() * 1024_f64.powi(i32::try_from(unit).unwrap());
    (of("Requests/sec:").parse().unwrap(), bytes)
}
