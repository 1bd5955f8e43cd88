//! Private modules: from git repositories on this machine through the mirror to the real `go`, without sending their names to others.
//!
//! git's settings map `https://example.test/` to a folder, so no name is resolved.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libtest_mimic::Trial;
use testkit::{Origin, World};

use crate::fixture::{Go, Mirror, Running, get, go_trial, origin, sumgate, trial, wait};

const ZIP: &str = "/example.test/repo.git/@v/v1.0.0.zip";
const GO_MOD: &str = "/example.test/repo.git/@v/v1.0.0.mod";

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("private: go gets a git repository, and its name is not sent to others", nobody_hears),
        go_trial("private: fetch and module cache import do not send its name to others", ahead),
        trial("private: an HTML page instead of a go.mod is not pinned", page),
        trial("private: an HTML page in the store instead of a go.mod is not pinned", page_in_store),
        trial("private: patterns that cannot match are refused at the start", dead_patterns),
        go_trial("private: answers are generated from the repository", like_a_proxy),
        go_trial("private: fetched from git, exported and imported, without sending the name", carried),
        go_trial("private: a moved tag is refused with both hashes", moved_tag),
        go_trial("pins: list and forget", pins),
        go_trial("private: a failure is not absence, and shows no credentials", trouble),
        go_trial("private: without go on the PATH the error says so", without_go),
    ]
}

/// Repositories below `https://example.test/`, as git sees them with this home.
pub struct Repositories {
    folder: tempfile::TempDir,
}

impl Repositories {
    /// One repository, `repo.git`, with the version v1.0.0.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = format!(
            "[user]\n\tname = A\n\temail = a@example.com\n[init]\n\tdefaultBranch = main\n\
             [url \"file://{}/\"]\n\tinsteadOf = https://example.test/\n\
             [url \"https://somebody:hunter2@127.0.0.1:1/\"]\n\tinsteadOf = https://login.test/\n",
            folder.path().display()
        );
        std::fs::write(folder.path().join(".gitconfig"), settings).unwrap();
        let this = Self { folder };
        std::fs::create_dir(this.repo()).unwrap();
        this.git(&["init", "-q"]);
        this.commit("module example.test/repo.git\n\ngo 1.21\n", "one");
        this.git(&["tag", "v1.0.0"]);
        this
    }

    pub fn home(&self) -> &Path {
        self.folder.path()
    }

    fn repo(&self) -> PathBuf {
        self.home().join("repo.git")
    }

    pub fn git(&self, words: &[&str]) {
        let mut git = self.with_home(Command::new("git"));
        let output = git.current_dir(self.repo()).args(words).output().unwrap();
        assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    pub fn commit(&self, go_mod: &str, text: &str) {
        std::fs::write(self.repo().join("go.mod"), go_mod).unwrap();
        let code = format!("package repo\n\n// Text tells.\nfunc Text() string {{ return \"{text}\" }}\n");
        self.write("a.go", &code);
    }

    /// Another file, committed.
    pub fn write(&self, name: &str, text: &str) {
        let file = self.repo().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
        self.git(&["add", "."]);
        self.git(&["commit", "-qm", name]);
    }

    /// Moves the tag v1.0.0 to another commit.
    fn move_tag(&self) {
        self.commit("module example.test/repo.git\n\ngo 1.21\n", "another");
        self.git(&["tag", "-f", "v1.0.0"]);
    }

    pub fn with_home(&self, mut command: Command) -> Command {
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GIT_")) {
            command.env_remove(name);
        }
        command.env("HOME", self.home()).env_remove("XDG_CONFIG_HOME");
        command
    }

    /// A mirror whose private modules are these.
    fn mirror(&self, origin: &Origin, data: &Path, more: &[&str]) -> Mirror {
        let (url, sumdb) = (origin.url(), origin.gosumdb());
        let words = ["--upstream", &url, "--sumdb", &sumdb, "--private", "*.test"];
        Mirror::start_by(self.with_home(sumgate()), data, &[&words, more].concat())
    }
}

