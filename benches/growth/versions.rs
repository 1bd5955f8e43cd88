//! From the start of a mirror to its first answer, by versions on its disk.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Instant;

use testkit::{Origin, World};
use tokio::runtime::Runtime;

use crate::measure::{Line, Measure, Panel};
use crate::mirror::Mirror;
use crate::used;

#[expect(clippy::unnecessary_wraps, reason = "it is one of several")]
pub(crate) fn measure(runtime: &Runtime, smoke: bool) -> Option<Measure> {
    let origin = runtime.block_on(Origin::start(World::demo())).unwrap();
    let data = tempfile::tempdir().unwrap();
    let (mut times, mut memory) = (Line::new("start to first list"), Line::new("after the first list"));
    let mut made = 0;
    for size in crate::sizes(&[1_000, 10_000, 100_000, 1_000_000], smoke) {
        for module in made / 100..size / 100 {
            add_module(data.path(), module);
        }
        made = size;
        let begin = Instant::now();
        // A list needs the go.mod of the newest version; these have no record.
        let mirror =
            Mirror::start_with(&["--nosumdb", "example.com/m*"], data.path(), &origin.url(), &origin.gosumdb());
        let host = mirror.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        write!(stream, "GET /example.com/m0/@v/list HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("v1.0.99\n"), "{answer}");
        times.points.push((size, used::milliseconds(begin.elapsed())));
        memory.points.push((size, used::peak(mirror.process.id())));
    }
    let panels =
        vec![Panel { unit: "time, ms", lines: vec![times] }, Panel { unit: "peak memory, MB", lines: vec![memory] }];
    Some(Measure { title: "The start of a mirror", size: "versions on disk", panels })
}

/// A hundred versions of a module in the store.
fn add_module(data: &Path, module: usize) {
    let folder = data.join(format!("proxy/example.com/m{module}/@v"));
    fs::create_dir_all(&folder).unwrap();
    // A million links take less time than a million files, and a scan would find as many names.
    let first = folder.join("first");
    fs::write(&first, format!("module example.com/m{module}\n")).unwrap();
    (0..100).for_each(|nth| fs::hard_link(&first, folder.join(format!("v1.0.{nth}.mod"))).unwrap());
    fs::write(folder.join("list"), (0..100).map(|nth| format!("v1.0.{nth}\n")).collect::<String>()).unwrap();
}
