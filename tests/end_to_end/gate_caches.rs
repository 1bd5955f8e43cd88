//! Caches that are kept between jobs under a seal, and the decisions about variables.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use serde_json::Value;
use testkit::{Origin, World};

use crate::fixture::{Go, files, go_trial, origin, sumgate, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("gate, seal: the next job with the key uses sealed caches, and fetches nothing", sealed),
        go_trial("gate, seal: changed, added and removed files are deleted and reported", tampered),
        go_trial("gate, seal: the public key alone cannot seal", public_key),
        go_trial("gate, seal: with another key, no key or a damaged seal nothing is used", not_believed),
        go_trial("gate, seal: a run with an unreleased module is not sealed", not_sealed),
        trial("gate, seal: the command does not see the key, and no message shows it", hidden_key),
        trial("gate, seal: only its owner can read a key file", keygen),
        go_trial("gate, environment: every variable that go reads has a decision", variables_of_go),
        trial("gate, environment: every variable that git reads has a decision", variables_of_git),
    ]
}

const GO_MOD: &str = "module example.org/app\n\ngo 1.21\n\nrequire example.com/mark v1.0.0\n";
const MAIN: &str = "package main\n\nimport \"example.com/mark\"\n\nfunc main() { println(mark.Mark()) }\n";
pub const BUILD: [&str; 6] = ["--", "go", "build", "-o", "app", "."];
/// Made by `sumgate cache keygen`, for these trials only.
pub const SECRET: &str = "PRIVATE+KEY+ci.example.com+3ec65fd6+AQMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMD";

fn world() -> World {
    let mut world = World::demo();
    world.add_simple("example.com/mark@v1.0.0", "", "package mark\n\nfunc Mark() string { return \"HONEST-MARK\" }\n");
    world.pad(1);
    world
}

/// Jobs on machines that have only the data folder of the previous job.
pub struct Jobs {
    pub origin: Origin,
    go: PathBuf,
    pub data: tempfile::TempDir,
}

pub struct Ended {
    pub code: Option<i32>,
    pub output: String,
    pub report: Value,
    pub says: String,
}

/// A change of a cache between two jobs, and its name.
type Change<'a> = (&'a str, &'a dyn Fn(&Path));

impl Jobs {
    pub fn new(go: &Path) -> Self {
        Self { origin: origin(world()), go: go.to_owned(), data: tempfile::tempdir().unwrap() }
    }

    pub fn run(&self, secret: &str, words: &[&str]) -> Ended {
        self.run_in(&self.home(secret), words)
    }

    /// A home on a new machine.
    pub fn home(&self, secret: &str) -> Go {
        let database = self.origin.gosumdb();
        let home = Go::new(&self.go, &self.origin.url(), &database).set("SUMGATE_SUMDB", &database);
        home.set("SUMGATE_CACHE_KEY", secret)
    }

    pub fn run_in(&self, app: &Go, words: &[&str]) -> Ended {
        app.write("main.go", MAIN);
        app.write("go.mod", GO_MOD);
        let data = ["run", "--report", "report.json", "--data", self.data.path().to_str().unwrap()];
        let (code, output) = app.sumgate(&[&data[..], words].concat());
        let report = std::fs::read(app.home().join("report.json")).unwrap_or_default();
        let program = app.command(&app.home().join("app")).output();
        let says = program.map(|output| String::from_utf8(output.stderr).unwrap()).unwrap_or_default();
        Ended {
            code,
            output,
            report: serde_json::from_slice(&report).unwrap_or_default(),
            says: says.trim().to_owned(),
        }
    }

    pub fn build(&self, secret: &str) -> Ended {
        self.run(secret, &BUILD)
    }

    /// A job that leaves sealed caches.
    pub fn seal(&self) {
        let first = self.build(SECRET);
        assert!(first.code == Some(0) && first.output.contains("sealed "), "{}", first.output);
        self.origin.take_requests();
    }

    pub fn folder(&self) -> PathBuf {
        self.data.path().join("run/1")
    }

    /// The store is not kept from here on: only the caches are.
    fn forget_the_store(&self) {
        std::fs::remove_dir_all(self.data.path().join("proxy")).unwrap();
    }
}

impl Ended {
    #[track_caller]
    pub fn is_clean(&self) {
        assert_eq!(self.code, Some(0), "{}", self.output);
        assert_eq!(
            (&self.report["findings"], self.says.as_str()),
            (&serde_json::json!([]), "HONEST-MARK"),
            "{}",
            self.output
        );
    }

    pub fn caches(&self) -> (u64, u64) {
        let count = |name: &str| self.report["caches"][name].as_u64().unwrap();
        (count("sealed_files"), count("thrown_away"))
    }
}

pub fn public() -> String {
    tlog::Signer::parse(SECRET).unwrap().verifier_key().to_string()
}

