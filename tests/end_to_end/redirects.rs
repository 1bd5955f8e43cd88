//! Redirects that are followed, and which texts of other servers reach a client.

use std::fs;

use libtest_mimic::Trial;
use testkit::{Fault, Origin, World};

use crate::fixture::{Mirror, get, origin, sumgate, trial};

const INFO: &str = "/example.com/hello/@v/v1.0.0.info";
const LIST: &str = "/example.com/hello/@v/list";
const ZIP: &str = "/example.com/hello/@v/v1.0.0.zip";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("redirect: through a proxy, a public host does not redirect to an internal address", proxied),
        trial("redirect: error texts of another server do not reach the client", no_word),
        trial("answer: the path of the data folder is not shown", no_path),
        trial("answer: no control characters reach a terminal", no_commands),
    ]
}

/// A mirror whose upstream has a public name; the HTTP proxy, also an origin, answers for it.
fn behind_proxy(proxy: &Origin, more: &str) -> (tempfile::TempDir, Mirror) {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("sources.toml");
    fs::write(&settings, format!("[[upstream]]\nurl = \"http://mirror.example\"\n{more}")).unwrap();
    let mut program = sumgate();
    program.env("HTTP_PROXY", proxy.url()).env("http_proxy", proxy.url()).env("NO_PROXY", "").env("no_proxy", "");
    let (settings, sumdb) = (settings.display().to_string(), proxy.gosumdb());
    let mirror = Mirror::start_by(program, &folder.path().join("data"), &["--config", &settings, "--sumdb", &sumdb]);
    (folder, mirror)
}

fn proxied() {
    let proxy = origin(World::demo());
    let port = proxy.url().rsplit(':').next().unwrap().to_owned();
    let (_folder, mirror) = behind_proxy(&proxy, "");
    for host in [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("a.localhost:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        "169.254.169.254".to_owned(),
        "10.0.0.1".to_owned(),
    ] {
        proxy.misbehave(LIST, Fault::Redirect(format!("http://{host}{INFO}")));
        let answer = get(&mirror.url, LIST);
        assert_eq!(answer.status, 502, "{host}: {}", answer.text());
        assert!(answer.text().contains("redirects-inside = true"), "{host}: {}", answer.text());
        assert_eq!(proxy.asked(INFO), 0, "{host}");
    }
    // The proxy looks this name up, and may refuse it.
    proxy.misbehave(LIST, Fault::Redirect("http://storage.example/list".to_owned()));
    proxy.misbehave("/list", Fault::Body("v1.0.0\n".into()));
    assert_eq!(get(&mirror.url, LIST).text(), "v1.0.0\n");

    let (_folder, mirror) = behind_proxy(&proxy, "redirects-inside = true\n");
    proxy.misbehave(LIST, Fault::Redirect(format!("http://127.0.0.1:{port}/list")));
    assert_eq!(get(&mirror.url, LIST).text(), "v1.0.0\n", "it is allowed");
}

fn no_word() {
    let (public, neighbour) = (origin(World::demo()), origin(World::demo()));
    let folder = tempfile::tempdir().unwrap();
    let (url, sumdb) = (public.url(), public.gosumdb());
    let mirror = Mirror::start_with(&folder.path().join("data"), &["--upstream", &url, "--sumdb", &sumdb]);
    for path in [LIST, INFO, ZIP] {
        for fault in [
            Fault::Status(403, "the secret of the neighbour"),
            Fault::Status(404, "the secret of the neighbour"),
            Fault::Status(500, "the secret of the neighbour"),
            Fault::Body("the secret of the neighbour".into()),
            Fault::Body("{\"Version\": \"secret\"}".into()),
        ] {
            let fault_here = Fault::Redirect(format!("{}{path}", neighbour.url()));
            public.misbehave(path, fault_here);
            neighbour.misbehave(path, fault.clone());
            let answer = get(&mirror.url, path);
            assert_ne!(answer.status, 200, "{path}: {fault:?}");
            let told = answer.text();
            assert!(!told.contains("secret") && !told.contains(&neighbour.url()), "{path}: {fault:?}: {told}");
        }
        public.misbehave(path, Fault::Status(403, "ask the owner"));
        let answer = get(&mirror.url, path);
        // A 404 is cached for a while.
        assert!(answer.text().contains("ask the owner") || answer.text().contains("not found"), "{}", answer.text());
    }
    assert!(neighbour.asked(LIST) > 0 && neighbour.asked(INFO) > 0 && neighbour.asked(ZIP) > 0);
}

fn no_path() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mirror = Mirror::start(&origin, &data);
    // A file instead of a folder.
    fs::create_dir_all(data.join("proxy")).unwrap();
    fs::write(data.join("proxy/example.com"), "a file").unwrap();
    let root = fs::canonicalize(&data).unwrap().display().to_string();
    for path in [ZIP, "/example.com/hello/@v/v1.0.0.mod"] {
        let answer = get(&mirror.url, path);
        assert_eq!(answer.status, 500, "{}", answer.text());
        let told = answer.text();
        assert!(told.contains("proxy/example.com") && !told.contains(&root), "{told}");
    }
    let log = fs::read_to_string(data.with_extension("log")).unwrap();
    assert!(log.contains(&format!("{root}/proxy/example.com")), "the log has the place: {log}");
}

fn no_commands() {
    const WORDS: &str = "\u{1b}[2Jred\u{202e}der\u{2066}\u{9b}31m\u{7f} words\nof a stranger";
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    let is_plain = |text: &str| text.chars().all(|c| c == '\n' || !(c.is_control() || "\u{202e}\u{2066}".contains(c)));
    let list = format!("v1.0.0 {}\n", WORDS.replace('\n', " "));
    let info = |url: &str| format!("{{\"Version\": \"v1.0.0\", \"Origin\": {{\"URL\": \"{url}\"}}}}");
    for (path, fault, status) in [
        (LIST, Fault::Status(403, WORDS), 403),
        // Lines without a version are left out, as by `go`.
        (LIST, Fault::Body(format!("{WORDS}\n").into()), 200),
        (LIST, Fault::Body(list.into()), 200),
        (INFO, Fault::Body(info("a\u{7f}b").into()), 502),
        (INFO, Fault::Body(info("a\u{202e}b\u{2066}").into()), 200),
        (ZIP, Fault::Status(403, WORDS), 403),
    ] {
        origin.misbehave(path, fault);
        let answer = get(&mirror.url, path);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(is_plain(&answer.text()), "{path}: {:?}", answer.text());
    }
    let answer = get(&mirror.url, "/example.com/%1b%5b2J%E2%80%AE/@v/list");
    assert!(answer.status >= 400 && is_plain(&answer.text()), "{:?}", answer.text());
}
