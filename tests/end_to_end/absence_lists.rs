//! A shortened list never makes a retracted version look current.

use std::path::Path;

use libtest_mimic::Trial;
use testkit::{Fault, Origin, World};

use crate::airgap::{exported, fetch, import, nowhere};
use crate::fixture::{Go, Mirror, get, go_trial, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("lists: a list that a policy shortens omits what the newest version retracts", left_out),
        trial("lists: retractions that cannot be proved are 502", unproved),
        trial("lists: the retractions of a new version apply as soon as it is listed", at_once),
        trial("lists: of an exempt module the pinned go.mod counts", exempt),
        trial("lists: @latest of an empty list is a refusal", nothing_left),
        trial("lists: while upstreams are down, stored retractions apply", sources_down),
        trial("lists: fetch, export and import bring the newest version for offline use", carried),
        go_trial("lists: go get does not install a retracted version", go_gets),
    ]
}

const LIST: &str = "/example.com/sorry/@v/list";
const LATEST: &str = "/example.com/sorry/@latest";
const TAKES_BACK: &str = "retract v1.0.1 // it lost data\n";

/// The data folder has known v1.0.0 and v1.0.1 for thirty days; v1.0.2 is new and retracts v1.0.1.
fn setting() -> (Origin, tempfile::TempDir) {
    let origin = origin(World::demo());
    let sorry = |version: &str, more: &str| {
        origin.world().add_simple(&format!("example.com/sorry@{version}"), more, "package sorry\n");
    };
    sorry("v1.0.0", "");
    sorry("v1.0.1", "");
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    drop(Mirror::start(&origin, &data));
    remember(&data, origin.world().size());
    sorry("v1.0.2", TAKES_BACK);
    origin.world().pad(1);
    (origin, folder)
}

/// Records that a tree of this size was seen thirty days ago.
fn remember(data: &Path, size: u64) {
    let state = std::fs::read_dir(data.join("sumdb")).unwrap().next().unwrap().unwrap().path();
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_secs();
    std::fs::write(state.join("heads"), format!("{} {size}\n", now - 30 * 86_400)).unwrap();
}

fn under(origin: &Origin, folder: &tempfile::TempDir, policy: &str, more: &[&str]) -> Mirror {
    let file = folder.path().join("policy.toml");
    std::fs::write(&file, policy).unwrap();
    let (url, sumdb) = (origin.url(), origin.gosumdb());
    let words = [
        "--upstream",
        &url,
        "--sumdb",
        &sumdb,
        "--policy",
        file.to_str().unwrap(),
        "--fresh-for",
        "0s",
        "--absent-for",
        "0s",
    ];
    Mirror::start_with(&folder.path().join("data"), &[&words[..], more].concat())
}

const MIN_AGE: &str = "[policy]\nmin-age = \"7d\"\n";

fn left_out() {
    let deny_new = "[[deny]]\nmodule = \"example.com/sorry\"\nversions = \"=v1.0.2\"\nreason = \"new\"\n";
    for policy in [MIN_AGE.to_owned(), format!("{MIN_AGE}retracted = \"deny\"\n"), deny_new.to_owned()] {
        let (origin, folder) = setting();
        let mirror = under(&origin, &folder, &policy, &[]);
        assert_eq!(get(&mirror.url, LIST).text(), "v1.0.0\n", "{policy}");
        let latest = get(&mirror.url, LATEST).text();
        assert!(latest.contains("\"v1.0.0\""), "{policy}: {latest}");
        assert_eq!(get(&mirror.url, "/example.com/sorry/@v/v1.0.0.zip").status, 200);
    }
    // From a complete list, `go` reads the retractions itself.
    let (origin, folder) = setting();
    let mirror = under(&origin, &folder, "[policy]\nretracted = \"deny\"\n", &[]);
    assert_eq!(get(&mirror.url, LIST).text(), "v1.0.0\nv1.0.1\nv1.0.2\n");
}

