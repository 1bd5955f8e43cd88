//! Private modules over https, by real git: the mirror asks their host no more than `go` alone does.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use testkit::{Origin, World};

use crate::fixture::{Go, Mirror, get, go_trial, origin, sumgate};
use crate::hosts::{Hosts, Page};

/// More than the mirror clones at the same time.
const MODULES: usize = 16;

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("private fetches: sixteen modules take no more than go alone", as_few_as_go),
        go_trial("private fetches: the prefixes of a path share one repository", prefixes),
        go_trial("private fetches: files that are asked for with pauses are of one clone", with_pauses),
        go_trial("private fetches: a corrupt clone of before is cloned again", corrupt),
        go_trial("private fetches: a version that was just tagged is there within seconds", just_tagged),
        go_trial("private fetches: a forgotten pin is not made again from files of before", forgotten),
    ]
}

/// A host with the modules code.test/m0 and so on, each in a repository of its own.
struct Setting {
    folder: tempfile::TempDir,
    hosts: Hosts,
    origin: Origin,
}

impl Setting {
    fn new(modules: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hosts = Hosts::start(&["code.test"], folder.path());
        hosts.at("code.test/git/", Page::Git(folder.path().to_owned()));
        let setting = Self { folder, hosts, origin: origin(World::demo()) };
        std::fs::create_dir(setting.folder.path().join("git")).unwrap();
        for nth in 0..modules {
            let module = format!("code.test/m{nth}").leak();
            setting.hosts.at(module, Page::Import(module, format!("https://code.test/git/m{nth}/.git").leak()));
            setting.git(nth, &["init", "-q", "-b", "main"]);
            setting.release(nth, "one", "v1.0.0");
        }
        setting
    }

