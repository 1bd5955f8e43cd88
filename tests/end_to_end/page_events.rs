//! Events on the page, as JSON and as a stream: what happened is there at once, also after a restart, and no client can hold the
//! mirror up.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use testkit::Fault;

use crate::event_log::stop;
use crate::fixture::{Mirror, get, request, trial};
use crate::page::{html, start};

const ZIP: &str = "/example.com/hello/@v/v1.0.0.zip";
const MOD: &str = "/example.com/hello/@v/v1.0.0.mod";
pub const PAGE: &str = "/-/events";
pub const API: &str = "/-/api/v1/events";
pub const STREAM: &str = "/-/api/v1/events/stream";
/// Of the mirror.
const MAX_STREAMS: usize = 32;
/// Of one client.
const MAX_OF_ONE: usize = 8;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("page, events: a forged module is refused on the page and in an open stream, with what to do", forged),
        trial("page, events: a case that the operator removed is not on top, and comes back with its bytes", settled),
        trial("page, events: filters find by outcome, module, code and request, and say what is wrong", filters),
        trial("page, events: a client that never reads holds nothing, and learns how many it missed", never_reads),
        trial("page, events: only so many streams are open, and a closed one makes room", too_many),
        trial("page, events: one client holds a quarter of the streams, also behind a trusted proxy", one_client),
        trial("page, events: a restart keeps them, and a stop ends a stream", restart),
        trial("page, events: a reload ends streams, and the next one continues", reload),
        trial("page, events: no other origin and no other Host gets a stream", other_origin),
    ]
}

/// A mirror behind a proxy that says which client it is.
const PROXIED: [&str; 2] = ["--trusted-proxy", "127.0.0.1/32"];

fn client(nth: usize) -> String {
    format!("x-forwarded-for: 192.0.2.{nth}\r\n")
}

/// The answer to a client that gets no stream.
fn refused(mirror: &Mirror, headers: &str) -> String {
    let mut stream = Stream::open(&mirror.url, STREAM, headers);
    let head = stream.until("\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("\r\nretry-after: 30\r\n"), "{head}");
    stream.until("}\n")
}

/// An open stream.
pub struct Stream {
    connection: TcpStream,
    /// What came and was not asked for yet.
    text: String,
}

impl Stream {
    pub fn open(url: &str, path: &str, headers: &str) -> Self {
        let address = url.strip_prefix("http://").unwrap();
        let mut connection = TcpStream::connect(address).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n{headers}\r\n");
        connection.write_all(head.as_bytes()).unwrap();
        Self { connection, text: String::new() }
    }

    /// One that has begun: nothing that happens from now on is missing.
    pub fn begun(url: &str, path: &str) -> Self {
        Self::begun_with(url, path, "")
    }

    fn begun_with(url: &str, path: &str, headers: &str) -> Self {
        let mut stream = Self::open(url, path, headers);
        let head = stream.until("events as they happen");
        assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("text/event-stream"), "{head}");
        stream
    }

    /// What comes, up to and with this text.
    pub fn until(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.text.find(text) {
                let rest = self.text.split_off(at + text.len());
                return std::mem::replace(&mut self.text, rest);
            }
            assert!(self.more(), "the stream ended without {text}: {}", self.text);
        }
    }

    /// What comes until the end.
    fn rest(mut self) -> String {
        while self.more() {}
        self.text
    }

    fn more(&mut self) -> bool {
        let mut bytes = vec![0; 1 << 16];
        let read = std::iter::repeat_with(|| self.connection.read(&mut bytes));
        // A trial may be stopped for a while, which interrupts the call.
        let mut read = read.skip_while(|read| read.as_ref().is_err_and(|error| error.kind() == ErrorKind::Interrupted));
        let length = read.next().unwrap().expect("the stream goes on or ends");
        self.text.push_str(&String::from_utf8_lossy(&bytes[..length]));
        length > 0
    }
}

