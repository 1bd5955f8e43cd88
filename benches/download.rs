//! `go mod download` of 29 modules: straight from an origin that takes 20 ms for every answer and through the mirror (cold and
//! warm), the same with an origin without the delay (cold), and through a mirror over one dead, one tampering, one slow and one
//! healthy source.
//!
//! Yardstick: `go` without a mirror in the same run. Needs the `go` command; says so where there is none.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a benchmark may panic")]

#[path = "shared/mirror.rs"]
mod mirror;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mirror::Mirror;
use testkit::{Fault, Origin, World};

const DELAY: Duration = Duration::from_millis(20);
const MODULES: usize = 29;
const RUNS: usize = 7;

fn main() {
    let Some(go) = go() else {
        println!("there is no go command on the PATH; nothing to measure");
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let origin = |delay: Option<Duration>| {
        let origin = runtime.block_on(Origin::start(world())).unwrap();
        if let Some(delay) = delay {
            origin.misbehave("*", Fault::Delay(delay, None));
        }
        origin
    };
    // One run is a smoke test; more are a measurement.
    let runs = if std::env::args().any(|word| word == "--test") { 1 } else { RUNS };
    let (late, prompt) = (origin(Some(DELAY)), origin(None));
    let sources = [origin(None), origin(Some(DELAY)), origin(Some(DELAY * 25)), origin(Some(DELAY))];
    sources[0].misbehave("*", Fault::Reset);
    for module in modules() {
        let (path, version) = module.split_once('@').unwrap();
        sources[1].misbehave(&format!("/{path}/@v/{version}.zip"), Fault::FlipBit(60));
    }
    let mut times: [Vec<Duration>; 6] = Default::default();
    let mut requests = [0; 3];
    for _ in 0..runs {
        times[0].push(download(&go, &late.url(), &late.gosumdb()));
        requests[0] = late.take_requests().len();
        let data = tempfile::tempdir().unwrap();
        let mirror = Mirror::start(data.path(), &late.url(), &late.gosumdb());
        let gosumdb = format!("{} {}", late.key(), mirror.url);
        times[1].push(download(&go, &mirror.url, &gosumdb));
        requests[1] = late.take_requests().len();
        times[2].push(download(&go, &mirror.url, &gosumdb));
        requests[2] = late.take_requests().len();
        assert_eq!(requests[2], 0, "a second client costs no upstream request");
        times[3].push(download(&go, &prompt.url(), &prompt.gosumdb()));
        let data = tempfile::tempdir().unwrap();
        let mirror = Mirror::start(data.path(), &prompt.url(), &prompt.gosumdb());
        times[5].push(download(&go, &mirror.url, &format!("{} {}", prompt.key(), mirror.url)));
        let chain = sources.each_ref().map(Origin::url).join("|");
        let data = tempfile::tempdir().unwrap();
        let mirror = Mirror::start(data.path(), &chain, &sources[3].gosumdb());
        times[4].push(download(&go, &mirror.url, &format!("{} {}", sources[3].key(), mirror.url)));
    }
    let best = times.each_ref().map(|times| times.iter().min().unwrap().as_secs_f64() * 1000.0);
    let [direct, cold, warm, prompt, several, cold_prompt] = best;
    println!("go mod download of {MODULES} modules, the best of {runs} runs each:");
    println!("  without a mirror, origin {DELAY:?} away: {direct:.0} ms, {} requests", requests[0]);
    let ratio = cold / direct;
    println!("  through a mirror, cold: {cold:.0} ms, {} requests upstream, {ratio:.2} times; goal 0.95", requests[1]);
    println!("  from the origin without the delay: {prompt:.0} ms");
    let ratio = cold_prompt / prompt;
    println!("  through a mirror of it, cold: {cold_prompt:.0} ms, {ratio:.2} times; goal 1.15");
    println!("  through a mirror, warm: {warm:.0} ms, none upstream, {:.2} times; goal 0.95", warm / prompt);
    println!(
        "  a dead, a tampering, a slow and a healthy source, cold: {several:.0} ms, {:.2} times the healthy one",
        several / cold
    );
}

fn modules() -> Vec<String> {
    (0..MODULES).map(|n| format!("example.com/many/m{n}@v1.0.0")).collect()
}

/// Modules of about 100 KiB, whose text hardly compresses.
fn world() -> World {
    let mut world = World::demo();
    for (n, module) in modules().iter().enumerate() {
        let noise = (0..1600).map(|line| format!("// {}\n", tlog::leaf_hash(format!("{n} {line}").as_bytes())));
        world.add_simple(module, "", &format!("package m{n}\n{}", noise.collect::<String>()));
    }
    world
}

fn go() -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join("go")).find(|go| go.is_file())
}

/// How long `go mod download` takes with a home of its own.
fn download(go: &Path, goproxy: &str, gosumdb: &str) -> Duration {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(go);
    command.current_dir(home.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", home.path()).env("GOENV", "off").env("GOFLAGS", "-modcacherw").env("GOTOOLCHAIN", "local");
    command.env("GOPROXY", goproxy).env("GOSUMDB", gosumdb).env("GOTELEMETRY", "off");
    command.args(["mod", "download"]).args(modules()).stdout(Stdio::null()).stderr(Stdio::inherit());
    let start = Instant::now();
    assert!(command.status().unwrap().success(), "go mod download failed");
    start.elapsed()
}
