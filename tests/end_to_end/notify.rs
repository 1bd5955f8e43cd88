//! `serve --notify`: what the receiver of events gets, and what it never gets.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::Value;
use testkit::{Fault, Origin, World};

use crate::fixture::{Mirror, get, origin, sumgate, trial};

const ZIP: &str = "/example.com/hello/@v/v1.0.0.zip";
const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// Longer than three attempts take.
const TIME_LIMIT: Duration = Duration::from_secs(60);

pub fn trials() -> Vec<Trial> {
    vec![
        trial("notify: wrong bytes are told once, signed, and again after a failure of the receiver", wrong_bytes),
        trial("notify: a fork and a source that is down are told", fork_and_source),
        trial("notify: a fork is sent before what waits, and after the settings are read again", urgent),
        trial("notify: no name of a private module and no secret is sent or logged", nothing_private),
        trial("notify: a receiver that is away or redirects costs no request", away),
        trial("notify: unsafe settings are refused", settings),
    ]
}

/// A request of the mirror.
struct Told {
    head: String,
    body: String,
}

impl Told {
    fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).unwrap()
    }

    fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// What docs/operations.md says about the signature.
    fn is_signed(&self) -> bool {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
        let text = format!("{}.{}", self.header("X-Sumgate-Timestamp"), self.body);
        let code = hex::decode(self.header("X-Sumgate-Signature").strip_prefix("v1=").unwrap()).unwrap();
        ring::hmac::verify(&key, text.as_bytes(), &code).is_ok()
    }
}

/// A server that answers with these heads, and then with 204. It ends with the process.
struct Hook {
    url: String,
    told: Receiver<Told>,
}

impl Hook {
    fn start(answers: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook/token-in-path", listener.local_addr().unwrap());
        let (sender, told) = channel();
        let answers = answers.to_vec();
        std::thread::spawn(move || {
            let mut answers = answers.into_iter();
            // The trial is over if nobody receives.
            while let Ok((stream, _)) = listener.accept() {
                let answer = answers.next().unwrap_or("204 No Content");
                if !serve(stream, answer, &sender) {
                    return;
                }
            }
        });
        Self { url, told }
    }

    fn next(&self) -> Told {
        self.told.recv_timeout(TIME_LIMIT).unwrap()
    }

    /// The next events, by their outcome.
    fn events(&self, number: usize) -> Vec<Value> {
        let mut found: Vec<Value> = (0..number).map(|_| self.next().event()).collect();
        found.sort_by_key(|event| event["outcome"].to_string());
        found
    }
}

fn serve(stream: TcpStream, answer: &str, told: &Sender<Told>) -> bool {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).unwrap_or(0) == 0 {
            return true;
        }
    }
    let length = head.to_lowercase().split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    let close = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let _ = stream.into_inner().write_all(close.as_bytes());
    told.send(Told { head, body: String::from_utf8(body).unwrap() }).is_ok()
}

/// The file with the secret.
fn secret(folder: &Path) -> PathBuf {
    let path = folder.join("secret");
    fs::write(&path, format!("{SECRET}\n")).unwrap();
    path
}

fn mirror(origin: &Origin, folder: &Path, url: &str, more: &[&str]) -> Mirror {
    let (secret, upstream, sumdb) = (secret(folder), origin.url(), origin.gosumdb());
    let words =
        ["--upstream", &upstream, "--sumdb", &sumdb, "--notify", url, "--notify-secret", secret.to_str().unwrap()];
    Mirror::start_with(&folder.join("data"), &[&words, more].concat())
}

fn log(mirror: &Mirror) -> String {
    fs::read_to_string(mirror.data.with_extension("log")).unwrap()
}

