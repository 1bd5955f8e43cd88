//! A part of the real checksum database, from a test server: all records are proved with the real key.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gomodule::module::{ModulePath, ModuleVersion, Version};
use libtest_mimic::Trial;
use sumgate::base::clock::Clock;
use sumgate::store::Store;
use sumgate::sumdb::{Anchor, Client, Database};
use sumgate::upstream::HttpClient;
use tlog::Tile;

use crate::fixture::{Go, files, run, runtime, shared_trial};

pub fn trials() -> Vec<Trial> {
    vec![
        shared_trial(
            "real: all records and heads are proved, and a second run makes no requests",
            "real-sumdb",
            all_of_it,
        ),
        shared_trial("real: an audit makes each request once, and finds the one changed hash", "real-sumdb", audited),
    ]
}

fn all_of_it(folder: &Path) {
    let (url, requests) = stand_in(folder.to_owned());
    let data = tempfile::tempdir().unwrap();
    let gosumdb = format!("sum.golang.org {url}");
    let modules = modules(folder);
    assert_eq!(modules.len(), 308);
    let honest = std::fs::read_to_string(folder.join("go.sum")).unwrap();

    let prove_all = || {
        let store = Store::open(data.path()).unwrap();
        let database = Database::parse(&gosumdb).unwrap();
        let client =
            Client::open(database, &store, &Anchor::BuiltIn, &HttpClient::new().unwrap(), Clock::System).unwrap();
        let mut lines = Vec::new();
        for module in &modules {
            // Each lookup also merges the head that came with it: 223 different ones, all against the anchor.
            let record = runtime().block_on(client.lookup(module)).unwrap();
            lines.extend(record.proven().text().lines().map(str::to_owned));
        }
        lines.sort();
        assert_eq!(lines, honest.lines().map(str::to_owned).collect::<Vec<_>>());
        let latest = std::fs::read_to_string(folder.join("latest")).unwrap();
        assert_eq!(client.trusted().unwrap().note(), latest);
    };
    let heads: std::collections::BTreeSet<_> = files(&folder.join("lookup"))
        .into_values()
        .map(|reply| String::from_utf8(reply).unwrap().split("\n\n").nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(heads.len(), 223);
    prove_all();
    let cold = requests.swap(0, Ordering::SeqCst);
    println!("requests, one lookup after the other: {cold}");
    assert!(cold > 308);
    prove_all();
    assert_eq!(requests.load(Ordering::SeqCst), 0, "a second run asks nobody");

    let words = ["sumdb", "lookup", "github.com/BurntSushi/toml@v1.3.2", "--sumdb", &gosumdb, "--data"];
    let output = run(&[&words[..], &[data.path().to_str().unwrap()]].concat());
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{printed}");
    assert!(printed.contains("verified"), "{printed}");
    assert_eq!(requests.load(Ordering::SeqCst), 0);
}

fn audited(folder: &Path) {
    let (url, requests) = stand_in(folder.to_owned());
    let home = Go::new(Path::new("/nonexistent"), "off", &format!("sum.golang.org {url}"));
    let honest = std::fs::read_to_string(folder.join("go.sum")).unwrap();
    home.write("go.sum", &honest);
    let (code, output) = home.sumgate(&["audit"]);
    assert_eq!(code, Some(0), "{output}");
    assert_eq!(output, "clean: 616 proved, tree of 51312332 records of sum.golang.org, no policy\n");
    let cold = requests.swap(0, Ordering::SeqCst);
    println!("requests of a cold audit of 616 lines: {cold}");
    assert!(cold <= 308 + 494, "{cold}");

    // One hash is changed, in one line; no requests are made.
    let changed = honest.lines().nth(99).unwrap();
    let (name, hash) = changed.rsplit_once(' ').unwrap();
    let other = honest.lines().nth(100).unwrap().rsplit_once(' ').unwrap().1;
    home.write("go.sum", &honest.replace(changed, &format!("{name} {other}")));
    let (code, output) = home.sumgate(&["audit"]);
    assert_eq!(code, Some(1), "{output}");
    assert!(output.starts_with("go.sum:100: error[hash-mismatch]") && output.contains(hash), "{output}");
    assert!(
        output.ends_with("failed: 1 error, 615 proved, stored tree of 51312332 records of sum.golang.org, no policy\n"),
        "{output}"
    );
    assert_eq!(requests.load(Ordering::SeqCst), 0);
}

fn modules(folder: &Path) -> Vec<ModuleVersion> {
    let name = |name: String| {
        let (path, version) = name.rsplit_once('@').unwrap();
        ModuleVersion::new(ModulePath::unescape(path).unwrap(), Version::unescape(version).unwrap()).unwrap()
    };
    files(&folder.join("lookup")).into_keys().map(name).collect()
}

/// Serves the folder on loopback until the test ends, and counts what is asked.
fn stand_in(folder: PathBuf) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (folder, counted) = (folder.clone(), Arc::clone(&counted));
            std::thread::spawn(move || serve(&stream.unwrap(), &folder, &counted));
        }
    });
    (url, requests)
}

fn serve(stream: &TcpStream, folder: &Path, counted: &AtomicUsize) {
    let mut lines = BufReader::new(stream).lines();
    while let Some(Ok(first)) = lines.next() {
        let path = first.split(' ').nth(1).unwrap().trim_start_matches('/').to_owned();
        let _headers = lines.by_ref().take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty())).count();
        counted.fetch_add(1, Ordering::SeqCst);
        let (status, body) = match find(folder, &path) {
            Some(body) => ("200 OK", body),
            None => ("404 Not Found", Vec::new()),
        };
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
        let mut stream = stream;
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).is_err() {
            return;
        }
    }
}

/// A stored file; a partial tile that is not stored is cut from a wider one, as the real server has every width.
fn find(folder: &Path, path: &str) -> Option<Vec<u8>> {
    if let Ok(body) = std::fs::read(folder.join(path)) {
        return Some(body);
    }
    let tile = Tile::parse(path).ok()?;
    let wider = (tile.width()..=256)
        .find_map(|width| std::fs::read(folder.join(tile.with_width(width).ok()?.to_string())).ok())?;
    tile.cut(&wider).map(<[u8]>::to_vec)
}