/// `go`, with a program that needs the private module and a public one.
fn client(go: &Path, origin: &Origin, mirror: &Mirror) -> Go {
    let go = Go::new(go, &mirror.url, &format!("{} {}", origin.key(), mirror.url));
    let main = "package main\n\nimport (\n\t\"example.com/hello\"\n\t\"example.test/repo.git\"\n)\n\n\
                func main() { println(hello.Text(), repo.Text()) }\n";
    go.write("main.go", main);
    let requires = "require (\n\texample.com/hello v1.0.0\n\texample.test/repo.git v1.0.0\n)\n";
    go.write("go.mod", &format!("module example.org/app\n\ngo 1.21\n\n{requires}"));
    go
}

fn private_requests(origin: &Origin) -> Vec<String> {
    let asked = origin.take_requests();
    assert!(asked.iter().any(|path| path.contains("example.com/hello")), "the wire is not watched: {asked:?}");
    asked.into_iter().filter(|path| path.contains(".test")).collect()
}

fn nobody_hears(go: &Path) {
    let (origin, repositories) = (origin(World::demo()), Repositories::new());
    let folder = tempfile::tempdir().unwrap();
    let mirror = repositories.mirror(&origin, &folder.path().join("data"), &[]);
    assert!(mirror.greeting.contains("GONOSUMDB=\"*.test\""), "{}", mirror.greeting);

    // A client without GONOSUMDB looks it up through the mirror, which makes no request.
    client(go, &origin, &mirror).must_fail(&["mod", "download"], "404 Not Found");
    for base in [String::new(), format!("/sumdb/{}", origin.world().name())] {
        let answer = get(&mirror.url, &format!("{base}/lookup/example.test/repo.git@v1.0.0"));
        assert_eq!(answer.status, 404, "{}", answer.text());
    }

    let client = client(go, &origin, &mirror).set("GONOSUMDB", "*.test");
    client.must(&["mod", "download"]);
    let output = client.must(&["run", "."]);
    assert!(output.contains("hello one"), "{output}");
    assert_eq!(private_requests(&origin), Vec::<String>::new());
    let leftovers = crate::fixture::files(&mirror.data.join("staging"));
    let is_kept = |name: &String| name.ends_with("lock") || name.contains("/clones-");
    assert!(leftovers.keys().all(is_kept), "temporary folders stay: {:?}", leftovers.keys());
}

fn ahead(go: &Path) {
    let (origin, repositories) = (origin(World::demo()), Repositories::new());
    let folder = tempfile::tempdir().unwrap();
    let run = |data: &str, words: &[&str], more: [&str; 2]| {
        let mut program = repositories.with_home(sumgate());
        program.args(words).args(more).args(["--sumdb", &origin.gosumdb(), "--data"]).arg(folder.path().join(data));
        let output = program.env("GOPRIVATE", "*.test").output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}");
        said
    };
    let modules = ["cache", "fetch", "--private", "*.test", "example.test/repo.git@v1.0.0", "example.com/hello@v1.0.0"];
    let said = run("fetched", &modules, ["--upstream", &origin.url()]);
    assert!(said.starts_with("fetched 8 files"), "{said}");
    assert_eq!(private_requests(&origin), Vec::<String>::new());

    let mirror = repositories.mirror(&origin, &folder.path().join("data"), &[]);
    let client = client(go, &origin, &mirror).set("GONOSUMDB", "*.test");
    client.must(&["mod", "download"]);
    origin.take_requests();
    let said = run("imported", &["cache", "import"], ["--modcache", client.module_cache().to_str().unwrap()]);
    assert!(said.starts_with("imported "), "{said}");
    assert_eq!(private_requests(&origin), Vec::<String>::new());
}

