//! A mirror in a process of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// `sumgate serve`, ended when dropped.
pub(crate) struct Mirror {
    pub(crate) url: String,
    pub(crate) process: Child,
}

impl Mirror {
    pub(crate) fn start(data: &Path, upstream: &str, gosumdb: &str) -> Self {
        Self::start_with(&[], data, upstream, gosumdb)
    }

    pub(crate) fn start_with(words: &[&str], data: &Path, upstream: &str, gosumdb: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sumgate"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--upstream", upstream, "--sumdb", gosumdb]).args(words);
        command.arg("--data").arg(data).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let mut first = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let url = first.trim_end().rsplit(' ').next().unwrap().to_owned();
        Self { url, process }
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