fn unproved() {
    let new_mod = "/example.com/sorry/@v/v1.0.2.mod";
    let faults = [
        (new_mod, Fault::Status(500, "down")),
        (new_mod, Fault::Body("module example.com/sorry\n".into())),
        (new_mod, Fault::Status(404, "gone")),
        ("/tile/*", Fault::Status(500, "down")),
        ("/tile/*", Fault::Status(404, "not found")),
    ];
    for (path, fault) in faults {
        let (origin, folder) = setting();
        let mirror = under(
            &origin,
            &folder,
            "[[deny]]\nmodule = \"example.com/sorry\"\nversions = \"=v1.0.2\"\nreason = \"new\"\n",
            &[],
        );
        origin.misbehave(path, fault.clone());
        for shown in [LIST, LATEST] {
            let answer = get(&mirror.url, shown);
            assert_eq!(answer.status, 502, "{path} {fault:?} {shown}: {}", answer.text());
        }
        origin.behave();
        // A request that was started for a disconnected client may still end as before.
        let right = (0..20).any(|_| get(&mirror.url, LIST).text() == "v1.0.0\n");
        assert!(right, "{path} {fault:?}: {}", get(&mirror.url, LIST).text());
    }
    // The database has no record of the newest version yet: the newest one with a record counts.
    let (origin, folder) = setting();
    origin.misbehave("/lookup/example.com/sorry@v1.0.2", Fault::Status(404, "not found"));
    let mirror = under(&origin, &folder, MIN_AGE, &[]);
    assert_eq!(get(&mirror.url, LIST).text(), "v1.0.0\nv1.0.1\n");
}

fn at_once() {
    let (origin, folder) = setting();
    let mirror = under(&origin, &folder, MIN_AGE, &[]);
    assert_eq!(get(&mirror.url, LIST).text(), "v1.0.0\n");
    origin.world().add_simple("example.com/sorry@v1.0.3", "retract v1.0.0\n", "package sorry\n");
    origin.world().pad(1);
    assert_eq!(get(&mirror.url, LIST).text(), "v1.0.1\n", "v1.0.3 takes back v1.0.0, and v1.0.1 no more");
}

fn exempt() {
    let (origin, folder) = setting();
    let policy = "[[deny]]\nmodule = \"example.com/sorry\"\nversions = \"=v1.0.2\"\nreason = \"new\"\n";
    let mirror = under(&origin, &folder, policy, &["--nosumdb", "example.com/sorry"]);
    assert_eq!(get(&mirror.url, LIST).text(), "v1.0.0\n");
    let pin = folder.path().join("data/pins/example.com/sorry/@v/v1.0.2.mod");
    assert!(pin.is_file(), "it counts from the first time on");
    std::fs::remove_dir_all(folder.path().join("data/proxy")).unwrap();
    origin.misbehave("/example.com/sorry/@v/v1.0.2.mod", Fault::Body("module example.com/sorry\n".into()));
    assert_eq!(get(&mirror.url, LIST).status, 502, "another go.mod than the pinned one");
}

fn nothing_left() {
    let (origin, folder) = setting();
    let policy = "[[deny]]\nmodule = \"example.com/sorry\"\nversions = \"<v1.0.1 || =v1.0.2\"\nreason = \"no\"\n";
    let mirror = under(&origin, &folder, policy, &[]);
    assert_eq!(get(&mirror.url, LIST).text(), "");
    let answer = get(&mirror.url, LATEST);
    assert_eq!(answer.status, 403, "{}", answer.text());
}

