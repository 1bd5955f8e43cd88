//! Foreign signature lines of heads and foreign fields of `.info` files are neither stored nor served.

use std::path::Path;

use bytes::Bytes;
use gomodule::module::ModuleVersion;
use libtest_mimic::Trial;
use testkit::{Fault, Origin, World};

use crate::fixture::{Go, Mirror, files, get, go_trial, origin, run, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("foreign lines: signatures of other keys are neither kept nor served", signatures),
        trial("foreign lines: a stored head with such lines is rewritten, and can advance", stored_head),
        trial("foreign fields: an .info is kept and served as Version, Time and Origin", info_anew),
        trial("foreign fields: an .info stored as received is normalized, or fetched again", old_info),
        trial("foreign fields: nothing is kept of an upstream that had wrong bytes", distrusted),
        trial("foreign fields: its earlier answers are not kept either", kept_before),
        go_trial("foreign fields: go can read each .info that the mirror serves", as_go_reads),
    ]
}

/// The longest possible signature line of an unknown key.
fn foreign_line() -> String {
    // 740,000 bytes as base64 are 987 KB.
    format!("— stranger.example {}\n", "A".repeat(986_664))
}

/// Adds a foreign line to every head that the database shows.
fn add_foreign_lines(origin: &Origin) {
    let (head, lookups) = {
        let world = origin.world();
        let lookup = |module: &ModuleVersion| (lookup_path(module), world.lookup(module, world.size()).unwrap());
        (world.head_at(world.size()).unwrap(), world.modules().map(lookup).collect::<Vec<_>>())
    };
    let line = foreign_line();
    origin.misbehave("/latest", Fault::Body(Bytes::from(format!("{head}{line}"))));
    for (path, reply) in lookups {
        origin.misbehave(&path, Fault::Body(Bytes::from(format!("{reply}{line}"))));
    }
}

fn lookup_path(module: &ModuleVersion) -> String {
    format!("/lookup/{}@{}", module.path.escaped(), module.version.escaped())
}

/// The stored head of the one database.
fn stored(data: &Path) -> std::path::PathBuf {
    let database = std::fs::read_dir(data.join("sumdb")).unwrap().next().unwrap().unwrap();
    database.path().join("head")
}

fn signatures() {
    let mut world = World::demo();
    let modules: Vec<ModuleVersion> =
        (0..29).map(|nth| world.add_simple(&format!("example.com/m{nth}@v1.0.0"), "", "package m\n")).collect();
    let origin = origin(world);
    add_foreign_lines(&origin);
    let size = origin.world().size();
    let honest = origin.world().head_at(size);
    let folder = tempfile::tempdir().unwrap();
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    let database = format!("/sumdb/{}", origin.world().name());
    for module in &modules {
        let answer = get(&mirror.url, &format!("{database}{}", lookup_path(module)));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(Some(answer.text()), origin.world().lookup(module, size));
    }
    assert_eq!(Some(get(&mirror.url, &format!("{database}/latest")).text()), honest);
    let kept: Vec<(String, usize)> =
        files(&mirror.data.join("sumdb")).into_iter().map(|(name, bytes)| (name, bytes.len())).collect();
    assert!(kept.len() > 29 && kept.iter().all(|(_, length)| *length < 10 << 10), "{kept:?}");
}

fn stored_head() {
    let mut world = World::demo();
    let module = world.add_simple("example.com/old@v1.0.0", "", "package old\n");
    let origin = origin(world);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let lookup = |module: &ModuleVersion| {
        let (sumdb, module) = (origin.gosumdb(), module.to_string());
        let output = run(&["sumdb", "lookup", "--data", data.to_str().unwrap(), "--sumdb", &sumdb, &module]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    };
    lookup(&module);
    let head = stored(&data);
    let canonical = std::fs::read_to_string(&head).unwrap();
    let spoil = || std::fs::write(&head, format!("{canonical}{}", foreign_line())).unwrap();
    spoil();
    lookup(&module);
    assert_eq!(std::fs::read_to_string(&head).unwrap(), canonical, "rewritten when it is opened");

    // An older process may write it while this one runs: the same head is not a conflict.
    let mirror = Mirror::start(&origin, &data);
    spoil();
    let new = origin.world().add_simple("example.com/new@v1.0.0", "", "package new\n");
    let database = origin.world().name().to_owned();
    let answer = get(&mirror.url, &format!("/sumdb/{database}{}", lookup_path(&new)));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let size = origin.world().size();
    assert_eq!(Some(std::fs::read_to_string(&head).unwrap()), origin.world().head_at(size));
}

const INFO: &str = "/example.com/hello/@v/v1.0.0.info";
/// As an upstream may write it, and as it is stored and served.
const SAID: &str = r#"{"extra":"<b>","TIME":"2020-01-01T00:00:00Z","Origin":{"VCS":"git"},"Version":"v1.0.0"}"#;
const ANEW: &str = r#"{"Version":"v1.0.0","Time":"2020-01-01T00:00:00Z","Origin":{"VCS":"git"}}"#;
/// One whose time no `go` command can read.
const UNREADABLE: &str = r#"{"Version":"v1.0.0","Time":"yesterday"}"#;

fn body(text: &str) -> Fault {
    Fault::Body(Bytes::copy_from_slice(text.as_bytes()))
}

fn info_anew() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    origin.misbehave(INFO, body(UNREADABLE));
    let answer = get(&mirror.url, INFO);
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("expected a Time as in RFC 3339"), "{}", answer.text());
    assert_eq!(mirror.tree().get(INFO.trim_start_matches('/')), None);
    for path in [INFO, "/example.com/hello/@latest", "/example.com/hello/@v/main.info"] {
        origin.misbehave(path, body(SAID));
        assert_eq!(get(&mirror.url, path).text(), ANEW, "{path}");
    }
    let kept = mirror.tree().remove(INFO.trim_start_matches('/')).unwrap();
    assert_eq!(String::from_utf8(kept).unwrap(), ANEW);
}

