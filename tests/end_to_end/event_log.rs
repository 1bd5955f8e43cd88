//! The event log: what the real `go` got through the mirror and what was refused is in `sumgate report events`, whatever happens to
//! the mirror and its disk.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::Value;
use testkit::{Fault, Origin, World};

use crate::fixture::{
    Go, Mirror, Running, files, get, go_trial, mount_trial, on_mount, origin, run, sumgate, trial, wait,
};

const ZIP: &str = "/example.com/hello/@v/v1.0.0.zip";
const MOD: &str = "/example.com/hello/@v/v1.0.0.mod";

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("events: what go fetched is reported with its proof, its client and its request", released),
        go_trial("events: a forged module is a refusal that the id in the message of go finds", forged),
        trial("events: refused lists, lookups and versions are reported with their rule", others),
        trial("events: the log is bounded in size and number of files", rotated),
        trial("events: a kill in the middle leaves a readable log, and the next start continues it", killed),
        trial("events: a report follows a mirror that runs, and prints nothing hostile", followed),
        mount_trial("events: on a full disk the mirror serves, says so, and continues the log later", full_disk),
    ]
}

/// The events that match, as JSON, once there are `least`.
pub fn events(data: &Path, more: &[&str], least: usize) -> Vec<Value> {
    let start = Instant::now();
    loop {
        let output = report(data, &[more, &["--format", "json"]].concat());
        let found: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        if found.len() >= least {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{more:?}: expected {least} events, found {output}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn report(data: &Path, more: &[&str]) -> String {
    let output = sumgate().args(["report", "events", "--data"]).arg(data).args(more).output().unwrap();
    assert!(output.status.success(), "{more:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn setting() -> (Origin, tempfile::TempDir, Mirror) {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    (origin, folder, mirror)
}

/// Stops the mirror as a process manager does.
pub fn stop(mirror: &mut Mirror) {
    let id = i32::try_from(mirror.process.0.id()).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(id).unwrap(), rustix::process::Signal::TERM).unwrap();
    assert!(wait(&mut mirror.process.0).success());
}

fn released(go: &Path) {
    let (origin, _folder, mut mirror) = setting();
    let client = Go::new(go, &mirror.url, &format!("{} {}", origin.key(), mirror.url));
    client.must(&["mod", "download", "example.com/hello@v1.0.0"]);
    let data = mirror.data.clone();
    let [zip] = &events(&data, &["--module", "example.com/hello@v1.0.0", "--outcome", "released"], 2)
        .into_iter()
        .filter(|event| event["kind"] == "zip")
        .collect::<Vec<_>>()[..]
    else {
        panic!("{}", report(&data, &[]))
    };
    let hashed = run(&["hash", data.join("proxy").join(&ZIP[1..]).to_str().unwrap()]);
    let h1 = String::from_utf8(hashed.stdout).unwrap();
    assert!(h1.contains(zip["h1"].as_str().unwrap()), "{h1} {zip}");
    let expected = [
        ("v", Value::from(1)),
        ("client", "127.0.0.1".into()),
        ("module", "example.com/hello".into()),
        ("version", "v1.0.0".into()),
        ("basis", "record".into()),
        ("database", origin.world().name().into()),
        ("source", origin.url().into()),
        ("bytes", data.join("proxy").join(&ZIP[1..]).metadata().unwrap().len().into()),
    ];
    for (name, value) in expected {
        assert_eq!(zip[name], value, "{name} in {zip}");
    }
    assert!(zip["record"].as_u64() < zip["tree"].as_u64() && zip.get("private").is_none(), "{zip}");

    // Also what is answered from memory, each time and to whom.
    let ids: Vec<String> = (0..3).map(|_| get(&mirror.url, MOD).header("x-request-id").unwrap().to_owned()).collect();
    for id in &ids {
        let [event] = &events(&data, &["--request-id", id], 1)[..] else { panic!("{id}") };
        assert!(event["kind"] == "mod" && event["outcome"] == "released", "{event}");
    }
    let line = report(&data, &["--request-id", &ids[2]]);
    let proof = format!(
        "proved by record {} of {}",
        events(&data, &["--request-id", &ids[2]], 1)[0]["record"],
        origin.world().name()
    );
    assert!(
        line.contains(&proof)
            && line.contains("example.com/hello@v1.0.0 mod")
            && line.ends_with(&format!("{}\n", ids[2]))
    );

    // What was answered before the end is in the log after it, and a filter that matches nothing is no failure.
    let last = get(&mirror.url, ZIP).header("x-request-id").unwrap().to_owned();
    stop(&mut mirror);
    assert_eq!(report(&data, &["--request-id", &last, "--since", "1h", "--client", "127.0.0.0/8"]).lines().count(), 1);
    for none in
        [["--since", "2100-01-01"], ["--client", "10.0.0.1"], ["--module", "example.com/other"], ["--code", "x"]]
    {
        assert_eq!(report(&data, &none), "", "{none:?}");
    }
}

fn forged(go: &Path) {
    let (origin, _folder, mirror) = setting();
    origin.misbehave(ZIP, Fault::FlipBit(200));
    let client = Go::new(go, &mirror.url, &format!("{} {}", origin.key(), mirror.url));
    let said = client.must_fail(&["mod", "download", "example.com/hello@v1.0.0"], "refused");
    let id = said.lines().find_map(|line| line.trim().strip_prefix("request ")).unwrap();
    let [event] = &events(&mirror.data, &["--request-id", id], 1)[..] else { panic!("{said}") };
    assert!(event["outcome"] == "refused" && event["code"] == "wrong-bytes" && event["kind"] == "zip", "{event}");
    let case = event["quarantine"][0].as_str().unwrap();
    assert!(Path::new(case).join("bytes").is_file(), "{event}");
    let [found] = &events(&mirror.data, &["--outcome", "quarantined"], 1)[..] else { panic!("one case") };
    assert!(found["quarantine"][0] == case && found["source"] == origin.url(), "{found}");
    assert!(found["expected"] != found["h1"] && found["expected"].as_str().unwrap().starts_with("h1:"), "{found}");
    let text = report(&mirror.data, &["--outcome", "refused", "--code", "wrong-bytes"]);
    assert!(text.lines().all(|line| line.contains("  refused  ") && line.contains(case)), "{text}");
}

fn others() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let policy = folder.path().join("policy.toml");
    fs::write(&policy, "[[deny]]\nmodule = \"example.com/hello\"\nreason = \"no\"\n").unwrap();
    let (url, sumdb) = (origin.url(), origin.gosumdb());
    let words = ["--upstream", &url, "--sumdb", &sumdb, "--policy"];
    let data = folder.path().join("data");
    let mirror = Mirror::start_with(&data, &[&words[..], &[policy.to_str().unwrap()]].concat());
    for (path, code, kind, rule) in [
        (ZIP.to_owned(), "policy-denied", "zip", true),
        ("/example.com/hello/@v/list".to_owned(), "policy-denied", "list", true),
        ("/example.com/none/@v/v1.0.0.mod".to_owned(), "", "", false),
    ] {
        let answer = get(&mirror.url, &path);
        let id = answer.header("x-request-id").unwrap();
        if code.is_empty() {
            assert_eq!(answer.status, 404);
            continue;
        }
        let [event] = &events(&data, &["--request-id", id], 1)[..] else { panic!("{path}") };
        assert!(event["code"] == code && event["kind"] == kind && event["module"] == "example.com/hello", "{event}");
        assert_eq!((event["rule"].is_string(), &event["line"]), (rule, &Value::from(1)), "{event}");
    }
    origin.misbehave("*", Fault::Status(500, "down"));
    let list = get(&mirror.url, "/example.com/dep/v2/@v/list");
    let [failed] = &events(&data, &["--request-id", list.header("x-request-id").unwrap()], 1)[..] else { panic!() };
    assert!(failed["outcome"] == "failed" && failed["kind"] == "list" && failed.get("code").is_none(), "{failed}");
    assert!(events(&data, &["--module", "example.com/none"], 0).is_empty(), "absence is no event");
}

fn rotated() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    let (url, sumdb) = (origin.url(), origin.gosumdb());
    let words = ["--upstream", &url, "--sumdb", &sumdb, "--events-file-size", "128KiB", "--events-files", "3"];
    let mut mirror = Mirror::start_with(&data, &words);
    let mut last = String::new();
    // More than a file in each round, in several batches.
    for _ in 0..4 {
        for _ in 0..350 {
            get(&mirror.url, ZIP).header("x-request-id").unwrap().clone_into(&mut last);
        }
        events(&data, &["--request-id", &last], 1);
    }
    stop(&mut mirror);
    let found = files(&data.join("events"));
    assert_eq!(found.len(), 3, "{:?}", found.keys());
    assert!(found.values().all(|bytes| bytes.len() <= 128 << 10), "each is within the limit");
    let kept = events(&data, &[], 10);
    assert!(kept.len() < 1200 && kept.last().unwrap()["request"] == *last, "the newest are kept");
    // A log that is off has no files.
    let off = folder.path().join("off");
    let mut mirror = Mirror::start_with(&off, &["--upstream", &url, "--sumdb", &sumdb, "--events-files", "0"]);
    assert_eq!(get(&mirror.url, ZIP).status, 200);
    stop(&mut mirror);
    assert!(!off.join("events").exists());
}

fn killed() {
    let (origin, _folder, mut mirror) = setting();
    let data = mirror.data.clone();
    let url = mirror.url.clone();
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let url = url.clone();
            std::thread::spawn(move || while crate::fixture::try_request(&url, "GET", MOD, "").is_ok() {})
        })
        .collect();
    events(&data, &[], 200);
    mirror.process.0.kill().unwrap();
    for client in clients {
        client.join().unwrap();
    }
    drop(mirror);
    let before = events(&data, &[], 200).len();
    // As after a power cut.
    let newest = fs::read_dir(data.join("events")).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    File::options().append(true).open(newest).unwrap().write_all(b"{\"v\":1,\"time\":\"20").unwrap();
    let mirror = Mirror::start(&origin, &data);
    let id = get(&mirror.url, MOD).header("x-request-id").unwrap().to_owned();
    events(&data, &["--request-id", &id], 1);
    let output = run(&["report", "events", "--data", data.to_str().unwrap()]);
    let (shown, told) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success() && shown.lines().count() == before + 1, "{before} {}", shown.lines().count());
    assert!(told.contains("1 line of the event log cannot be read"), "{told}");
}