fn sealed(go: &Path) {
    let jobs = Jobs::new(go);
    jobs.seal();
    jobs.forget_the_store();
    for words in [&BUILD[..], &[&["--cache-public-key", &public()], &BUILD[..]].concat()] {
        let secret = if words.len() > BUILD.len() { "" } else { SECRET };
        let next = jobs.run(secret, words);
        next.is_clean();
        assert_eq!(jobs.origin.take_requests(), Vec::<String>::new(), "{}", next.output);
        let (sealed, thrown_away) = next.caches();
        assert!(sealed > 80 && thrown_away < 10, "{sealed} {thrown_away}: {}", next.output);
        assert_eq!(next.report["caches"]["modules"], "sealed");
    }
}

fn patch(folder: &Path, old: &str, new: &str) {
    for (name, mut bytes) in files(folder) {
        let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(old.as_bytes())).collect();
        for at in &places {
            bytes[*at..at + old.len()].copy_from_slice(new.as_bytes());
        }
        if !places.is_empty() {
            std::fs::remove_file(folder.join(&name)).unwrap();
            std::fs::write(folder.join(&name), bytes).unwrap();
        }
    }
}

fn tampered(go: &Path) {
    let ways: [Change<'_>; 4] = [
        ("mod/example.com/mark@v1.0.0", &|run| patch(&run.join("mod/example.com"), "HONEST-MARK", "FORGED-MARK")),
        ("build/", &|run| patch(&run.join("build"), "HONEST-MARK", "FORGED-MARK")),
        ("mod/example.com/mark@v1.0.0", &|run| {
            std::fs::write(
                run.join("mod/example.com/mark@v1.0.0/init.go"),
                "package mark\n\nfunc init() { panic(1) }\n",
            )
            .unwrap();
        }),
        ("mod/example.com/mark@v1.0.0", &|run| {
            let file = run.join("mod/example.com/mark@v1.0.0/a.go");
            std::fs::remove_file(&file).unwrap();
            std::os::unix::fs::symlink("/dev/null", file).unwrap();
        }),
    ];
    for (named, way) in ways {
        let jobs = Jobs::new(go);
        jobs.seal();
        way(&jobs.folder());
        let next = jobs.build(SECRET);
        next.is_clean();
        assert!(
            next.output.contains("deleted, because the seal does not cover them") && next.output.contains(named),
            "{}",
            next.output
        );
        // It is sealed again, and valid.
        let again = jobs.build(SECRET);
        again.is_clean();
        assert!(!again.output.contains("FORGED"), "{}", again.output);
    }
}

fn public_key(go: &Path) {
    let jobs = Jobs::new(go);
    jobs.seal();
    let key = public();
    let forging = "go build -o app . && chmod -R u+w $GOMODCACHE && sed -i s/HONEST/FORGED/ $GOMODCACHE/example.com/mark@v1.0.0/a.go && go build -o app .";
    let bad = jobs.run("", &["--cache-public-key", &key, "--", "sh", "-c", forging]);
    assert_eq!((bad.code, bad.says.as_str()), (Some(120), "FORGED-MARK"), "{}", bad.output);
    assert!(
        bad.output.contains("[module-not-released]") && !bad.output.contains("files of the caches in"),
        "{}",
        bad.output
    );
    jobs.build(SECRET).is_clean();
}

fn not_believed(go: &Path) {
    let other = tlog::Signer::from_seed("ci.example.com", [9; 32]).unwrap();
    let damage: [Change<'_>; 3] = [
        (SECRET, &|run| std::fs::remove_file(run.join("manifest")).unwrap()),
        (SECRET, &|run| std::fs::write(run.join("seal"), "nonsense\n").unwrap()),
        (&other.to_secret_text(), &|_| {}),
    ];
    for (secret, damage) in damage {
        let jobs = Jobs::new(go);
        jobs.seal();
        damage(&jobs.folder());
        let next = jobs.build(secret);
        next.is_clean();
        assert_eq!(next.caches().0, 0, "{}", next.output);
    }
    let jobs = Jobs::new(go);
    jobs.seal();
    let next = jobs.build("");
    next.is_clean();
    assert_eq!(next.caches(), (0, 0), "{}", next.output);
    assert_eq!(std::fs::read_dir(jobs.folder()).unwrap().count(), 0, "without a key nothing is kept");
}

fn not_sealed(go: &Path) {
    let jobs = Jobs::new(go);
    let forging =
        "go build -o app . && chmod -R u+w $GOMODCACHE && echo // >> $GOMODCACHE/example.com/mark@v1.0.0/a.go";
    let bad = jobs.run(SECRET, &["--", "sh", "-c", forging]);
    assert!(bad.code == Some(120) && !bad.output.contains("sealed "), "{}", bad.output);
    assert!(!jobs.folder().join("seal").exists());
    let next = jobs.build(SECRET);
    next.is_clean();
    assert_eq!(next.caches().0, 0);
}

