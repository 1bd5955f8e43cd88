//! The flags of `[serve]` in the configuration file, in each command that reads it, and what `serve --check` leaves on disk.

use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use libtest_mimic::Trial;
use testkit::World;

use crate::airgap::fetch;
use crate::fixture::{Go, Running, fifo, go_trial, origin, root_trial, sumgate, trial, wait};
use crate::gate_ways::gate;
use crate::private::Repositories;

const HELLO: &str = "example.com/hello@v1.0.0";
const PRIVATE: &str = "example.test/repo.git@v1.0.0";

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("settings file: cache fetch and run keep its private names from others", private),
        trial("settings file: env prints the command for its mirror", env),
        trial("settings file: all mistakes are reported at once, with their places", mistakes),
        trial("settings file: paths are relative to it, and only an anchor can be none", paths),
        trial("serve --check: writes nothing into an empty, a new and a used folder", writes_nothing),
        root_trial("serve --check: only the folders of sumgate must be writable", foreign_folders),
        trial("messages: what to write instead", messages),
        trial("hash, verify and --anchor do not wait for a FIFO, and refuse devices", not_regular),
    ]
}

fn private(go: &Path) {
    let (origin, repositories) = (origin(World::demo()), Repositories::new());
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("serve.toml"), folder.path().join("data"));
    let config = format!(
        "[serve]\nprivate = \"*.test\"\nsumdb = {:?}\ndata = \"data\"\n[[upstream]]\nurl = {:?}\n",
        origin.gosumdb(),
        origin.url()
    );
    std::fs::write(&file, config).unwrap();
    let config = file.to_str().unwrap();
    let fetch = |more: &[&str]| {
        let mut program = repositories.with_home(sumgate());
        let words = ["cache", "fetch", "--config", config, HELLO, PRIVATE];
        let output = program.current_dir(folder.path()).args(words).args(more).output().unwrap();
        let asked = origin.take_requests();
        assert!(asked.iter().any(|path| path.contains("example.com/hello")), "{asked:?}: {output:?}");
        (output, asked.into_iter().filter(|path| path.contains(".test")).collect::<Vec<_>>())
    };
    let (output, private) = fetch(&[]);
    assert_eq!((output.status.code(), private), (Some(0), Vec::new()), "{output:?}");
    assert!(data.join("proxy/example.test").is_dir(), "its data folder is that of the file");
    // A flag takes precedence.
    let other = folder.path().join("other");
    let (output, private) = fetch(&["--private", "", "--data", other.to_str().unwrap()]);
    assert_eq!((output.status.code(), private.is_empty(), other.is_dir()), (Some(1), false, true), "{output:?}");

    let home = Go::new(go, &origin.url(), &origin.gosumdb());
    std::fs::write(&file, "[serve]\nprivate = \"github.com/*\"\n").unwrap();
    let (code, output, findings) = gate(&home, &["--config", config, "--", "true"]);
    assert!(code == Some(120) && findings.contains(&"wide-private".to_owned()), "{output}");
    // An invalid file is found after an older report was removed.
    std::fs::write(&file, "[serve]\nhold_for = \"1s\"\n").unwrap();
    home.write("report.json", "{}");
    let (code, output) = home.sumgate(&["run", "--report", "report.json", "--config", config, "--", "true"]);
    assert_eq!((code, home.home().join("report.json").exists()), (Some(121), false), "{output}");
}

fn ask(words: &[&str]) -> (Option<i32>, String) {
    let output = sumgate().args(words).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

fn env() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serve.toml");
    let text = "[serve]\nlisten = \"127.0.0.1:1\"\nbase-path = \"/go\"\nnosumdb = \"a.example\"\n\
                [[private]]\npatterns = \"b.example\"\ndirect = true\n";
    std::fs::write(&file, text).unwrap();
    let url = "http://127.0.0.1:1/go";
    let line = format!("go env -w GOPROXY={url} GOSUMDB=\"sum.golang.org {url}\" GONOSUMDB=\"a.example,b.example\"\n");
    let line = line + "# To go back: go env -u GOPROXY GOSUMDB GONOSUMDB\n";
    assert_eq!(ask(&["env", "--config", file.to_str().unwrap()]), (Some(0), line));
    for address in ["127.0.0.1:0", "0.0.0.0:8080", "[::]:8080"] {
        let (code, said) = ask(&["env", "--listen", address]);
        let why = format!("expected an address that clients can connect to, found {address}: add --url");
        assert_eq!((code, said.contains(&why)), (Some(2), true), "{said}");
        assert_eq!(ask(&["env", "--listen", address, "--url", "https://go.example"]).0, Some(0));
    }
}