fn sources_down() {
    let (origin, folder) = setting();
    let data = folder.path().join("data");
    let mirror = Mirror::start(&origin, &data);
    for file in ["v1.0.0.mod", "v1.0.0.zip", "v1.0.1.zip", "v1.0.2.mod"] {
        assert_eq!(get(&mirror.url, &format!("/example.com/sorry/@v/{file}")).status, 200);
    }
    drop(mirror);
    for offline in [false, true] {
        origin.misbehave("/example.com/*", Fault::Status(500, "down"));
        let (url, sumdb) = (origin.url(), origin.gosumdb());
        let words = ["--upstream", &url, "--sumdb", &sumdb, "--offline"];
        let mirror = Mirror::start_with(&data, if offline { &words } else { &words[..4] });
        let list = get(&mirror.url, LIST);
        assert_eq!(list.text(), "v1.0.0\n", "the go.mod of v1.0.2 is here, and says so");
        assert!(list.header("warning").is_some(), "whether it is the newest is not known: {}", list.head);
        assert!(get(&mirror.url, LATEST).text().contains("\"v1.0.0\""));
    }
    // A list that was removed is made from the store, so it is shortened, too.
    origin.behave();
    origin.misbehave(LIST, Fault::Status(404, "gone"));
    let mirror = Mirror::start(&origin, &data);
    assert_eq!(get(&mirror.url, LIST).text(), "v1.0.0\n");
}

fn carried() {
    let (origin, folder) = setting();
    let here = folder.path().join("here");
    let (code, said) = fetch(&origin, &here, &["example.com/sorry@v1.0.1", "example.com/sorry@v1.0.0"]);
    assert_eq!(code, Some(0), "{said}");
    let out =
        exported(&origin, folder.path(), "out.tar.zst", &["example.com/sorry@v1.0.0", "example.com/sorry@v1.0.1"]);
    let there = folder.path().join("there");
    assert_eq!(import(&origin, &there, &out).0, Some(0));
    for data in [&here, &there] {
        let mirror = Mirror::start_with(data, &["--offline", "--sumdb", &nowhere(&origin)]);
        let list = get(&mirror.url, LIST);
        assert_eq!((list.text().as_str(), list.header("warning")), ("v1.0.0\n", None));
        assert!(get(&mirror.url, LATEST).text().contains("\"v1.0.0\""));
    }
    // Importing an older export later does not replace the newest version.
    let newest = there.join("proxy/example.com/sorry/@latest");
    let noted = std::fs::read(&newest).unwrap();
    assert!(String::from_utf8_lossy(&noted).contains("v1.0.2"));
    let old = self::origin(World::demo());
    for version in ["v1.0.0", "v1.0.1"] {
        old.world().add_simple(&format!("example.com/sorry@{version}"), "", "package sorry\n");
    }
    let out = exported(&old, folder.path(), "old", &["example.com/sorry@v1.0.0"]);
    let (_, said) = import(&old, &there, &out);
    assert!(said.contains("imported 0 files"), "{said}");
    assert_eq!(std::fs::read(&newest).unwrap(), noted);

    // Modules that came in another way have a Warning header.
    let bare = folder.path().join("bare");
    let mirror = Mirror::start(&origin, &bare);
    assert_eq!(get(&mirror.url, "/example.com/sorry/@v/v1.0.1.zip").status, 200);
    drop(mirror);
    let mirror = Mirror::start_with(&bare, &["--offline", "--sumdb", &nowhere(&origin)]);
    let list = get(&mirror.url, LIST);
    assert_eq!(list.text(), "v1.0.1\n");
    assert!(list.header("warning").unwrap().contains("newest version is not known here"), "{}", list.head);
}

fn go_gets(go: &Path) {
    for policy in [MIN_AGE.to_owned(), format!("{MIN_AGE}retracted = \"deny\"\n")] {
        let (origin, folder) = setting();
        let mirror = under(&origin, &folder, &policy, &[]);
        let home = Go::new(go, &mirror.url, &format!("{} {}", origin.key(), mirror.url));
        home.write("go.mod", "module example.org/app\n\ngo 1.21\n");
        home.must(&["get", "example.com/sorry@latest"]);
        let go_mod = std::fs::read_to_string(home.home().join("go.mod")).unwrap();
        assert!(go_mod.contains("example.com/sorry v1.0.0"), "{policy}: {go_mod}");
    }
}