fn page() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let words = ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb(), "--nosumdb", "example.com/hello"];
    let mirror = Mirror::start_with(&folder.path().join("data"), &words);
    let go_mod = "/example.com/hello/@v/v1.0.0.mod";
    origin.misbehave(go_mod, testkit::Fault::Body("<html>\n<title>Log in</title>\n".into()));
    let answer = get(&mirror.url, go_mod);
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert!(answer.text().contains("it is not a go.mod file"), "{}", answer.text());
    origin.behave();
    assert_eq!(get(&mirror.url, go_mod).status, 200, "the right one is the first that counts");
}

/// Stored files without a pin are pinned by the same rules as files from an upstream.
fn page_in_store() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let go_mod = "/example.com/hello/@v/v1.0.0.mod";
    let stored = data.join("proxy").join(&go_mod[1..]);
    std::fs::create_dir_all(stored.parent().unwrap()).unwrap();
    std::fs::write(&stored, "<html>\n<title>Log in</title>\n").unwrap();
    let words = ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb(), "--nosumdb", "example.com/hello"];
    let mirror = Mirror::start_with(&data, &words);
    let answer = get(&mirror.url, go_mod);
    assert!(answer.status == 200 && answer.text().starts_with("module example.com/hello\n"), "{}", answer.text());
    assert_eq!(std::fs::read_dir(data.join("quarantine")).unwrap().count(), 1, "the page is set aside");
}

fn dead_patterns() {
    let folder = tempfile::tempdir().unwrap();
    for (flag, patterns) in
        [("--private", "corp.example github.com/our"), ("--private", "Corp.example"), ("--nosumdb", "corp.example/...")]
    {
        let (told, mut program) = (folder.path().join("told"), sumgate());
        program.args(["serve", "--listen", "127.0.0.1:0", flag, patterns, "--data"]).arg(folder.path());
        program.stdout(Stdio::null()).stderr(std::fs::File::create(&told).unwrap());
        let status = wait(&mut Running(program.spawn().unwrap()).0);
        let said = std::fs::read_to_string(told).unwrap();
        assert!(status.code() == Some(2) && said.contains(flag) && said.contains(patterns), "{said}");
    }
}