fn followed() {
    let (_origin, _folder, mirror) = setting();
    let data = mirror.data.to_str().unwrap();
    let mut follower = sumgate();
    follower.args(["report", "events", "--follow", "--format", "human", "--data", data]).stdout(Stdio::piped());
    let mut follower = Running(follower.spawn().unwrap());
    let mut lines = BufReader::new(follower.0.stdout.take().unwrap()).lines();
    assert_eq!(get(&mirror.url, ZIP).status, 200);
    assert!(lines.next().unwrap().unwrap().contains("example.com/hello@v1.0.0 zip"));
    // Whoever may write there.
    let newest = fs::read_dir(mirror.data.join("events")).unwrap().next().unwrap().unwrap().path();
    let hostile = "{\"v\":1,\"time\":\"2026-01-01T00:00:00Z\",\"outcome\":\"refused\",\"module\":\"\\u001b[2J\\n::error::\",\
                   \"reason\":\"\u{202e}x\"}\n\u{1b}[2J\n";
    File::options().append(true).open(newest).unwrap().write_all(hostile.as_bytes()).unwrap();
    let line = lines.next().unwrap().unwrap();
    assert!(line.starts_with("2026-01-01T00:00:00Z  refused") && line.contains("\\u{1b}[2J"), "{line:?}");
    let json = report(&mirror.data, &["--format", "json", "--outcome", "refused"]);
    assert!(json.is_ascii() && !json.contains('\u{1b}') && json.lines().count() == 1, "{json:?}");
    // Other data folders than that of a mirror are said.
    let none = run(&["report", "events", "--data", "/nowhere/at/all"]);
    assert!(none.status.code() == Some(2) && String::from_utf8_lossy(&none.stderr).contains("--data DIR"));
}

