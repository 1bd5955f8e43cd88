//! After a kill at any point, a restart serves only complete, correct files.

use std::sync::Arc;
use std::time::Duration;

use gomodule::module::ModuleVersion;
use libtest_mimic::Trial;
use testkit::{Fault, World};

use crate::fixture::{Mirror, files, get, origin, request, trial, try_request};

const ZIP: &str = "/example.com/hello/@v/v1.0.0.zip";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("crash: killed while waiting for bytes", || {
            killed_during(Fault::Hold);
        }),
        trial("crash: killed at many points of many downloads", killed_at_many_moments),
        trial("crash: fifty cold requests are one download, also if a client disconnects", fifty_cold_requests),
        trial("crash: a truncated body is not an answer, and is not kept", broken_body),
    ]
}

fn killed_during(fault: Fault) {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    let mut mirror = Mirror::start(&origin, &data);
    origin.misbehave(ZIP, fault);
    let url = mirror.url.clone();
    let client = std::thread::spawn(move || try_request(&url, "GET", ZIP, "").map(|answer| answer.status));
    while origin.asked(ZIP) == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    mirror.process.0.kill().unwrap();
    assert!(client.join().unwrap().is_err(), "the client got no answer");
    assert!(!files(&data.join("proxy")).contains_key(&ZIP[1..]));
    drop(mirror);
    origin.behave();
    only_right_files(&origin, &data);
}

/// Restarts over `data` and compares everything it serves with what the origin has.
fn only_right_files(origin: &testkit::Origin, data: &std::path::Path) {
    let mirror = Mirror::start(origin, data);
    let staging = files(&data.join("staging"));
    assert!(staging.keys().all(|name| name.ends_with("lock")), "leftovers are swept: {:?}", staging.keys());
    let modules: Vec<ModuleVersion> = origin.world().modules().cloned().collect();
    for module in modules {
        let path = format!("/{}/@v/{}", module.path.escaped(), module.version.escaped());
        let zip = get(&mirror.url, &format!("{path}.zip"));
        let go_mod = get(&mirror.url, &format!("{path}.mod"));
        let world = origin.world();
        let honest = world.module(&module).unwrap();
        assert_eq!((zip.status, &zip.body), (200, &honest.zip), "{module}");
        assert_eq!((go_mod.status, go_mod.text().as_str()), (200, honest.go_mod.as_str()), "{module}");
    }
    for (name, bytes) in mirror.tree().into_iter().filter(|(name, _)| name.ends_with(".zip")) {
        assert_eq!(get(&mirror.url, &format!("/{name}")).body, bytes);
    }
}

fn killed_at_many_moments() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    let modules: Vec<String> = origin
        .world()
        .modules()
        .flat_map(|m| [".mod", ".zip", ".info"].map(|e| format!("/{}/@v/{}{e}", m.path.escaped(), m.version.escaped())))
        .collect();
    // Each round gets a little further before the kill.
    for round in 0..12_u64 {
        let mut mirror = Mirror::start(&origin, &data);
        let clients: Vec<_> = modules
            .iter()
            .map(|path| {
                let (url, path) = (mirror.url.clone(), path.clone());
                std::thread::spawn(move || try_request(&url, "GET", &path, "").is_ok())
            })
            .collect();
        std::thread::sleep(Duration::from_millis(round * round));
        mirror.process.0.kill().unwrap();
        for client in clients {
            client.join().unwrap();
        }
    }
    only_right_files(&origin, &data);
}

fn fifty_cold_requests() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    origin.misbehave(ZIP, Fault::Hold);
    // The first client disconnects as soon as its request has started.
    let address = mirror.url.strip_prefix("http://").unwrap().to_owned();
    let mut leaver = std::net::TcpStream::connect(&address).unwrap();
    std::io::Write::write_all(&mut leaver, format!("GET {ZIP} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes())
        .unwrap();
    while origin.asked(ZIP) == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(leaver);
    let url = Arc::new(mirror.url.clone());
    let clients: Vec<_> = (0..50)
        .map(|_| {
            let url = Arc::clone(&url);
            std::thread::spawn(move || request(&url, "GET", ZIP, "").body)
        })
        .collect();
    origin.behave();
    let honest = origin.world().module(&ModuleVersion::parse("example.com/hello@v1.0.0").unwrap()).unwrap().zip.clone();
    for client in clients {
        assert_eq!(client.join().unwrap(), honest);
    }
    assert_eq!(origin.asked(ZIP), 1);
}

fn broken_body() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    origin.misbehave(ZIP, Fault::Break(100));
    let answer = get(&mirror.url, ZIP);
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert!(!mirror.tree().contains_key(&ZIP[1..]));
    origin.behave();
    assert_eq!(get(&mirror.url, ZIP).status, 200);
}