fn mistakes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serve.toml");
    let text = "[serve]\nlisten = \"nowhere\"\nprivate = \"corp\"\nnosumdb = \"A.example\"\nsumdb = \"sum.example.org\"\n\
                host = \"a b\"\nbase-path = \"go?\"\nupstream = \"x\"\npolicy = \"absent\"\nanchor = \"missing\"\n\
                hold_for = \"1s\"\n[[private]]\npatterns = \"b.example\"\n[[upstreams]]\n";
    std::fs::write(&file, text).unwrap();
    let name = file.to_str().unwrap();
    let (code, said) = ask(&["serve", "--check", "--config", name]);
    for line in 2..=11 {
        assert!(said.contains(&format!("serve.toml:{line}:")), "line {line}: {said}");
    }
    assert!(said.contains("unknown key `upstreams`"), "{said}");
    assert_eq!(code, Some(2));
    std::fs::write(&file, "[serve]\nprivate = \"corp\"\n[[upstream]]\nurl = \"x\"\n").unwrap();
    for words in [&["serve", "--check"][..], &["cache", "fetch", HELLO], &["env"], &["run"]] {
        let more: &[&str] = if words == ["run"] { &["--", "true"] } else { &[] };
        let (_, said) = ask(&[words, &["--config", name], more].concat());
        assert!(said.contains("serve.toml:2:11: ") && said.contains("serve.toml:4:7: "), "{words:?}: {said}");
    }
    let two = "[[upstream]]\nurl = \"file:///no/such/a\"\n[[upstream]]\nurl = \"file:///no/such/b\"\n";
    std::fs::write(&file, two).unwrap();
    let data = folder.path().join("data");
    let (code, said) = ask(&["serve", "--check", "--config", name, "--data", data.to_str().unwrap()]);
    assert_eq!((code, said.contains("/no/such/a"), said.contains("/no/such/b")), (Some(2), true, true), "{said}");
}

fn paths() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serve.toml");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let words = ["serve", "--check", "--config", file.to_str().unwrap()];
        let output = sumgate().current_dir("/").args(words).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (code, said) = check("[serve]\ndata = \"data\"\npolicy = \"none\"\n");
    assert_eq!((code, said.contains("serve.toml:3:10: "), said.contains("/none")), (Some(2), true, true), "{said}");
    std::fs::write(folder.path().join("none"), "").unwrap();
    assert_eq!(check("[serve]\ndata = \"data\"\npolicy = \"none\"\n").0, Some(0));
    let (code, said) = check("[serve]\ndata = \"none\"\n");
    assert_eq!((code, said.contains("found a file")), (Some(2), true), "{said}");
    assert_eq!(check("[serve]\ndata = \"data\"\nanchor = \"none\"\n").0, Some(0));
}

/// Everything below a folder, with its kind, mode and content.
fn listing(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let mode = path.metadata().unwrap().permissions().mode();
            let content = if path.is_dir() { Vec::new() } else { std::fs::read(&path).unwrap() };
            found.insert(format!("{} {mode:o} {content:?}", path.display()));
            folders.extend(path.is_dir().then_some(path));
        }
    }
    found
}

fn writes_nothing() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("empty")).unwrap();
    // A new folder has all folders, but no head of this database.
    std::fs::create_dir(path("new")).unwrap();
    for name in ["proxy", "sumdb", "pins", "quarantine", "staging", "run"] {
        std::fs::create_dir(path("new").join(name)).unwrap();
    }
    std::fs::write(path("new/sumgate-format"), "1\n").unwrap();
    assert_eq!(fetch(&origin, &path("used"), &[HELLO]).0, Some(0));
    // The heads are missing, as after an update of the program.
    let heads = crate::fixture::files(&path("used")).into_keys().find(|name| name.ends_with("/heads")).unwrap();
    std::fs::remove_file(path("used").join(heads)).unwrap();
    for name in ["empty", "new", "used"] {
        for database in [&origin.gosumdb(), "sum.golang.org"] {
            let (before, data) = (listing(folder.path()), path(name));
            let words = ["serve", "--check", "--data", data.to_str().unwrap(), "--sumdb", database];
            assert_eq!(ask(&words), (Some(0), "the settings are valid\n".to_owned()), "{name}");
            assert_eq!(listing(folder.path()), before, "{name} {database}");
        }
    }
}

