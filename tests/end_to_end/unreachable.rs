//! A checksum database that cannot be reached, or that is slow: every command ends soon, and says why once.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use testkit::{Fault, Origin, World};

use crate::fixture::{Go, Mirror, get, go_trial, origin, sumgate, trial};

/// More than an audit asks for at the same time.
const LINES: usize = 300;
const LOOKUP: &str = "/lookup/example.com/hello@v1.0.0";
const MOD: &str = "/example.com/hello/@v/v1.0.0.mod";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("unreachable: an audit ends soon and names the cause once", audit),
        trial("unreachable: a database that answers with an error is not called unreachable", refused),
        trial("unreachable: sumdb lookup and why say whom they wait for, and doctor ends soon", single),
        trial("unreachable: an audit ends after one connect time-out if nobody answers the handshake", silent_audit),
        go_trial("unreachable: fetch ends soon, and calls nothing missing or refused", fetch),
        go_trial("unreachable: run ends soon", run),
        trial("database time-out: one lookup ends in time", exchange),
        go_trial(
            "database time-out: go waits without end for a silent database, and not through the mirror",
            beside_go,
        ),
        trial("database time-out: a silent proxy costs its time once", silent_proxies),
        trial("database time-out: a tile that does not come is requested on another connection", stuck_tile),
    ]
}

/// An address at which connections are refused.
fn closed() -> String {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!("http://{address}")
}

/// An address at which nobody answers the handshake: its queue is full.
struct Silent {
    url: String,
    _held: (tokio::net::TcpListener, Vec<tokio::net::TcpStream>),
}

impl Silent {
    fn new() -> Self {
        crate::fixture::runtime().block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let listener = socket.listen(1).unwrap();
            let address = listener.local_addr().unwrap();
            let mut held = Vec::new();
            let connect = || tokio::time::timeout(Duration::from_millis(300), tokio::net::TcpStream::connect(address));
            while let Ok(connected) = connect().await {
                held.push(connected.unwrap());
                assert!(held.len() < 10, "the queue does not fill");
            }
            Self { url: format!("http://{address}"), _held: (listener, held) }
        })
    }
}

fn at(origin: &Origin, url: &str) -> String {
    format!("{} {url}", origin.key())
}

/// A go.sum of modules that nobody has proved yet.
fn go_sum(folder: &Path) -> String {
    let lines =
        (0..LINES).map(|nth| format!("example.com/m{nth} v1.0.0 h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=\n"));
    let go_sum = folder.join("go.sum");
    std::fs::write(&go_sum, lines.collect::<String>()).unwrap();
    go_sum.to_str().unwrap().to_owned()
}

/// Runs the program; returns its exit code, stdout, stderr, and the time that it took.
fn timed(words: &[&str]) -> (Option<i32>, String, String, Duration) {
    let start = Instant::now();
    let output = sumgate().args(words).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr), start.elapsed())
}

fn audit() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let (go_sum, data) = (go_sum(folder.path()), folder.path().join("data"));
    let no_name = "http://database.invalid".to_owned();
    for (url, why) in [(closed(), "connection refused"), (no_name, "failed to lookup address information")] {
        let database = at(&origin, &url);
        let words = ["audit", "--no-policy", "--sumdb", &database, "--data", data.to_str().unwrap()];
        let audit = |more: &[&str]| timed(&[&words, more, &[&go_sum]].concat());
        let (code, shown, said, took) = audit(&[]);
        assert!(code == Some(2) && took < Duration::from_secs(5), "{took:?} {said}{shown}");
        let lines: Vec<&str> = shown.lines().collect();
        let name = origin.world().name().to_owned();
        assert!(lines[0].starts_with(&format!("300 lines not checked: {name} cannot be reached ({why}")), "{shown}");
        assert_eq!((lines.len(), lines[1]), (2, "NOT FINISHED, 300 not checked: 0 proved, no policy"), "{shown}");
        assert_eq!(audit(&["-v"]).1.lines().count(), LINES + 2);
        assert_eq!(audit(&["--format", "github"]).1.lines().count(), 2);
        let json: serde_json::Value = serde_json::from_str(&audit(&["--format", "json"]).1).unwrap();
        let reasons: Vec<&str> =
            json["unchecked"].as_array().unwrap().iter().map(|line| line["reason"].as_str().unwrap()).collect();
        assert!(reasons.len() == LINES && reasons.iter().all(|reason| reason.contains(&url)), "{}", reasons[0]);
    }

    // A head of an earlier run is called one.
    let (database, hello) = (origin.gosumdb(), "example.com/hello@v1.0.0");
    let lookup = timed(&["sumdb", "lookup", hello, "--sumdb", &database, "--data", data.to_str().unwrap()]);
    assert_eq!(lookup.0, Some(0), "{lookup:?}");
    let database = at(&origin, &closed());
    let words = ["audit", "--no-policy", "--sumdb", &database, "--data", data.to_str().unwrap(), &go_sum];
    let (_, shown, ..) = timed(&words);
    assert!(shown.contains("0 proved, stored tree of 607 records"), "{shown}");
}

