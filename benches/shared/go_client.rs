//! `go mod download` of many modules, with a home of its own each time.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testkit::World;

pub(crate) fn go() -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join("go")).find(|go| go.is_file())
}

pub(crate) fn many(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("example.com/many/m{n}@v1.0.0")).collect()
}

/// Adds modules of about 100 KiB, whose text hardly compresses.
pub(crate) fn add_many(world: &mut World, count: usize) {
    for (n, module) in many(count).iter().enumerate() {
        let noise = (0..1600).map(|line| format!("// {}\n", tlog::leaf_hash(format!("{n} {line}").as_bytes())));
        world.add_simple(module, "", &format!("package m{n}\n{}", noise.collect::<String>()));
    }
}

/// How long `go mod download` takes.
pub(crate) fn download(go: &Path, goproxy: &str, gosumdb: &str, modules: &[String]) -> Duration {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(go);
    command.current_dir(home.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", home.path()).env("GOENV", "off").env("GOFLAGS", "-modcacherw").env("GOTOOLCHAIN", "local");
    command.env("GOPROXY", goproxy).env("GOSUMDB", gosumdb).env("GOTELEMETRY", "off");
    command.args(["mod", "download"]).args(modules).stdout(Stdio::null()).stderr(Stdio::inherit());
    let start = Instant::now();
    assert!(command.status().unwrap().success(), "go mod download failed");
    start.elapsed()
}