fn full_disk() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mount = folder.path().join("data");
    fs::create_dir(&mount).unwrap();
    let program = on_mount(&mount, "mount -t tmpfs -o size=1m tmpfs", Path::new(env!("CARGO_BIN_EXE_sumgate")));
    let (url, sumdb) = (origin.url(), origin.gosumdb());
    let mirror = Mirror::start_by(program, &mount, &["--upstream", &url, "--sumdb", &sumdb]);
    let root = Path::new("/proc").join(mirror.process.0.id().to_string()).join("root");
    let inside = root.join(mount.strip_prefix("/").unwrap());
    assert_eq!(get(&mirror.url, MOD).status, 200);
    let filler = inside.join("filler");
    let mut file = File::create(&filler).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
    drop(file);
    for _ in 0..100 {
        assert_eq!(get(&mirror.url, MOD).status, 200);
    }
    let log = || fs::read_to_string(mount.with_extension("log")).unwrap();
    let start = Instant::now();
    while !log().contains("events/events-") {
        assert!(start.elapsed() < Duration::from_secs(20), "{}", log());
        assert_eq!(get(&mirror.url, MOD).status, 200);
    }
    assert_eq!(log().matches("No space left on device").count(), 1, "{}", log());
    fs::remove_file(filler).unwrap();
    let id = get(&mirror.url, MOD).header("x-request-id").unwrap().to_owned();
    // The path leads through `/proc`, so a report would look at the folder outside.
    let lines =
        || files(&inside.join("events")).into_values().map(|text| String::from_utf8(text).unwrap()).collect::<String>();
    let start = Instant::now();
    while !lines().contains(&id) {
        assert!(start.elapsed() < Duration::from_secs(20), "{}", lines());
    }
    assert!(lines().lines().last().unwrap().starts_with("{\"v\":1,"), "{}", lines());
}