fn wrong_bytes() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let hook = Hook::start(&["500 Internal Server Error"]);
    let mirror = mirror(&origin, folder.path(), &hook.url, &[]);
    assert!(!mirror.greeting.contains("token-in-path"), "{}", mirror.greeting);
    assert_eq!(get(&mirror.url, "/example.com/hello/@v/v1.0.0.mod").status, 200);
    origin.misbehave(ZIP, Fault::FlipBit(200));
    let refused = get(&mirror.url, ZIP);
    assert_eq!(refused.status, 403);
    let (first, second, third) = (hook.next(), hook.next(), hook.next());
    assert!(first.head.starts_with("POST /hook/token-in-path HTTP/1.1\r\n"), "{}", first.head);
    assert_eq!(first.header("content-type"), "application/json");
    assert_eq!(first.body, second.body, "the same again after the failure");
    assert!([&first, &second, &third].into_iter().all(Told::is_signed));
    let (found, told) = (second.event(), third.event());
    assert!(found["outcome"] == "quarantined" && found["module"] == "example.com/hello", "{found}");
    assert!(told["outcome"] == "refused" && told["code"] == "wrong-bytes", "{told}");
    assert_eq!(told["request"], refused.header("x-request-id").unwrap());
    // The same refusals are one message, and counted in the next one.
    for _ in 0..3 {
        assert_eq!(get(&mirror.url, ZIP).status, 403);
    }
    let other = "/example.com/hello/@v/v1.1.0.zip";
    origin.misbehave(other, Fault::Cut(150));
    assert_eq!(get(&mirror.url, other).status, 403);
    let events = hook.events(2);
    assert!(events[1]["outcome"] == "refused" && events[1]["version"] == "v1.1.0", "{events:?}");
    assert_eq!(events[1]["left_out"], 3, "{events:?}");
    // What `doctor --try` asks for is no trouble.
    assert_eq!(get(&mirror.url, "/sumgate.invalid/@v/list").status, 403);
    std::thread::sleep(Duration::from_millis(500));
    assert!(hook.told.try_recv().is_err());
}

fn fork_and_source() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let hook = Hook::start(&[]);
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let upstream = format!("http://me:word@{gone}");
    let (secret, sumdb) = (secret(folder.path()), origin.gosumdb());
    let words = ["--upstream", &upstream, "--sumdb", &sumdb, "--notify", &hook.url, "--notify-secret"];
    let mirror = Mirror::start_with(&folder.path().join("data"), &[&words[..], &[secret.to_str().unwrap()]].concat());
    assert_eq!(get(&mirror.url, "/example.com/dep/v2/@v/v2.0.1.mod").status, 502);
    let down = hook.next().event();
    assert!(down["outcome"] == "source-down" && down["source"] == format!("http://{gone}"), "{down}");
    assert!(!down.to_string().contains("word"), "{down}");
    let size = usize::try_from(origin.world().size()).unwrap();
    let other = origin.world().fork(601.min(size - 6), 40);
    *origin.world() = other;
    let lookup = format!("/sumdb/{}/lookup/example.com/hello@v1.0.0", origin.world().name());
    assert_ne!(get(&mirror.url, &lookup).status, 200);
    let told = hook.events(2);
    let (fork, refused) = (&told[0], &told[1]);
    assert!(fork["outcome"] == "fork" && fork["database"] == origin.world().name(), "{fork}");
    let evidence = Path::new(fork["evidence"].as_str().unwrap());
    assert!(evidence.is_relative() && mirror.data.join(evidence).is_file(), "{fork}");
    assert!(refused["code"] == "database-misbehaved" && refused["kind"] == "lookup", "{refused}");
}

fn urgent() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let hook = Hook::start(&["500 Internal Server Error"; 5]);
    let mirror = mirror(&origin, folder.path(), &hook.url, &[]);
    assert_eq!(get(&mirror.url, "/example.com/hello/@v/v1.0.0.mod").status, 200);
    origin.misbehave(ZIP, Fault::FlipBit(200));
    assert_eq!(get(&mirror.url, ZIP).status, 403);
    // Now it waits for 16 seconds.
    for _ in 0..3 {
        assert_eq!(hook.next().event()["outcome"], "quarantined");
    }
    let size = usize::try_from(origin.world().size()).unwrap();
    let other = origin.world().fork(601.min(size - 6), 40);
    *origin.world() = other;
    let lookup = format!("/sumdb/{}/lookup/example.com/dep/v2@v2.0.1", origin.world().name());
    assert_ne!(get(&mirror.url, &lookup).status, 200);
    assert_eq!(hook.next().event()["outcome"], "fork");
    // It waits for another attempt.
    let pid = rustix::process::Pid::from_child(&mirror.process.0);
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    let start = Instant::now();
    while !log(&mirror).contains("were read again") {
        assert!(start.elapsed() < TIME_LIMIT, "{}", log(&mirror));
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut told = Vec::new();
    while told.last() != Some(&"refused".to_owned()) {
        told.push(hook.next().event()["outcome"].as_str().unwrap().to_owned());
    }
    assert_eq!(told[0], "fork");
    told.dedup();
    assert_eq!(told, ["fork", "quarantined", "refused"]);
    // What was told is not told again.
    while hook.told.recv_timeout(Duration::from_secs(1)).is_ok() {}
    assert_ne!(get(&mirror.url, &lookup).status, 200);
    assert!(hook.told.recv_timeout(Duration::from_secs(1)).is_err());
}