pub fn api(mirror: &Mirror, query: &str) -> Value {
    let answer = get(&mirror.url, &format!("{API}{query}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

fn forged() {
    let (origin, _folder, mirror) = start(&[]);
    assert!(html(&mirror, PAGE).text().contains("Nothing happened yet"));
    let mut stream = Stream::begun(&mirror.url, STREAM);
    origin.misbehave(ZIP, Fault::FlipBit(200));
    let refused = get(&mirror.url, ZIP);
    assert_eq!(refused.status, 403);
    let told = stream.until("\"code\":\"wrong-bytes\"") + &stream.until("\n\n");
    assert!(told.contains("\"outcome\":\"quarantined\"") && told.contains("\nid: "), "{told}");
    assert!(told.contains("do not use this source"), "what to do: {told}");
    let page = html(&mirror, PAGE).text();
    for text in [
        "Refused",
        "Wrong bytes",
        "example.com/hello@v1.0.0",
        "wrong-bytes",
        "no upstream has the right bytes",
        "What to do: ",
        "do not use this source",
        "q=example.com%2Fhello%40v1.0.0",
        "Look at these first",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    // The evidence, by its path in the data folder alone.
    let case = mirror.quarantine().into_keys().find(|path| path.ends_with("/bytes")).unwrap();
    let case = format!("quarantine/{}", case.strip_suffix("/bytes").unwrap());
    let (on_top, below) = page.split_once("<form class=\"filter\"").unwrap();
    assert!(on_top.contains(&case) && on_top.contains("facts.json") && below.contains(&case), "{case}: {page}");
    for text in [&page, &told] {
        assert!(!text.contains(mirror.data.to_str().unwrap()) && !text.contains("127.0.0.1\""), "{text}");
    }
    let found = api(&mirror, "?outcome=refused");
    assert_eq!(found["events"][0]["code"], "wrong-bytes", "{found}");
    assert_eq!(found["alarms"].as_array().unwrap().len(), 1, "{found}");
    // The same wrong bytes again are the same case.
    get(&mirror.url, ZIP);
    assert_eq!(api(&mirror, "")["alarms"].as_array().unwrap().len(), 1);
}

fn settled() {
    let (origin, _folder, mirror) = start(&[]);
    origin.misbehave(ZIP, Fault::FlipBit(200));
    let on_top = || {
        let page = html(&mirror, PAGE).text();
        let (on_top, below) = page.split_once("<form class=\"filter\"").unwrap();
        assert!(below.contains("facts.json"), "it stays in the list: {below}");
        let shown = on_top.contains("facts.json");
        assert_eq!(!shown, on_top.contains("aria-labelledby=\"look\" hidden"), "{on_top}");
        assert_eq!(api(&mirror, "")["alarms"].as_array().unwrap().len(), usize::from(shown));
        shown
    };
    assert_eq!(get(&mirror.url, ZIP).status, 403);
    assert!(on_top());
    std::fs::remove_dir_all(mirror.data.join("quarantine")).unwrap();
    assert!(!on_top(), "the operator removed the case");
    assert_eq!(get(&mirror.url, ZIP).status, 403);
    assert!(on_top(), "the same bytes came again");
}

fn filters() {
    let (origin, _folder, mirror) = start(&[]);
    origin.misbehave(ZIP, Fault::FlipBit(200));
    let id = get(&mirror.url, ZIP).header("x-request-id").unwrap().to_owned();
    assert_eq!(
        (get(&mirror.url, MOD).status, get(&mirror.url, "/example.com/dep/v2/@v/v2.0.1.mod").status),
        (200, 200)
    );
    let count = |query: &str| api(&mirror, query)["events"].as_array().unwrap().len();
    let (all, by_id) = (count(""), format!("?request={id}"));
    for (query, expected) in [
        ("?outcome=released", 2),
        ("?outcome=released&outcome=refused&outcome=quarantined", all),
        ("?module=example.com/dep", 1),
        ("?module=example.com/hello@v1.0.0&outcome=released", 1),
        ("?module=example.com/hello@v1.0.1", 0),
        ("?code=wrong-bytes", 1),
        (&by_id, 1),
        ("?request=0000000000000000", 0),
        ("?limit=1", 1),
    ] {
        assert_eq!(count(query), expected, "{query}");
    }
    let newest = api(&mirror, "?limit=1")["events"][0]["id"].as_u64().unwrap();
    assert_eq!(count(&format!("?after={newest}")), 0);
    // Who has the id of a request finds it; others do not learn it.
    assert_eq!(api(&mirror, &by_id)["events"][0]["request"], *id);
    assert!(!api(&mirror, "").to_string().contains(&id) && !html(&mirror, PAGE).text().contains(&id));
    let page = html(&mirror, &format!("{PAGE}?outcome=released&module=example.com%2Fhello&code=&request=")).text();
    let rows = page.split("id=\"events\"").nth(1).unwrap().split("</ol>").next().unwrap();
    assert_eq!(rows.matches("<li class=\"event\"").count(), 1, "{rows}");
    assert!(page.contains("stream?outcome=released&amp;module=example.com%2Fhello\""), "{page}");
    assert!(html(&mirror, &format!("{PAGE}?module=example.com/none")).text().contains("No event in memory matches"));
    for (query, status) in
        [("outcome=gone", 400), ("code=%3Cscript%3E", 400), ("module=%2F", 400), ("client=127.0.0.1", 403)]
    {
        for path in [PAGE, API, STREAM] {
            let answer = html(&mirror, &format!("{path}?{query}"));
            assert_eq!(answer.status, status, "{path} {query}: {}", answer.text());
            let is_json = answer.header("content-type") == Some("application/json");
            assert!(is_json || !answer.text().contains("<script>"), "{path} {query}");
        }
    }
}

fn never_reads() {
    let (_origin, _folder, mirror) = start(&[]);
    let mut stream = Stream::begun(&mirror.url, &format!("{STREAM}?outcome=released"));
    // More than the mirror keeps, and than the system buffers for a connection.
    let (clients, each) = (4, 4000);
    let asking: Vec<_> = (0..clients)
        .map(|_| {
            let address = mirror.url.strip_prefix("http://").unwrap().to_owned();
            std::thread::spawn(move || {
                let mut connection = TcpStream::connect(&address).unwrap();
                let head = format!("HEAD {MOD} HTTP/1.1\r\nhost: {address}\r\n\r\n");
                for _ in 0..each {
                    connection.write_all(head.as_bytes()).unwrap();
                    let (mut answer, mut bytes) = (Vec::new(), [0; 2048]);
                    while !answer.ends_with(b"\r\n\r\n") {
                        let length = connection.read(&mut bytes).unwrap();
                        answer.extend_from_slice(&bytes[..length]);
                    }
                }
            })
        })
        .collect();
    for client in asking {
        client.join().unwrap();
    }
    let all = clients * each;
    let (mut came, mut left_out, begun) = (0, 0, Instant::now());
    while came + left_out < all {
        assert!(begun.elapsed() < Duration::from_secs(60), "{came} {left_out}");
        let event = stream.until("\n\n");
        let data = event.rsplit("data: ").next().unwrap();
        match serde_json::from_str::<Value>(data.trim()) {
            Ok(data) if event.contains("event: left-out") => {
                left_out += usize::try_from(data["left_out"].as_u64().unwrap()).unwrap();
            }
            Ok(_) => came += 1,
            Err(_) => {}
        }
    }
    assert!(came + left_out == all && left_out > 0 && came >= 1000, "{came} {left_out}");
}

fn too_many() {
    let (_origin, _folder, mirror) = start(&PROXIED);
    let mut open: Vec<Stream> =
        (0..MAX_STREAMS).map(|nth| Stream::begun_with(&mirror.url, STREAM, &client(nth))).collect();
    let full = refused(&mirror, &client(MAX_STREAMS));
    assert!(full.contains("all streams of events are in use: load the page again"), "{full}");
    assert_eq!((html(&mirror, PAGE).status, get(&mirror.url, MOD).status), (200, 200));
    open.pop();
    let begun = Instant::now();
    while !Stream::open(&mirror.url, STREAM, "").until("\r\n").starts_with("HTTP/1.1 200 ") {
        assert!(begun.elapsed() < Duration::from_secs(60), "a closed stream makes no room");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn one_client() {
    let (_origin, _folder, mirror) = start(&[]);
    // Who is no trusted proxy names no other client.
    let own: Vec<Stream> = (0..MAX_OF_ONE).map(|nth| Stream::begun_with(&mirror.url, STREAM, &client(nth))).collect();
    let full = refused(&mirror, &client(MAX_OF_ONE));
    for text in ["8 streams of events are open from this address", "close other windows", "--trusted-proxy"] {
        assert!(full.contains(text), "{text}: {full}");
    }
    drop((own, mirror));

    let (_origin, _folder, mirror) = start(&PROXIED);
    let _greedy: Vec<Stream> = (0..MAX_OF_ONE).map(|_| Stream::begun_with(&mirror.url, STREAM, &client(0))).collect();
    refused(&mirror, &client(0));
    Stream::begun_with(&mirror.url, STREAM, &client(1));
}

/// Asks until the page has this text: what is in the log is read while the mirror serves already.
pub fn shows(mirror: &Mirror, text: &str) -> String {
    let begun = Instant::now();
    loop {
        let page = html(mirror, PAGE).text();
        if page.contains(text) {
            return page;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{text}: {page}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn restart() {
    let (origin, folder, mut mirror) = start(&[]);
    origin.misbehave(ZIP, Fault::FlipBit(200));
    assert_eq!((get(&mirror.url, ZIP).status, get(&mirror.url, MOD).status), (403, 200));
    let stream = Stream::begun(&mirror.url, STREAM);
    let before = api(&mirror, "");
    stop(&mut mirror);
    // The last chunk: the stream ended, and was not cut.
    assert!(stream.rest().ends_with("\r\n0\r\n\r\n"));
    let log = std::fs::read_to_string(mirror.data.with_extension("log")).unwrap();
    assert!(!log.contains("unfinished answers"), "{log}");
    let (url, sumdb, data) = (origin.url(), origin.gosumdb(), folder.path().join("data"));
    let flags = ["--upstream", url.as_str(), "--sumdb", &sumdb];
    drop(mirror);
    let mut mirror = Mirror::start_with(&data, &flags);
    shows(&mirror, "facts.json");
    assert_eq!(api(&mirror, ""), before);
    assert_eq!(get(&mirror.url, "/example.com/dep/v2/@v/v2.0.1.mod").status, 200);
    stop(&mut mirror);
    drop(mirror);
    // What has become private meanwhile is not shown.
    let private = ["--nosumdb", "example.com/HELLO,example.com/other"];
    let mirror = Mirror::start_with(&data, &[&flags[..], &private].concat());
    let page = shows(&mirror, "example.com/dep/v2");
    assert!(!page.contains("example.com/hello") && !api(&mirror, "").to_string().contains("hello"), "{page}");
}

fn reload() {
    let (_origin, _folder, mirror) = start(&[]);
    assert_eq!(get(&mirror.url, MOD).status, 200);
    let mut stream = Stream::begun(&mirror.url, &format!("{STREAM}?after=0"));
    let id = stream.until("\ndata: ").rsplit("id: ").next().unwrap().lines().next().unwrap().to_owned();
    signal(&mirror, Signal::HUP);
    // The connection stays open for the next request.
    stream.until("\r\n0\r\n\r\n");
    // As a browser continues.
    let mut stream = Stream::open(&mirror.url, STREAM, &format!("last-event-id: {id}\r\n"));
    stream.until("events as they happen");
    get(&mirror.url, ZIP);
    let next = stream.until("\n\n") + &stream.until("\n\n");
    assert!(next.contains("\"kind\":\"zip\"") && !next.contains(&format!("id: {id}\n")), "{next}");
}

fn signal(mirror: &Mirror, signal: Signal) {
    let id = i32::try_from(mirror.process.0.id()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
}

fn other_origin() {
    let (_origin, _folder, mirror) = start(&[]);
    for foreign in ["origin: http://evil.example\r\n", "sec-fetch-site: cross-site\r\n"] {
        let answer = request(&mirror.url, "GET", STREAM, foreign);
        assert!(answer.status == 403 && answer.text().contains("another origin"), "{}", answer.text());
    }
    for path in [PAGE, API, &format!("{API}?outcome=gone")] {
        let answer = request(&mirror.url, "GET", path, "origin: http://evil.example\r\n");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
    }
    let own = format!("origin: {}\r\nsec-fetch-site: same-origin\r\n", mirror.url);
    let head = Stream::open(&mirror.url, STREAM, &own).until("events as they happen");
    assert!(head.starts_with("HTTP/1.1 200 ") && !head.contains("access-control"), "{head}");
    assert!(
        head.contains("no-store") && head.contains("content-security-policy") && head.contains("nosniff"),
        "{head}"
    );
    assert_eq!(request(&mirror.url, "HEAD", STREAM, "").body, b"");
    assert_eq!(request(&mirror.url, "POST", STREAM, "content-length: 0\r\n").status, 405);
    for path in [PAGE, API, STREAM] {
        let mut stream = TcpStream::connect(mirror.url.strip_prefix("http://").unwrap()).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 421 "), "{path}: {answer}");
    }
}