    /// Commits another text, and sets the tag to it.
    fn release(&self, nth: usize, text: &str, tag: &str) {
        let folder = self.repository(nth);
        std::fs::write(folder.join("go.mod"), format!("module code.test/m{nth}\n\ngo 1.21\n")).unwrap();
        std::fs::create_dir_all(folder.join("a/b/c")).unwrap();
        std::fs::write(folder.join("a/b/c/c.go"), format!("package c\n\n// {text}\n")).unwrap();
        self.git(nth, &["add", "."]);
        self.git(nth, &["-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "-qm", text]);
        self.git(nth, &["tag", "-f", tag]);
    }

    fn repository(&self, nth: usize) -> std::path::PathBuf {
        self.folder.path().join(format!("git/m{nth}"))
    }

    fn git(&self, nth: usize, words: &[&str]) {
        let folder = self.repository(nth);
        std::fs::create_dir_all(&folder).unwrap();
        let output = Command::new("git").arg("-C").arg(folder).args(words).output().unwrap();
        assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let given = self.hosts.environment();
        let roots = ("GIT_SSL_CAINFO", given[1].1.clone());
        given.into_iter().chain([roots, ("HOME", self.folder.path().to_str().unwrap().to_owned())]).collect()
    }

    fn mirror(&self, data: &str) -> Mirror {
        let (url, sumdb) = (self.origin.url(), self.origin.gosumdb());
        let mut program = sumgate();
        program.envs(self.environment());
        let words = ["--upstream", &url, "--sumdb", &sumdb, "--private", "code.test"];
        Mirror::start_by(program, &self.folder.path().join(data), &words)
    }

    fn client(&self, go: &Path, proxies: &str) -> Go {
        let client = Go::new(go, proxies, "off").set("GOVCS", "*:git");
        let client = self.environment().into_iter().fold(client, |client, (name, value)| client.set(name, &value));
        client.write("go.mod", "module example.org/app\n\ngo 1.21\n");
        client
    }

    /// How often git asked the host for references or objects since the last call.
    fn fetches(&self) -> usize {
        self.hosts.take_asked().iter().filter(|path| path.ends_with("/git-upload-pack")).count()
    }
}

fn as_few_as_go(go: &Path) {
    let setting = Setting::new(MODULES);
    let requires: String = (0..MODULES).map(|nth| format!("\tcode.test/m{nth} v1.0.0\n")).collect();
    let download = |proxies: &str| {
        let client = setting.client(go, proxies);
        client.write("go.mod", &format!("module example.org/app\n\ngo 1.21\n\nrequire (\n{requires})\n"));
        let start = Instant::now();
        client.must(&["mod", "download"]);
        (setting.fetches(), start.elapsed())
    };
    let alone = download("direct");
    let mirror = setting.mirror("data");
    let through = download(&mirror.url);
    println!("{MODULES} modules: go alone {alone:?}, through the mirror {through:?}");
    assert!(alone.0 >= 2 * MODULES, "git is not watched: {alone:?}");
    assert!(through.0 <= alone.0, "go alone: {alone:?}, through the mirror: {through:?}");
}

/// What `go` alone fetches depends on which of its requests come first: so many runs show the fewest.
const RUNS_ALONE: usize = 3;

fn prefixes(go: &Path) {
    let setting = Setting::new(1);
    // Some hosts name the repository for every path below it.
    for below in ["code.test/m0/a", "code.test/m0/a/b", "code.test/m0/a/b/c"] {
        setting.hosts.at(below, Page::Import("code.test/m0", "https://code.test/git/m0/.git"));
    }
    let compare = |words: &str, case: &str, excess: usize| {
        let fetched = |proxies: &str| {
            setting.client(go, proxies).must(&["get", words]);
            setting.fetches()
        };
        let alone: Vec<usize> = (0..RUNS_ALONE).map(|_| fetched("direct")).collect();
        let mirror = setting.mirror(&format!("data-{case}-{}", words.len()));
        let through = fetched(&mirror.url);
        println!("{case}, go get {words}: go alone {alone:?}, through the mirror {through}");
        let fewest = alone.into_iter().min().unwrap();
        assert!(fewest > 0, "git is not watched");
        (through > fewest + excess)
            .then(|| format!("{case}, {words}: go alone {fewest}, through the mirror {through}\n"))
    };
    let newest = "the tag is the newest commit";
    let older = "the tag is an older commit";
    let mut more = String::new();
    for query in ["", "@v1.0.0", "@main"] {
        more.extend(compare(&format!("code.test/m0/a/b/c{query}"), newest, 0));
    }
    setting.release(0, "two", "other");
    // The mirror asks for the latest version of each path in the same run. For a path without tags, `go list` reads the newest
    // commit, which `go get` leaves out if it has the version: one fetch, and two requests of git, that `go` alone does not make.
    for (query, excess) in [("", 0), ("@v1.0.0", 2), ("@main", 0)] {
        more.extend(compare(&format!("code.test/m0/a/b/c{query}"), older, excess));
    }
    assert!(more.is_empty(), "{more}");
}

fn with_pauses(_go: &Path) {
    let setting = Setting::new(1);
    let mirror = setting.mirror("data");
    let ask = |file: &str| {
        let answer = get(&mirror.url, &format!("/code.test/m0/@v/v1.0.0.{file}"));
        assert_eq!(answer.status, 200, "{file}: {}", answer.text());
        setting.fetches()
    };
    assert!(ask("info") > 0);
    std::thread::sleep(Duration::from_secs(11));
    assert_eq!((ask("mod"), ask("zip")), (0, 0));
}

fn forgotten(_go: &Path) {
    let setting = Setting::new(1);
    let mirror = setting.mirror("data");
    // A list reads the latest version, too.
    for path in ["/code.test/m0/@v/v1.0.0.mod", "/code.test/m0/@v/list"] {
        let answer = get(&mirror.url, path);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    setting.release(0, "another", "v1.0.0");
    let words = ["cache", "pins", "forget", "code.test/m0@v1.0.0", "--data"];
    let forgot = sumgate().args(words).arg(&mirror.data).output().unwrap();
    assert!(forgot.status.success(), "{}", String::from_utf8_lossy(&forgot.stderr));
    let zip = get(&mirror.url, "/code.test/m0/@v/v1.0.0.zip");
    let other = setting.mirror("other");
    let anew = get(&other.url, "/code.test/m0/@v/v1.0.0.zip");
    assert_eq!((zip.status, anew.status), (200, 200), "{}", zip.text());
    assert!(zip.body == anew.body, "the files of before were pinned again");
}

fn corrupt(_go: &Path) {
    let setting = Setting::new(1);
    let mirror = setting.mirror("data");
    let ask = |version: &str| {
        let answer = get(&mirror.url, &format!("/code.test/m0/@v/{version}.zip"));
        assert_eq!(answer.status, 200, "{version}: {}", answer.text());
        setting.fetches()
    };
    let cold = ask("v1.0.0");
    setting.git(0, &["tag", "v1.0.1"]);
    assert!(ask("v1.0.1") < cold, "the commit is there");
    let is_object = |name: &str| name.contains("/clones-") && name.contains("/objects/");
    let found = crate::fixture::files(&mirror.data.join("staging"));
    let objects: Vec<_> = found.keys().filter(|name| is_object(&format!("/{name}"))).collect();
    assert!(!objects.is_empty(), "{:?}", found.keys());
    for object in objects {
        let object = mirror.data.join("staging").join(object);
        // Git makes them read-only.
        std::fs::remove_file(&object).unwrap();
        std::fs::write(object, "").unwrap();
    }
    setting.release(0, "two", "v1.1.0");
    ask("v1.1.0");
}

fn just_tagged(go: &Path) {
    let setting = Setting::new(1);
    let mirror = setting.mirror("data");
    let words = ["mod", "download", "code.test/m0@v1.1.0"];
    for proxies in ["direct", &mirror.url] {
        setting.client(go, proxies).must_fail(&words, "unknown revision v1.1.0");
    }
    setting.release(0, "two", "v1.1.0");
    setting.client(go, "direct").must(&words);
    std::thread::sleep(Duration::from_secs(6));
    setting.client(go, &mirror.url).must(&words);
}