/// As another user, who can write to the data folder, but not to `lost+found` in it.
fn foreign_folders() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let program = folder.path().join("sumgate");
    std::fs::copy(env!("CARGO_BIN_EXE_sumgate"), &program).unwrap();
    let make = |name: &str, mode: u32| {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let check = |data: &Path| {
        let words = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        let mut command = std::process::Command::new("setpriv");
        let of_this_machine = sumgate();
        let environment = of_this_machine.get_envs().map(|(name, _)| name);
        for name in environment {
            command.env_remove(name);
        }
        let output = command.args(words).arg(&program).args(["serve", "--check", "--data"]).arg(data).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let valid = (Some(0), "the settings are valid\n".to_owned());
    let data = make("data", 0o777);
    std::fs::write(data.join("sumgate-format"), "1\n").unwrap();
    std::os::unix::fs::chown(data.join("sumgate-format"), Some(65534), Some(65534)).unwrap();
    make("data/lost+found", 0o700);
    assert_eq!(check(&data), valid);
    let pins = make("data/pins", 0o555);
    std::os::unix::fs::chown(&pins, Some(65534), Some(65534)).unwrap();
    let (code, said) = check(&data);
    let why = format!("cannot write to {}: ", pins.display());
    assert_eq!((code, said.contains(&why), said.contains("--data")), (Some(2), true, true), "{said}");
    // A folder without the right to search cannot be written, either.
    let (code, said) = check(&make("unsearchable", 0o772).join("data"));
    assert_eq!((code, said.contains("this user cannot write to")), (Some(2), true), "{said}");
    let closed = make("closed", 0o755);
    let (code, said) = check(&closed.join("x/y"));
    let why = format!(
        "cannot create the data folder {}: this user cannot write to {}; name another folder with --data",
        closed.join("x/y").display(),
        closed.display()
    );
    assert_eq!((code, said.contains(&why)), (Some(2), true), "{said}");
    let file = folder.path().join("sumgate/data");
    let (code, said) = check(&file);
    assert_eq!((code, said.contains("expected a folder, found a file")), (Some(2), true), "{said}");
}

fn messages() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("key"), "").unwrap();
    std::fs::write(path("README.md"), "# A text\n").unwrap();
    std::fs::write(path("sumgate.toml"), "[policy]\nmin-age = \"90m\"\n").unwrap();
    let (key, readme, policy, data) = (path("key"), path("README.md"), path("sumgate.toml"), path("data"));
    for (words, why) in [
        (
            &["serve", "--check", "--trusted-proxy", "10.0.0.1"][..],
            "expected a network in CIDR notation, such as 10.0.0.1/32",
        ),
        (
            &["serve", "--check", "--private", "corp"],
            "\"corp\" cannot be the first element of a module path: it needs a dot",
        ),
        (
            &["cache", "keygen", "a.example", "--out", &key],
            "key exists already: keys are not overwritten; name a new file",
        ),
        (&["cache", "import", "--data", &data, &readme], "README.md is not an export: expected a .tar.zst that"),
        (&["policy", "check", &policy], "expected a duration in whole hours, such as \"36h\", \"7d\" or \"1d 12h\""),
        (
            &["policy", "explain", "foo"],
            "expected MODULE@VERSION with a full version, such as golang.org/x/text@v0.3.0, found \"foo\"",
        ),
    ] {
        let (code, said) = ask(words);
        assert!(code != Some(0) && said.contains(why), "{words:?}: {said}");
    }
    for (words, usage) in [
        (&["why"][..], "sumgate why [OPTIONS] <MODULE@VERSION>"),
        (&["run"], "sumgate run [OPTIONS] -- <COMMAND>..."),
        (&["cache", "import"], "sumgate cache import [OPTIONS] <IN>"),
    ] {
        let output = sumgate().env("SUMGATE_DATA", &data).args(words).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(&format!("Usage: {usage}\n")), "{words:?}: {said}");
    }
}

fn not_regular() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for name in ["fifo", "fifo.mod"] {
        fifo(Path::new(&path(name)));
    }
    symlink("/dev/zero", path("zero.mod")).unwrap();
    std::fs::write(path("large"), "x".repeat(2_000_000)).unwrap();
    for (name, why) in [
        (path("fifo"), "expected a regular file, found a FIFO, a device or a folder"),
        ("/dev/zero".to_owned(), "expected a regular file, found a FIFO, a device or a folder"),
        (path("large"), "expected at most 1000000 bytes, found more"),
        (path("missing"), "No such file"),
    ] {
        let mut program = sumgate();
        program.args(["serve", "--check", "--data", &path("data"), "--anchor", &name]);
        let told = std::fs::File::create(path("told")).unwrap();
        let status = wait(&mut Running(program.stderr(told).spawn().unwrap()).0);
        let told = std::fs::read_to_string(path("told")).unwrap();
        assert_eq!(status.code(), Some(2), "{told}");
        assert!(told.contains("cannot read the anchor") && told.contains(why) && told.contains(&name), "{told}");
    }
    for name in [path("fifo"), path("fifo.mod"), path("zero.mod"), "/dev/zero".to_owned(), "/dev/null".to_owned()] {
        for command in ["hash", "verify"] {
            let (code, said) = ask(&[command, &name]);
            let why = "expected a regular file, found a FIFO, a device or a folder";
            assert_eq!((code, said.contains(why), said.contains(&name)), (Some(2), true, true), "{command}: {said}");
        }
    }
}
