//! `go mod download` of 29 modules: straight from an origin that takes 20 ms for every answer and through the mirror (cold and
//! warm), the same with an origin without the delay (cold), and through a mirror over one dead, one tampering, one slow and one
//! healthy source.
//!
//! Yardstick: `go` without a mirror in the same run. Needs the `go` command; says so where there is none.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a benchmark may panic")]

#[path = "shared/go_client.rs"]
mod go_client;
#[path = "shared/mirror.rs"]
mod mirror;

use std::time::Duration;

use go_client::{add_many, go, many};
use mirror::Mirror;
use testkit::{Fault, Origin, World};

const DELAY: Duration = Duration::from_millis(20);
const MODULES: usize = 29;
const RUNS: usize = 7;

fn main() {
    let Some(go) = go() else {
        println!("not measured: no go command on the PATH");
        return;
    };
    let download = |goproxy: &str, gosumdb: &str| go_client::download(&go, goproxy, gosumdb, &many(MODULES));
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
    for module in many(MODULES) {
        let (path, version) = module.split_once('@').unwrap();
        sources[1].misbehave(&format!("/{path}/@v/{version}.zip"), Fault::FlipBit(60));
    }
    let mut times: [Vec<Duration>; 6] = Default::default();
    let mut requests = [0; 3];
    for _ in 0..runs {
        times[0].push(download(&late.url(), &late.gosumdb()));
        requests[0] = late.take_requests().len();
        let data = tempfile::tempdir().unwrap();
        let mirror = Mirror::start(data.path(), &late.url(), &late.gosumdb());
        let gosumdb = format!("{} {}", late.key(), mirror.url);
        times[1].push(download(&mirror.url, &gosumdb));
        requests[1] = late.take_requests().len();
        times[2].push(download(&mirror.url, &gosumdb));
        requests[2] = late.take_requests().len();
        assert_eq!(requests[2], 0, "a second client costs no upstream request");
        times[3].push(download(&prompt.url(), &prompt.gosumdb()));
        let data = tempfile::tempdir().unwrap();
        let mirror = Mirror::start(data.path(), &prompt.url(), &prompt.gosumdb());
        times[5].push(download(&mirror.url, &format!("{} {}", prompt.key(), mirror.url)));
        let chain = sources.each_ref().map(Origin::url).join("|");
        let data = tempfile::tempdir().unwrap();
        let mirror = Mirror::start(data.path(), &chain, &sources[3].gosumdb());
        times[4].push(download(&mirror.url, &format!("{} {}", sources[3].key(), mirror.url)));
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

fn world() -> World {
    let mut world = World::demo();
    add_many(&mut world, MODULES);
    world
}