fn hidden_key() {
    let home = Go::new(Path::new("/nonexistent"), "http://127.0.0.1:9", "sum.golang.org http://127.0.0.1:9");
    let home = home.set("SUMGATE_CACHE_KEY", SECRET);
    let (code, output) = home.sumgate(&["run", "--", "env"]);
    assert!(code == Some(0) && !output.contains("PRIVATE") && !output.contains("SUMGATE"), "{output}");
    let home = home
        .set("SUMGATE_CACHE_KEY", "PRIVATE+KEY+ci.example.com+00000000+AQMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMD");
    let (code, output) = home.sumgate(&["run", "--", "true"]);
    assert!(code == Some(121) && output.contains("the cache key") && !output.contains("AQMD"), "{output}");
    // The command can read a key file, too.
    home.write("key", SECRET);
    let home = home.set("SUMGATE_CACHE_KEY", "");
    let (code, output) = home.sumgate(&["run", "--cache-key", "key", "--", "true"]);
    assert!(code == Some(0) && output.contains("the command can read the cache key key"), "{output}");
    let both = ["run", "--cache-key", "key", "--cache-public-key", &public(), "--", "true"];
    assert_eq!(home.sumgate(&both).0, Some(121));
    assert_eq!(home.sumgate(&["run", "--cache-public-key", "nonsense", "--", "true"]).0, Some(121));
}

fn keygen() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let keygen = || sumgate().args(["cache", "keygen", "ci.example.com", "--out"]).arg(&file).output().unwrap();
    let first = keygen();
    assert!(first.status.success());
    let secret = std::fs::read_to_string(&file).unwrap();
    let signer = tlog::Signer::parse(secret.trim()).unwrap();
    assert_eq!(String::from_utf8(first.stdout).unwrap().trim(), signer.verifier_key().to_string());
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let again = keygen();
    assert_eq!(again.status.code(), Some(2), "a key is never written over");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), secret);
}

/// Words in a text that look like variables with one of these beginnings.
fn words(text: &[u8], beginnings: &[&str]) -> BTreeSet<String> {
    let is_part = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    let all = text.split(|byte| !is_part(byte)).filter_map(|word| std::str::from_utf8(word).ok());
    all.filter(|word| beginnings.iter().any(|start| word.starts_with(start) && word.len() > start.len() + 1))
        .map(str::to_owned)
        .collect()
}

fn undecided(names: impl IntoIterator<Item = String>) -> Vec<String> {
    names.into_iter().filter(|name| !sumgate::gate::is_decided(name)).collect()
}

/// The variables that `go env` lists, and those in string literals of its sources.
fn variables_of_go(go: &Path) {
    let home = Go::new(go, "off", "off");
    let listed: serde_json::Map<String, Value> = serde_json::from_str(&home.must(&["env", "-json"])).unwrap();
    assert!(listed.len() > 30);
    assert_eq!(undecided(listed.keys().cloned()), Vec::<String>::new());
    let goroot = listed["GOROOT"].as_str().unwrap();
    // The variables that it reads from the file of `go env -w`.
    let source = std::fs::read_to_string(Path::new(goroot).join("src/internal/cfg/cfg.go")).unwrap();
    let known: Vec<&str> = source.lines().filter_map(|line| line.strip_prefix('\t')).collect();
    let unknown: Vec<&&str> = known.iter().filter(|name| !sumgate::go::environment::is_known(name)).collect();
    assert!(known.len() > 50 && unknown.is_empty(), "{unknown:?}");
    let mut read = BTreeSet::new();
    for folder in ["cmd/go", "internal/cfg", "internal/buildcfg", "go/build"] {
        for (name, text) in files(&Path::new(goroot).join("src").join(folder)) {
            if name.ends_with(".go") && !name.ends_with("_test.go") && !name.starts_with("testdata/") {
                let text = String::from_utf8(text).unwrap();
                let literals = text.split('"').skip(1).step_by(2);
                let names = literals.map(|literal| literal.trim_end_matches('='));
                let is_variable = |name: &&str| {
                    let of_go = ["GO", "CGO_", "GIT_", "TESTGO"].iter().any(|start| name.starts_with(start));
                    of_go
                        && name.len() > 3
                        && !name.ends_with('_')
                        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
                };
                read.extend(names.filter(is_variable).map(str::to_owned));
            }
        }
    }
    assert!(read.len() > 50, "the sources were not found: {read:?}");
    assert_eq!(undecided(read), Vec::<String>::new());
}

/// The variables in the strings of the git program.
fn variables_of_git() {
    let path = std::env::var_os("PATH").unwrap();
    let git = std::env::split_paths(&path).map(|folder| folder.join("git")).find(|git| git.is_file());
    let git = git.expect("git is needed here, as by every `go` with modules in repositories");
    let read = words(&std::fs::read(git).unwrap(), &["GIT_"]);
    assert!(read.len() > 100, "{read:?}");
    assert_eq!(undecided(read), Vec::<String>::new());
}
