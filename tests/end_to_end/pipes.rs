//! A FIFO in place of a file: nobody may ever write to it, so nothing waits for it without a limit.

use std::process::Stdio;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use testkit::World;

use crate::fixture::{Mirror, Running, fifo, get, origin, sumgate, trial};

/// Twice the longest wait, which is for a cache key.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

pub fn trials() -> Vec<Trial> {
    vec![
        trial("pipes: a FIFO instead of a secret, a setting or an archive is refused", files),
        trial("pipes: a cache key may come through a FIFO, for which the command waits a while", cache_key),
        trial("pipes: a FIFO in the folder of a file:// upstream is trouble of that file alone", in_a_folder),
    ]
}

/// Runs the program in a folder that is also the home.
fn run(folder: &std::path::Path, words: &[&str]) -> (Option<i32>, String) {
    let said = folder.join("said");
    let file = std::fs::File::create(&said).unwrap();
    let mut command = sumgate();
    command.args(words).current_dir(folder).env("HOME", folder).env("GOENV", folder.join("goenv"));
    command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
    let mut child = Running(command.spawn().unwrap());
    let start = Instant::now();
    while child.0.try_wait().unwrap().is_none() && start.elapsed() < ENDS_WITHIN {
        std::thread::sleep(Duration::from_millis(20));
    }
    let code = child.0.try_wait().unwrap().and_then(|status| status.code());
    (code, std::fs::read_to_string(said).unwrap())
}

fn files() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    for name in [".netrc", "pipe"] {
        fifo(&folder.path().join(name));
    }
    let sumdb = origin.gosumdb();
    let upstream = format!("[[upstream]]\nurl = \"{}\"\n", origin.url());
    for login in ["netrc = true", "token-file = \"pipe\"", "user = \"me\"\npassword-file = \"pipe\""] {
        std::fs::write(folder.path().join("config.toml"), format!("{upstream}{login}\n")).unwrap();
        let fetch = ["cache", "fetch", "--data", "data", "--sumdb", &sumdb, "--config", "config.toml"];
        let (code, said) = run(folder.path(), &[&fetch[..], &["example.com/hello@v1.0.0"]].concat());
        let is_refused = code.is_some_and(|code| code != 0) && said.contains("expected a regular file, found a FIFO");
        assert!(is_refused, "{login}: {code:?} {said}");
    }
    let import = ["cache", "import", "--data", "data", "--sumdb", &sumdb, "pipe"];
    let anchor = ["serve", "--check", "--data", "data", "--sumdb", &sumdb, "--anchor", "pipe"];
    for words in [&import[..], &anchor] {
        let (code, said) = run(folder.path(), words);
        let is_refused = code.is_some_and(|code| code != 0) && said.contains("found a FIFO, a device or a folder");
        assert!(is_refused, "{words:?}: {code:?} {said}");
    }
}

fn cache_key() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    fifo(&pipe);
    let words = ["run", "--cache-key", "pipe", "--", "true"];
    let (code, said) = run(folder.path(), &words);
    assert!(code == Some(121) && said.contains("nobody wrote it within 10 seconds"), "{code:?} {said}");
    let writer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        std::fs::write(pipe, "no key\n").unwrap();
    });
    let (code, said) = run(folder.path(), &words);
    assert!(code.is_some_and(|code| code != 0) && said.contains("the cache key: "), "{code:?} {said}");
    writer.join().unwrap();
}

fn in_a_folder() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let versions = folder.path().join("proxy/example.com/hello/@v");
    std::fs::create_dir_all(&versions).unwrap();
    std::fs::write(versions.join("list"), "v1.0.0\n").unwrap();
    fifo(&versions.join("v1.0.0.info"));
    fifo(&versions.join("v1.0.0.zip"));
    let url = format!("file://{}", folder.path().join("proxy").display());
    let data = folder.path().join("data");
    let mirror = Mirror::start_with(&data, &["--upstream", &url, "--sumdb", &origin.gosumdb()]);
    for file in ["info", "zip"] {
        let answer = get(&mirror.url, &format!("/example.com/hello/@v/v1.0.0.{file}"));
        let said = answer.text();
        assert!(answer.status >= 500 && said.contains("expected a regular file, found a FIFO"), "{file}: {said}");
    }
    assert_eq!(get(&mirror.url, "/example.com/hello/@v/list").status, 200);
}