fn old_info() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let place = data.join("proxy").join(INFO.trim_start_matches('/'));
    let honest = {
        let mirror = Mirror::start(&origin, &data);
        get(&mirror.url, INFO).text()
    };
    for (old, expected, asked) in [(SAID, ANEW, 0), (UNREADABLE, honest.as_str(), 1)] {
        std::fs::write(&place, old).unwrap();
        origin.take_requests();
        let mirror = Mirror::start(&origin, &data);
        assert_eq!(get(&mirror.url, INFO).text(), expected);
        assert_eq!(origin.asked(INFO), asked, "{old}");
        assert_eq!(std::fs::read_to_string(&place).unwrap(), expected);
    }
}

fn distrusted() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    let zip = "/example.com/dep/v2/@v/v2.0.1.zip";
    origin.misbehave(zip, Fault::FlipBit(100));
    assert_eq!(get(&mirror.url, zip).status, 403);
    for path in [INFO, "/example.com/hello/@v/list", "/example.com/hello/@latest"] {
        origin.take_requests();
        for _ in 0..2 {
            let answer = get(&mirror.url, path);
            assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-cache")), "{path}");
        }
        assert_eq!(origin.asked(path), 2, "{path}");
    }
    let kept: Vec<String> = mirror.tree().into_keys().filter(|name| !name.ends_with(".mod")).collect();
    assert_eq!(kept, [""; 0]);
}

fn kept_before() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    let paths = ["/example.com/hello/@v/list", "/example.com/hello/@latest"];
    for path in paths {
        assert_eq!(get(&mirror.url, path).status, 200);
        origin.take_requests();
        assert_eq!((get(&mirror.url, path).status, origin.asked(path)), (200, 0), "{path} is kept");
    }
    let zip = "/example.com/dep/v2/@v/v2.0.1.zip";
    origin.misbehave(zip, Fault::FlipBit(100));
    assert_eq!(get(&mirror.url, zip).status, 403);
    for path in paths {
        origin.take_requests();
        let answer = get(&mirror.url, path);
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-cache")), "{path}");
        assert_eq!(origin.asked(path), 1, "{path}");
        // It is not served while upstreams are down either.
        origin.misbehave(path, Fault::Status(500, "on fire"));
        assert!(get(&mirror.url, path).status >= 500, "{path}");
    }
}

/// Decodes each line of its input as `go` decodes an `.info`.
const DECODE: &str = r#"package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var info struct {
			Version string
			Time    time.Time
			Origin  *struct{ VCS, URL, Subdir, Hash, TagPrefix, TagSum, Ref, RepoSum string }
		}
		err := json.Unmarshal(lines.Bytes(), &info)
		fmt.Println(err == nil && info.Version != "")
	}
}
"#;

fn as_go_reads(go: &Path) {
    let values = [
        r#""Time":"2020-02-29T23:59:59Z""#,
        r#""Time":"2020-02-29T23:59:59.123456789123456789+23:59""#,
        r#""Time":"0000-01-01T00:00:00-00:00""#,
        r#""Time":null"#,
        r#""time":"2020-01-01T00:00:00Z""#,
        r#""Origin":{"VCS":"git","x":[1]}"#,
        r#""Origin":null"#,
        r#""Time":"2021-02-29T00:00:00Z""#,
        r#""Time":"2020-01-01T24:00:00Z""#,
        r#""Time":"2020-01-01T00:00:60Z""#,
        r#""Time":"2020-01-01t00:00:00Z""#,
        r#""Time":"2020-01-01T00:00:00""#,
        r#""Time":"2020-01-01T00:00:00.Z""#,
        r#""Time":"""#,
        r#""Time":0"#,
        r#""Origin":"git""#,
        r#""Origin":{"VCS":5}"#,
        r#""Origin":{"tagſum":{}}"#,
    ];
    let lines: Vec<String> = values.iter().map(|value| format!(r#"{{"Version":"v1.0.0",{value}}}"#)).collect();
    let origin = origin(World::demo());
    let home = Go::new(go, "off", "off");
    home.must(&["mod", "init", "example.org/decode"]);
    home.write("main.go", DECODE);
    home.must(&["build", "-o", "decode", "."]);
    let decode = |lines: &[String]| -> Vec<bool> {
        let input = home.home().join("input");
        std::fs::write(&input, lines.join("\n")).unwrap();
        let mut command = home.command(&home.home().join("decode"));
        let output = command.stdin(std::fs::File::open(&input).unwrap()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().map(|line| line == "true").collect()
    };
    let read = decode(&lines);
    assert_eq!(read.iter().filter(|read| **read).count(), 7, "{read:?}");
    let folder = tempfile::tempdir().unwrap();
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    for (nth, (line, read)) in lines.iter().zip(read).enumerate() {
        let path = format!("/example.com/hello/@v/branch{nth}.info");
        origin.misbehave(&path, body(line));
        let answer = get(&mirror.url, &path);
        assert_eq!(answer.status, if read { 200 } else { 502 }, "{line}: {}", answer.text());
        assert!(!read || decode(&[answer.text()]) == [true], "{line}: {}", answer.text());
    }
}