fn silent_audit() {
    let (origin, silent) = (origin(World::demo()), Silent::new());
    let folder = tempfile::tempdir().unwrap();
    let (go_sum, data) = (go_sum(folder.path()), folder.path().join("data"));
    let database = at(&origin, &silent.url);
    let words = ["audit", "--no-policy", "--sumdb", &database, "--data", data.to_str().unwrap(), &go_sum];
    let (code, shown, said, took) = timed(&words);
    let connect = Duration::from_secs(3)..Duration::from_secs(5);
    assert!(code == Some(2) && connect.contains(&took), "{took:?} {said}{shown}");
    let name = origin.world().name().to_owned();
    let waiting =
        format!("sumgate: waiting for the checksum database {name} ({}), which does not answer\n", silent.url);
    assert_eq!(said, waiting);
    assert!(shown.starts_with(&format!("300 lines not checked: {name} cannot be reached (no answer to ")), "{shown}");
}

fn refused() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let (go_sum, data) = (folder.path().join("go.sum"), folder.path().join("data"));
    std::fs::write(&go_sum, "example.com/hello v1.0.0 h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=\n").unwrap();
    origin.misbehave(LOOKUP, Fault::Status(403, "closed today"));
    let (database, data) = (origin.gosumdb(), data.to_str().unwrap());
    let words = ["audit", "--no-policy", "--sumdb", &database, "--data", data, go_sum.to_str().unwrap()];
    let (code, shown, said, _) = timed(&words);
    assert_eq!(code, Some(2), "{said}{shown}");
    assert!(shown.contains("answered with an error") && shown.contains("closed today"), "{shown}");
    assert!(!shown.contains("cannot be reached"), "{shown}");
    let (code, _, said, _) = timed(&[&words[..], &["--exclude", "/abs"]].concat());
    assert!(code == Some(2) && said.contains("\"/abs\" is not a path below the folder under audit"), "{said}");
    let (code, _, said, _) = timed(&[&words[..], &["--exclude", "a["]].concat());
    assert!(code == Some(2) && said.contains("\"a[\" is not a pattern: expected one such as third_party"), "{said}");
}

fn single() {
    let (origin, folder, silent) = (origin(World::demo()), tempfile::tempdir().unwrap(), Silent::new());
    let (database, data) = (at(&origin, &silent.url), folder.path().join("data"));
    let waiting = format!("sumgate: waiting for the checksum database {} (", origin.world().name());
    for command in [&["sumdb", "lookup"][..], &["why"]] {
        let words = ["--sumdb", &database, "--data", data.to_str().unwrap(), "example.com/hello@v1.0.0"];
        let (code, shown, said, took) = timed(&[command, &words].concat());
        assert!(code == Some(2) && took < Duration::from_secs(5), "{took:?} {said}{shown}");
        assert!(said.starts_with(&waiting), "{command:?}: {said}");
    }
    origin.misbehave("*", Fault::Hold);
    let mut doctor = sumgate();
    doctor.arg("doctor").current_dir(folder.path()).env("GOPROXY", origin.url()).env("GOSUMDB", origin.key());
    let start = Instant::now();
    let output = doctor.env("GOENV", "off").output().unwrap();
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(1) && shown.contains("no answer in time"), "{shown}");
}

fn fetch(go: &Path) {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let alone = Go::new(go, &origin.url(), &at(&origin, &closed()));
    alone.must_fail(&["mod", "download", "example.com/hello@v1.0.0"], "connection refused");
    let (go_sum, data) = (go_sum(folder.path()), folder.path().join("data"));
    let (database, upstream) = (at(&origin, &closed()), closed());
    let words = ["--sumdb", &database, "--upstream", &upstream, "--data", data.to_str().unwrap(), "-m", &go_sum];
    let (code, shown, said, took) = timed(&[&["cache", "fetch"], &words[..]].concat());
    assert!(code == Some(2) && took < Duration::from_secs(5), "{took:?} {said}{shown}");
    assert_eq!(shown, "fetched 0 files (0 bytes), 300 NOT CHECKED\n");
    let name = origin.world().name().to_owned();
    assert_eq!(
        said,
        format!("sumgate: 300 module versions not checked: {name} cannot be reached (connection refused)\n")
    );
}

