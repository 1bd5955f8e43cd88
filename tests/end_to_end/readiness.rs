//! `/readyz` and `/version`.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use testkit::{Fault, World};

use crate::fixture::{Answer, Mirror, get, mount_trial, on_mount, origin, request, trial};

/// What a load balancer may wait for.
const WITHIN: Duration = Duration::from_secs(5);

pub fn trials() -> Vec<Trial> {
    vec![
        trial("ready: a mirror is ready once the database has shown a head, without any other request", head),
        trial("ready: not while the database shows no head, and again after that", no_head),
        trial("ready: not after a fork", fork),
        trial("ready: not while the data folder cannot be written", unwritable),
        mount_trial("ready: not while the disk is full", full),
        trial("ready: an offline mirror asks nothing, and is ready", offline),
        trial("ready: the mirror has a version", version),
    ]
}

/// Waits until `/readyz` has this status.
fn until(mirror: &Mirror, status: u16) -> Answer {
    let deadline = Instant::now() + WITHIN;
    loop {
        let answer = get(&mirror.url, "/readyz");
        if answer.status == status {
            return answer;
        }
        assert!(Instant::now() < deadline, "not {status} within {WITHIN:?}: {}", answer.text());
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn head() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let sumdb = format!("{} http://127.0.0.1:9", origin.key());
    let words = ["--upstream", "http://127.0.0.1:9", "--sumdb", &sumdb];
    let mirror = Mirror::start_with(&folder.path().join("unreachable"), &words);
    let answer = get(&mirror.url, "/readyz");
    assert_eq!((answer.status, answer.header("cache-control")), (503, Some("no-store")));
    assert!(
        answer.text().starts_with("not ready\nthe database localhost") && answer.text().contains("no tree head yet"),
        "{}",
        answer.text()
    );
    assert_eq!(get(&mirror.url, "/healthz").status, 200, "it runs, though");
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    assert_eq!(origin.take_requests(), Vec::<String>::new(), "nobody has looked yet");
    let answer = get(&mirror.url, "/readyz");
    assert_eq!((answer.status, answer.text().as_str()), (200, "ready\n"));
    let head = request(&mirror.url, "HEAD", "/readyz", "");
    assert_eq!((head.status, head.text().as_str()), (200, ""));
    assert_eq!(request(&mirror.url, "POST", "/readyz", "").status, 405);
}

fn no_head() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    origin.misbehave("/latest", Fault::Status(500, "closed today"));
    let words = ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb(), "--max-head-age", "1m"];
    let mirror = Mirror::start_with(&folder.path().join("data"), &words);
    let answer = until(&mirror, 503);
    assert!(answer.text().contains("no tree head yet"), "{}", answer.text());
    let metrics = get(&mirror.url, "/metrics").text();
    assert!(metrics.contains("\nsumgate_ready 0\n"), "{metrics}");
    let max = metrics.lines().find(|line| line.starts_with("sumgate_sumdb_max_head_age_seconds{"));
    assert!(max.is_some_and(|line| line.ends_with(" 60")) && metrics.contains("\nsumgate_sumdb_head_age_seconds{"));
    origin.behave();
    // Its circuit breaker opens for some seconds after failures.
    let deadline = Instant::now() + 4 * WITHIN;
    while get(&mirror.url, "/readyz").status != 200 {
        assert!(Instant::now() < deadline, "it is not ready again");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn fork() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    assert_eq!(get(&mirror.url, "/example.com/hello/@v/v1.0.0.zip").status, 200);
    until(&mirror, 200);
    let other = origin.world().fork(400, 900);
    *origin.world() = other;
    assert_eq!(get(&mirror.url, "/example.com/legacy/@v/v2.0.0+incompatible.zip").status, 503);
    let answer = until(&mirror, 503);
    assert!(
        answer.text().contains("signed two histories") && answer.text().contains("evidence is in sumdb/"),
        "{}",
        answer.text()
    );
    let metrics = get(&mirror.url, "/metrics").text();
    assert!(metrics.lines().any(|line| line.starts_with("sumgate_sumdb_forked{") && line.ends_with(" 1")), "{metrics}");
}

fn unwritable() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    until(&mirror, 200);
    // Whatever is wrong with the folder, no file can be made in it.
    let staging = mirror.data.join("staging");
    fs::rename(&staging, mirror.data.join("moved")).unwrap();
    let answer = until(&mirror, 503);
    assert!(
        answer.text().contains("staging") && !answer.text().contains(folder.path().to_str().unwrap()),
        "{}",
        answer.text()
    );
    fs::rename(mirror.data.join("moved"), &staging).unwrap();
    until(&mirror, 200);
}

fn full() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mount = folder.path().join("data");
    fs::create_dir(&mount).unwrap();
    let program = on_mount(&mount, "mount -t tmpfs -o size=1m tmpfs", Path::new(env!("CARGO_BIN_EXE_sumgate")));
    let words = ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb()];
    let mirror = Mirror::start_by(program, &mount, &words);
    until(&mirror, 200);
    let root = Path::new("/proc").join(mirror.process.0.id().to_string()).join("root");
    let filler = root.join(mount.strip_prefix("/").unwrap()).join("filler");
    let mut file = File::create(&filler).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
    let answer = until(&mirror, 503);
    assert!(answer.text().contains("No space left on device"), "{}", answer.text());
    // Its space is free once it is closed, too.
    drop(file);
    fs::remove_file(filler).unwrap();
    until(&mirror, 200);
}

fn offline() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    drop(Mirror::start(&origin, &data));
    origin.take_requests();
    let mirror = Mirror::start_with(&data, &["--offline", "--sumdb", &origin.gosumdb()]);
    assert_eq!(get(&mirror.url, "/readyz").status, 200);
    let metrics = get(&mirror.url, "/metrics");
    assert!(metrics.status == 200 && !metrics.text().contains("head_age_seconds{"), "{}", metrics.text());
    assert_eq!(origin.take_requests(), Vec::<String>::new());
}

fn version() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let more = ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb(), "--base-path", "/go"];
    let mirror = Mirror::start_with(&folder.path().join("data"), &more);
    let answer = get(&mirror.url, "/version");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let facts: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(facts["version"], env!("CARGO_PKG_VERSION"));
    assert!(facts["commit"].is_string() && facts["go"] == "go1.27", "{facts}");
    let root = mirror.url.strip_suffix("/go").unwrap();
    for path in ["/version", "/readyz", "/metrics"] {
        assert_eq!(get(root, path).status, 404, "only below the base path: {path}");
    }
}
