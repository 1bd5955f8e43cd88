//! Small answers, by connections that request them all the time.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use testkit::{Origin, World};
use tokio::runtime::Runtime;

use crate::measure::{Line, Measure, Panel};
use crate::mirror::Mirror;
use crate::{used, wrk};

pub(crate) fn measure(runtime: &Runtime, smoke: bool) -> Option<Measure> {
    if !wrk::is_here() {
        println!("connections are not measured: no wrk on the PATH");
        return None;
    }
    // For wrk and for the mirror, which takes two files for each connection and keeps a thousand.
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let origin = runtime.block_on(Origin::start(World::demo())).unwrap();
    let (mut times, mut memory) = (Line::new("the mirror"), Line::new("the mirror"));
    for size in crate::sizes(&[1, 10, 100, 1_000, 5_000], smoke) {
        let data = tempfile::tempdir().unwrap();
        // The connections of one address get half of all, except those of a proxy.
        let words = ["--trusted-proxy", "127.0.0.1/32"];
        let mirror = Mirror::start_with(&words, data.path(), &origin.url(), &origin.gosumdb());
        let url = format!("{}/example.com/hello/@v/v1.0.0.mod", mirror.url);
        let (answers, _) = wrk::run(&url, &[], u32::try_from(size).unwrap(), if smoke { 1 } else { 5 });
        times.points.push((size, 1e6 / answers));
        memory.points.push((size, used::peak(mirror.process.id())));
    }
    let panels = vec![
        Panel { unit: "time of 1,000 answers, ms", lines: vec![times] },
        Panel { unit: "peak memory, MB", lines: vec![memory] },
    ];
    Some(Measure { title: "A .mod of the mirror, by wrk", size: "connections", panels })
}