fn nothing_private() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    origin.world().add_simple("hush.example/quiet@v1.0.0", "", "package m\n");
    let hook = Hook::start(&["400 Bad Request"]);
    let policy = folder.path().join("policy.toml");
    fs::write(&policy, "[[deny]]\nmodule = \"hush.example/loud\"\nreason = \"hush\"\n").unwrap();
    let words = ["--nosumdb", "hush.example", "--policy", policy.to_str().unwrap()];
    let mirror = mirror(&origin, folder.path(), &hook.url, &words);
    let zip = "/hush.example/quiet/@v/v1.0.0.zip";
    assert_eq!(get(&mirror.url, zip).status, 200);
    fs::remove_file(mirror.data.join("proxy").join(&zip[1..])).unwrap();
    origin.misbehave(zip, Fault::FlipBit(200));
    assert_eq!(get(&mirror.url, zip).status, 403);
    let told = [hook.next(), hook.next()];
    assert_eq!(get(&mirror.url, "/hush.example/loud/@v/v1.0.0.zip").status, 403);
    let last = hook.next();
    for told in told.iter().chain([&last]) {
        let event = told.event();
        assert!(event["module"] == "(private)" && event["private"] == true && told.is_signed(), "{event}");
        for word in ["hush", "quiet", SECRET, "token-in-path"] {
            assert!(!told.body.contains(word), "{word} in {event}");
        }
    }
    assert_eq!(last.event()["code"], "policy-denied");
    let log = log(&mirror);
    assert!(log.contains("did not take an event (quarantined): HTTP status 400"), "{log}");
    assert!(!log.contains("token-in-path") && !log.contains(SECRET), "{log}");
}

fn away() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let elsewhere = Hook::start(&[]);
    let moved: &'static str = format!("307 Temporary Redirect\r\nlocation: {}", elsewhere.url).leak();
    let hook = Hook::start(&[moved]);
    let mirrored = mirror(&origin, folder.path(), &hook.url, &[]);
    origin.misbehave(ZIP, Fault::FlipBit(200));
    assert_eq!(get(&mirrored.url, ZIP).status, 403);
    hook.next();
    let start = Instant::now();
    while !log(&mirrored).contains("HTTP status 307") {
        assert!(start.elapsed() < TIME_LIMIT, "{}", log(&mirrored));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(elsewhere.told.try_recv().is_err(), "a redirect is not followed");
    drop(mirrored);

    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mirror = mirror(&origin, folder.path(), &format!("http://{gone}"), &[]);
    for _ in 0..50 {
        assert_eq!(get(&mirror.url, ZIP).status, 403);
        assert_eq!(get(&mirror.url, "/example.com/hello/@v/v1.0.0.mod").status, 200);
    }
}

fn settings() {
    let folder = tempfile::tempdir().unwrap();
    let (secret, short) = (secret(folder.path()), folder.path().join("short"));
    fs::write(&short, "token").unwrap();
    let (secret, short) = (secret.to_str().unwrap(), short.to_str().unwrap());
    for (words, said) in [
        (&["--notify", "http://hooks.example.com/token", "--notify-secret", secret][..], "plain http"),
        (&["--notify", "https://me:token@hooks.example.com/", "--notify-secret", secret], "without a login"),
        (&["--notify", "https://hooks.example.com/token"], "--notify needs --notify-secret FILE"),
        (&["--notify-secret", secret], "--notify-secret needs --notify URL"),
        (&["--notify", "https://hooks.example.com/token", "--notify-secret", short], "at least 16"),
        (&["--notify", "https://hooks.example.com/token", "--notify-secret", "/nowhere"], "/nowhere"),
        (&["--notify", "https://hooks.example.com/token", "--notify-secret", secret, "--offline"], "--offline"),
    ] {
        let mut serve = sumgate();
        let output =
            serve.args(["serve", "--check", "--data"]).arg(folder.path().join("data")).args(words).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && told.contains(said), "{words:?}: {told}");
        assert!(!told.contains("token"), "{told}");
    }
    let config = folder.path().join("serve.toml");
    fs::write(&config, "[serve]\nnotify = \"https://hooks.example.com/x\"\nnotify-secret = \"secret\"\n").unwrap();
    let mut serve = sumgate();
    serve.args(["serve", "--check", "--config"]).arg(&config).arg("--data").arg(folder.path().join("data"));
    assert!(serve.output().unwrap().status.success(), "the path is relative to the configuration file");
}
