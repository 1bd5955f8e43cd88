//! Traces: no name of a private module leaves this machine with them.

use libtest_mimic::Trial;
use testkit::{Fault, World};

use crate::collector::{Collector, Sent, below, fact, names, roots};
use crate::fixture::{Mirror, get, origin, request, sumgate, trial};
use crate::traces::{ZIP, mirror};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("traces: no name of a private module is sent", exempt),
        trial("traces: no name that looks private is sent, also if it is refused", looks_private),
        trial("traces: no name is sent if it is unknown whether it is private", unknown),
    ]
}

/// What is asked about a module, and its lookups.
const FILES: [&str; 8] = [
    "/MODULE/@v/list",
    "/MODULE/@latest",
    "/MODULE/@v/main.info",
    "/MODULE/@v/v1.0.0.info",
    "/MODULE/@v/v1.0.0.mod",
    "/MODULE/@v/v1.0.0.zip",
    "/lookup/MODULE@v1.0.0",
    "/sumdb/DATABASE/lookup/MODULE@v1.0.0",
];
/// Requests that are wrong, for no module, or for the page.
const OTHERS: [&str; 6] = [
    "/MODULE//odd",
    "/MODULE/@v/v1.0.0.exe",
    "/MODULE",
    "/-/module/MODULE@v1.0.0",
    "/-/api/v1/modules/MODULE@v1.0.0",
    "/-/search?q=MODULE",
];

/// Asks for everything about a module; returns how many requests that were.
fn ask(mirror: &Mirror, module: &str, database: &str) -> usize {
    for path in FILES.iter().chain(&OTHERS) {
        get(&mirror.url, &path.replace("MODULE", module).replace("DATABASE", database));
    }
    for method in ["HEAD", "POST", "PURGE", "OPTIONS"] {
        request(&mirror.url, method, &format!("/{module}/@v/v1.0.0.zip"), "");
    }
    FILES.len() + OTHERS.len() + 4
}

fn sent_without(sent: &[Sent], words: &[&str]) {
    for sent in sent {
        let text = sent.text();
        for word in words {
            assert!(!text.contains(word), "{word} in {text:?}");
        }
    }
}

fn exempt() {
    let (origin, folder, collector) =
        (origin(World::demo()), tempfile::tempdir().unwrap(), Collector::start(Vec::new()));
    origin.world().add_simple("hush.example/quiet@v1.0.0", "", "package m\n");
    let words = ["--nosumdb", "hush.example"];
    let mirror = mirror(&origin, &folder.path().join("data"), &collector.variables(), &words);
    let database = origin.world().name().to_owned();
    let mut asked = ask(&mirror, "hush.example/quiet", &database);
    // Wrong bytes, and a version that does not exist.
    let zip = "/hush.example/quiet/@v/v1.0.0.zip";
    std::fs::remove_file(mirror.data.join("proxy").join(&zip[1..])).unwrap();
    origin.misbehave(zip, Fault::FlipBit(200));
    assert_eq!(get(&mirror.url, zip).status, 403);
    assert_eq!(get(&mirror.url, "/hush.example/quiet/@v/v9.9.9.zip").status, 404);
    asked += 2;
    let (sent, spans) = collector.until(asked);
    assert_eq!(roots(&spans).count(), asked);
    assert!(["download", "metadata", "database", "hash"].iter().all(|name| names(&spans).contains(name)), "{spans:?}");
    // The address of the source would tell where private modules are.
    sent_without(&sent, &["hush", "quiet", &origin.url()]);

    // Others are named, so the checks above would find a name.
    assert_eq!(get(&mirror.url, ZIP).status, 200);
    let (sent, spans) = collector.until(1);
    assert!(sent.iter().any(|sent| sent.text().contains("example.com/hello")));
    let release = below(&spans, &below(&spans, roots(&spans).next().unwrap())[0]);
    assert_eq!(fact(&release[2].attributes, "sumgate.source"), Some(origin.url()));
}

fn unknown() {
    let (origin, folder, collector) =
        (origin(World::demo()), tempfile::tempdir().unwrap(), Collector::start(Vec::new()));
    let mirror = mirror(&origin, &folder.path().join("data"), &collector.variables(), &[]);
    // The folder of its pins cannot be read: it may be pinned, and so private.
    let pins = mirror.data.join("pins/quiet.example");
    std::fs::create_dir_all(&pins).unwrap();
    std::os::unix::fs::symlink("hush", pins.join("hush")).unwrap();
    let statuses = FILES[..6].iter().map(|path| get(&mirror.url, &path.replace("MODULE", "quiet.example/hush")).status);
    assert_eq!(statuses.collect::<Vec<_>>(), [500; 6]);
    let (sent, _) = collector.until(6);
    sent_without(&sent, &["quiet", "hush"]);
}

fn looks_private() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    origin.world().add_simple("git.corp/quiet@v1.0.0", "", "package m\n");
    let url = origin.url();
    // With a database of one's own the names are asked for; the public one must not learn them.
    for (place, sumdb) in [("own", origin.gosumdb()), ("public", format!("sum.golang.org {url}"))] {
        let collector = Collector::start(Vec::new());
        let mut program = sumgate();
        program.envs(collector.variables());
        let mirror = Mirror::start_by(program, &folder.path().join(place), &["--upstream", &url, "--sumdb", &sumdb]);
        let database = if place == "own" { origin.world().name().to_owned() } else { "sum.golang.org".to_owned() };
        let asked = ask(&mirror, "git.corp/quiet", &database);
        let expected = if place == "own" { 200 } else { 403 };
        assert_eq!(get(&mirror.url, "/git.corp/quiet/@v/v1.0.0.zip").status, expected);
        let (sent, spans) = collector.until(asked + 1);
        let refused = |code| roots(&spans).filter(|span| fact(&span.attributes, "sumgate.refused") == code).count();
        assert_eq!(refused(Some("private-name".to_owned())) > FILES.len(), place == "public", "{spans:?}");
        sent_without(&sent, &["git.corp", "quiet", &url]);
    }
}