fn run(go: &Path) {
    let (origin, silent) = (origin(World::demo()), Silent::new());
    for url in [closed(), silent.url.clone()] {
        let home = Go::new(go, &origin.url(), &at(&origin, &url));
        let requires = (0..20).map(|nth| {
            let module = format!("example.com/n{nth}");
            origin.world().add_simple(&format!("{module}@v1.0.0"), "", "package n\n");
            format!("require {module} v1.0.0\n")
        });
        home.write("go.mod", &format!("module example.org/app\n\ngo 1.21\n\n{}", requires.collect::<String>()));
        let alone = home.run_for(Duration::from_secs(10), &["mod", "download"]);
        assert_eq!(alone, (url != silent.url).then_some(false), "go alone fails at once, or waits: {url}");
        let (start, data) = (Instant::now(), home.root().join("data"));
        let database = at(&origin, &url);
        let (upstream, data) = (origin.url(), data.to_str().unwrap().to_owned());
        let settings = ["--sumdb", &database, "--upstream", &upstream, "--data", &data, "--no-policy"];
        let command = ["--", "go", "mod", "download"];
        // Only the database is away, not its copy at the upstream.
        origin.misbehave(&format!("/sumdb/{}/supported", origin.world().name()), Fault::Status(404, "not here"));
        let (code, said) = home.sumgate(&[&["run"], &settings[..], &command[..]].concat());
        assert!(start.elapsed() < Duration::from_secs(10), "{:?} {said}", start.elapsed());
        assert!(code != Some(0) && said.contains("cannot be reached"), "{code:?} {said}");
        let waiting = format!("sumgate: waiting for the checksum database {} (", origin.world().name());
        assert!(said.contains(&waiting) || url != silent.url, "{said}");
    }
}

fn exchange() {
    for path in [LOOKUP, "/tile/8/0/001"] {
        let origin = origin(World::demo());
        let folder = tempfile::tempdir().unwrap();
        let (upstream, sumdb) = (origin.url(), origin.gosumdb());
        let words = ["--upstream", &upstream, "--sumdb", &sumdb, "--database-timeout", "2s"];
        let mirror = Mirror::start_with(&folder.path().join("data"), &words);
        origin.misbehave(path, Fault::Hold);
        origin.misbehave(&format!("/sumdb/{}/supported", origin.world().name()), Fault::Status(404, "not here"));
        let start = Instant::now();
        let answer = get(&mirror.url, MOD);
        let took = start.elapsed();
        assert!((2..4).contains(&took.as_secs()), "{path}: {took:?}");
        assert_eq!(answer.status, 504, "{}", answer.text());
        assert!(answer.text().contains("no answer within 2 s"), "{}", answer.text());
        origin.behave();
        assert_eq!(get(&mirror.url, MOD).status, 200, "{path}");
    }
}

fn beside_go(go: &Path) {
    let (modules, database, nobody) = (origin(World::demo()), origin(World::demo()), Silent::new());
    database.misbehave("*", Fault::Hold);
    let words = ["mod", "download", "example.com/hello@v1.0.0"];
    for (url, why) in [(database.url(), "no answer within 6 s"), (nobody.url.clone(), "no answer to the handshake")] {
        let alone = Go::new(go, &modules.url(), &at(&modules, &url)).run_for(Duration::from_secs(10), &words);
        assert_eq!(alone, None, "go alone waits for longer: {url}");
        let (folder, upstream, sumdb) = (tempfile::tempdir().unwrap(), modules.url(), at(&modules, &url));
        modules.misbehave(&format!("/sumdb/{}/supported", modules.world().name()), Fault::Status(404, "not here"));
        let more = ["--upstream", &upstream, "--sumdb", &sumdb, "--database-timeout", "6s"];
        let mirror = Mirror::start_with(&folder.path().join("data"), &more);
        let start = Instant::now();
        let home = Go::new(go, &mirror.url, &format!("{} {}", modules.key(), mirror.url));
        let told = home.must_fail(&words, why);
        assert!(told.contains(modules.world().name()), "{told}");
        assert!((3..9).contains(&start.elapsed().as_secs()), "{url}: {:?}", start.elapsed());
    }
}

fn silent_proxies() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let silent = [Silent::new(), Silent::new(), Silent::new()];
    let proxies: Vec<&str> = silent.iter().map(|proxy| &*proxy.url).collect();
    let goproxy = format!("{}|{}", proxies.join("|"), origin.url());
    let go_sum = folder.path().join("go.sum");
    std::fs::write(&go_sum, crate::audit::honest(&origin).join("\n") + "\n").unwrap();
    let mut audit = sumgate();
    audit.args(["audit", "--no-policy", "--data"]).arg(folder.path().join("data")).arg(&go_sum);
    // Without a URL the proxies are asked first.
    audit.env("GOPROXY", goproxy).env("GOSUMDB", origin.key()).env("GOFLAGS", "").env("GONOSUMDB", "");
    let start = Instant::now();
    let output = audit.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
}

fn stuck_tile() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    // There is no other endpoint.
    origin.misbehave(&format!("/sumdb/{}/supported", origin.world().name()), Fault::Status(404, "not here"));
    origin.misbehave("/tile/8/0/001", Fault::Times(1, Box::new(Fault::Hold)));
    let start = Instant::now();
    assert_eq!(get(&mirror.url, MOD).status, 200);
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    assert_eq!(origin.asked("/tile/8/0/001"), 2, "the one that waits, and one more");
}