fn like_a_proxy(_go: &Path) {
    let (origin, repositories) = (origin(World::demo()), Repositories::new());
    let folder = tempfile::tempdir().unwrap();
    let mirror =
        repositories.mirror(&origin, &folder.path().join("data"), &["--fresh-for", "0s", "--absent-for", "0s"]);
    let module = "/example.test/repo.git";
    assert_eq!(get(&mirror.url, &format!("{module}/@v/list")).text(), "v1.0.0\n");
    repositories.commit("module example.test/repo.git\n\ngo 1.21\n\nretract v1.1.0\n", "two");
    repositories.git(&["tag", "v1.1.0"]);
    assert_eq!(get(&mirror.url, &format!("{module}/@v/list")).text(), "v1.0.0\nv1.1.0\n", "what is retracted, too");
    let latest = get(&mirror.url, &format!("{module}/@latest"));
    assert!(latest.text().starts_with("{\"Version\":\"v1.1.0\",\"Time\":\"20"), "{}", latest.text());

    repositories.commit("module example.test/repo.git\n\ngo 1.21\n", "three");
    let branch = get(&mirror.url, &format!("{module}/@v/main.info")).text();
    let info: serde_json::Value = serde_json::from_str(&branch).unwrap();
    let version = info["Version"].as_str().unwrap();
    assert!(version.contains("-0.20"), "{branch}");
    for file in ["info", "mod", "zip"] {
        let answer = get(&mirror.url, &format!("{module}/@v/{version}.{file}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(
        get(&mirror.url, &format!("{module}/@v/v1.0.0.mod")).text(),
        "module example.test/repo.git\n\ngo 1.21\n"
    );

    for absent in ["@v/v1.9.0.zip", "@v/v1.9.0.info", "@v/nothing.info", "sub/@latest"] {
        let answer = get(&mirror.url, &format!("{module}/{absent}"));
        assert_eq!(answer.status, 404, "{absent}: {}", answer.text());
    }
    let asked = origin.take_requests();
    assert!(asked.iter().all(|path| !path.contains(".test")), "{asked:?}");
}

fn carried(_go: &Path) {
    let (origin, repositories) = (origin(World::demo()), Repositories::new());
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.tar.zst");
    let out = out.to_str().unwrap();
    let in_store = |store: &str, words: &[&str]| {
        let mut command = repositories.with_home(sumgate());
        command.args(words).arg("--data").arg(folder.path().join(store));
        if words[1] != "pins" {
            command.args(["--private", "*.test", "--sumdb", &origin.gosumdb()]);
        }
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let modules = ["example.test/repo.git@v1.0.0", "example.com/hello@v1.0.0"];
    let (code, said) = in_store("here", &["cache", "fetch", "--upstream", &origin.url(), modules[0], modules[1]]);
    assert!(code == Some(0) && said.contains("fetched 8 files"), "{said}");
    assert_eq!(private_requests(&origin), Vec::<String>::new());

    // Pins are printed as lines of a go.sum.
    let listed = in_store("here", &["cache", "pins", "list"]).1;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let go_sum = folder.path().join("go.sum");
    std::fs::write(&go_sum, &listed).unwrap();
    let (code, said) = in_store("here", &["cache", "export", "--for", go_sum.to_str().unwrap(), out]);
    assert!(code == Some(0) && said.contains("exported 3 files"), "{said}");
    let (code, said) = in_store("there", &["cache", "import", out]);
    assert!(code == Some(0) && said.contains("imported 3 files"), "{said}");
    assert_eq!(origin.take_requests(), Vec::<String>::new());
}

fn moved_tag(go: &Path) {
    let (origin, repositories) = (origin(World::demo()), Repositories::new());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mirror = repositories.mirror(&origin, &data, &[]);
    let (first, go_mod) = (get(&mirror.url, ZIP), get(&mirror.url, GO_MOD));
    assert_eq!((first.status, go_mod.status), (200, 200), "{}", first.text());
    drop(mirror);
    repositories.move_tag();

    // The store still has the right file; then it is removed.
    let mirror = repositories.mirror(&origin, &data, &[]);
    assert_eq!(get(&mirror.url, ZIP).body, first.body);
    std::fs::remove_dir_all(data.join("proxy")).unwrap();
    let pinned = std::fs::read_to_string(data.join("pins").join(&ZIP[1..])).unwrap();
    let refused = get(&mirror.url, ZIP);
    assert_eq!(refused.status, 403, "{}", refused.text());
    let hashes: Vec<String> = h1s(&refused.text());
    assert_eq!(hashes.len(), 2, "{}", refused.text());
    assert_eq!(hashes[0], pinned.trim());
    assert_ne!(hashes[0], hashes[1]);
    assert!(refused.text().contains("sumgate cache pins forget example.test/repo.git@v1.0.0"), "{}", refused.text());
    assert_eq!(get(&mirror.url, GO_MOD).body, go_mod.body, "that file is the same");
    assert!(!mirror.tree().contains_key(&ZIP[1..]));
    let shown = client(go, &origin, &mirror).set("GONOSUMDB", "*.test").must_fail(&["mod", "download"], "403");
    assert!(hashes.iter().all(|h1| shown.contains(h1)), "{shown}");

    // Another mirror that has only the pins.
    let other = folder.path().join("other");
    std::fs::create_dir_all(other.join("pins").join(&ZIP[1..]).parent().unwrap()).unwrap();
    std::fs::write(other.join("pins").join(&ZIP[1..]), &pinned).unwrap();
    let other = repositories.mirror(&origin, &other, &[]);
    let refused = get(&other.url, ZIP);
    assert_eq!((refused.status, h1s(&refused.text())), (403, hashes));
}

fn pins(_go: &Path) {
    let (origin, repositories) = (origin(World::demo()), Repositories::new());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mirror = repositories.mirror(&origin, &data, &[]);
    let info = "/example.test/repo.git/@v/v1.0.0.info";
    let before = get(&mirror.url, info);
    assert_eq!(before.status, 200, "{}", before.text());
    // As `go` asks: the zip last.
    assert_eq!(get(&mirror.url, GO_MOD).status, 200);
    let first = get(&mirror.url, ZIP).body;
    assert_eq!(get(&mirror.url, "/example.com/hello/@v/v1.0.0.zip").status, 200);

    let pins = |words: &[&str]| {
        let output = sumgate().args(["cache", "pins"]).args(words).arg("--data").arg(&data).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, listed) = pins(&["list"]);
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!((code, lines.len()), (Some(0), 2), "{listed}");
    assert!(lines[0].starts_with("example.test/repo.git v1.0.0/go.mod h1:"), "{listed}");
    assert!(lines[1].starts_with("example.test/repo.git v1.0.0 h1:"), "{listed}");

    repositories.move_tag();
    assert_eq!(pins(&["forget", "example.test/repo.git@v1.9.0"]), (Some(1), String::new()));
    assert_eq!(get(&mirror.url, ZIP).body, first, "another version");
    assert_eq!(pins(&["forget", "example.test/repo.git@v1.0.0"]), (Some(0), listed.clone()));
    assert_eq!(pins(&["list"]), (Some(0), String::new()));
    // The running mirror uses the change at once.
    assert_eq!(get(&mirror.url, GO_MOD).status, 200);
    let second = get(&mirror.url, ZIP);
    assert_eq!(second.status, 200, "{}", second.text());
    assert!(second.body != first, "the old bytes came again");
    assert_ne!(get(&mirror.url, info).text(), before.text(), "it names the commit");
    let (_, anew) = pins(&["list"]);
    assert_eq!(anew.lines().next(), listed.lines().next(), "the go.mod is the same");
    assert_ne!(anew.lines().last(), listed.lines().last());
}

/// All hashes in a text.
fn h1s(text: &str) -> Vec<String> {
    text.split_whitespace().filter(|word| word.starts_with("h1:")).map(str::to_owned).collect()
}

fn trouble(_go: &Path) {
    let (origin, repositories) = (origin(World::demo()), Repositories::new());
    let folder = tempfile::tempdir().unwrap();
    let mirror = repositories.mirror(&origin, &folder.path().join("data"), &[]);
    // No repository, and an unreachable one: it is unknown whether the version exists.
    for path in ["/example.test/none.git/@v/v1.0.0.zip", "/login.test/repo.git/@v/v1.0.0.info"] {
        let answer = get(&mirror.url, path);
        assert_eq!(answer.status, 502, "{}", answer.text());
        assert!(answer.text().contains("direct: "), "{}", answer.text());
        assert!(!answer.text().contains("hunter2") && !answer.text().contains(folder.path().to_str().unwrap()));
    }
    let log = std::fs::read_to_string(mirror.data.with_extension("log")).unwrap();
    assert!(log.contains("none.git") && !log.contains("hunter2"), "{log}");
    assert!(origin.take_requests().iter().all(|path| !path.contains(".test")));
}

fn without_go(_go: &Path) {
    let (origin, repositories) = (origin(World::demo()), Repositories::new());
    let folder = tempfile::tempdir().unwrap();
    let (url, sumdb, data) = (origin.url(), origin.gosumdb(), folder.path().join("data"));
    let mut program = repositories.with_home(sumgate());
    program.env("PATH", folder.path());
    let mirror =
        Mirror::start_by(program, &data, &["--upstream", &url, "--sumdb", &sumdb, "--private", "example.test"]);
    for path in [ZIP, GO_MOD, "/example.test/repo.git/@v/list", "/example.test/repo.git/@latest"] {
        let answer = get(&mirror.url, path);
        assert_eq!(answer.status, 500, "{}", answer.text());
        assert!(answer.text().contains("no `go` command on the PATH of this mirror"), "{}", answer.text());
    }
    let log = std::fs::read_to_string(data.with_extension("log")).unwrap();
    assert!(log.lines().next().unwrap().contains("no `go` command"), "told at the start, too: {log}");
    assert_eq!(get(&mirror.url, "/example.com/hello/@v/v1.0.0.zip").status, 200, "what is public needs none");
}
