//! Private modules: answers of a host without credentials make nothing absent.

use std::path::Path;

use libtest_mimic::Trial;
use testkit::{Origin, World};

use crate::fixture::{Go, Mirror, get, go_trial, origin, sumgate};
use crate::hosts::{Hosts, Page};
use crate::private::Repositories;

const ROOT: &str = "code.test/team/tool";
/// Paths below the module, as `go get code.test/team/tool/sub/pkg` asks for them.
const BELOW: [&str; 4] = [
    "/code.test/team/tool/sub/pkg/@v/list",
    "/code.test/team/tool/sub/pkg/@latest",
    "/code.test/team/tool/sub/@v/v1.0.0.info",
    "/code.test/team/tool/sub/@v/main.info",
];

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("absence, direct: a missing path below a readable repository is absent", below_a_repository),
        go_trial("absence, direct: a host with a 404 or a sign-in page may hide a module", hidden),
        go_trial("absence, direct: shorter paths are requested only if the pattern covers them", within_the_pattern),
        go_trial("absence, direct: an unknown version of a private module is an unknown revision", unknown_version),
        go_trial("absence, direct: a prefix that fails does not keep go from the module", failing_prefixes),
        go_trial("absence, direct: go does not name a private module to the next proxy", go_stays),
    ]
}

struct Setting {
    folder: tempfile::TempDir,
    repositories: Repositories,
    hosts: Hosts,
    origin: Origin,
}

impl Setting {
    /// A host with a page for the root of a module and for nothing else.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hosts = Hosts::start(&["code.test"], folder.path());
        let repositories = Repositories::new();
        repositories.commit("module code.test/team/tool\n\ngo 1.21\n", "one");
        repositories.write("sub/pkg/a.go", "package pkg\n");
        repositories.git(&["tag", "-f", "v1.0.0"]);
        hosts.at(ROOT, Page::Import(ROOT, "https://example.test/repo.git"));
        Self { folder, repositories, hosts, origin: origin(World::demo()) }
    }

    fn mirror(&self, data: &str, patterns: &str) -> Mirror {
        let (url, sumdb) = (self.origin.url(), self.origin.gosumdb());
        let mut program = self.repositories.with_home(sumgate());
        program.envs(self.hosts.environment());
        let words = ["--upstream", &url, "--sumdb", &sumdb, "--private", patterns, "--absent-for", "0s"];
        Mirror::start_by(program, &self.folder.path().join(data), &words)
    }
}

fn below_a_repository(_go: &Path) {
    let setting = Setting::new();
    let mirror = setting.mirror("data", "code.test");
    for path in BELOW {
        let answer = get(&mirror.url, path);
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
    }
    for path in ["@v/list", "@latest", "@v/v1.0.0.zip"] {
        let answer = get(&mirror.url, &format!("/{ROOT}/{path}"));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    // A revision that the repository does not have.
    let answer = get(&mirror.url, &format!("/{ROOT}/@v/v1.9.0.info"));
    assert_eq!(answer.status, 404, "{}", answer.text());
}

fn hidden(_go: &Path) {
    for page in [Page::Status(404), Page::Status(410), Page::SignIn] {
        let setting = Setting::new();
        setting.hosts.at(ROOT, page.clone());
        setting.hosts.otherwise(page);
        let mirror = setting.mirror("data", "code.test");
        for path in BELOW.into_iter().chain(["/code.test/team/tool/@v/v1.0.0.zip", "/code.test/team/tool/@v/list"]) {
            let answer = get(&mirror.url, path);
            assert_eq!(answer.status, 502, "{path}: {}", answer.text());
            assert!(answer.text().contains("check the login of this mirror for code.test"), "{}", answer.text());
        }
    }
    // The stored zip has the folder, but the path may have become a module since.
    let setting = Setting::new();
    let mirror = setting.mirror("data", "code.test");
    for file in ["mod", "zip"] {
        assert_eq!(get(&mirror.url, &format!("/{ROOT}/@v/v1.0.0.{file}")).status, 200);
    }
    drop(mirror);
    setting.hosts.at(ROOT, Page::SignIn);
    setting.hosts.otherwise(Page::SignIn);
    let mirror = setting.mirror("data", "code.test");
    for path in &BELOW[..3] {
        let answer = get(&mirror.url, path);
        assert_eq!(answer.status, 502, "{path}: {}", answer.text());
    }
    // The same for a page that names an unreadable repository.
    let setting = Setting::new();
    setting.hosts.at(ROOT, Page::Import(ROOT, "https://example.test/none.git"));
    let mirror = setting.mirror("data", "code.test");
    for path in BELOW {
        let answer = get(&mirror.url, path);
        assert_eq!(answer.status, 502, "{path}: {}", answer.text());
    }
}

fn within_the_pattern(_go: &Path) {
    let setting = Setting::new();
    let mirror = setting.mirror("data", "code.test/team/tool/sub");
    let answer = get(&mirror.url, BELOW[0]);
    assert_eq!(answer.status, 502, "{}", answer.text());
    let asked = setting.hosts.take_asked();
    assert!(!asked.is_empty() && asked.iter().all(|path| path.starts_with("code.test/team/tool/sub")), "{asked:?}");
}

fn go_stays(go: &Path) {
    let setting = Setting::new();
    let next = origin(World::demo());
    let named = || next.take_requests().into_iter().filter(|path| path.contains("code.test")).collect::<Vec<_>>();
    let client = |mirror: &Mirror| {
        let proxies = format!("{},{}", mirror.url, next.url());
        let client = Go::new(go, &proxies, &format!("{} {}", setting.origin.key(), mirror.url));
        client.write("go.mod", "module example.org/app\n\ngo 1.21\n");
        client.set("GONOSUMDB", "code.test")
    };
    let mirror = setting.mirror("data", "code.test");
    client(&mirror).must(&["get", "code.test/team/tool/sub/pkg"]);
    named();

    // The credentials expire.
    setting.hosts.at(ROOT, Page::SignIn);
    setting.hosts.otherwise(Page::SignIn);
    let mirror = setting.mirror("other", "code.test");
    let home = client(&mirror);
    let said = home.must_fail(&["get", "code.test/team/tool/sub/pkg"], "502 Bad Gateway");
    assert!(said.contains("check the login"), "{said}");
    home.must_fail(&["get", "code.test/team/tool@v1.0.0"], "502 Bad Gateway");
    assert_eq!(named(), Vec::<String>::new());
}

/// One prefix of a path is a repository; the others fail in every way. `go` does the same without the mirror and with it.
fn failing_prefixes(go: &Path) {
    let setting = Setting::new();
    // Git sees a host of its own, which answers 404 for a repository.
    let git = setting.repositories.home().join(".gitconfig");
    let roots = setting.hosts.environment()[1].1.clone();
    let settings = std::fs::read_to_string(&git).unwrap() + &format!("[http]\n\tsslCAInfo = {roots}\n");
    std::fs::write(git, settings).unwrap();
    let client = |proxies: &str| {
        let client = Go::new(go, proxies, "off").set("GOVCS", "*:git");
        let home = setting.repositories.home().to_str().unwrap().to_owned();
        let client =
            setting.hosts.environment().into_iter().fold(client, |client, (name, value)| client.set(name, &value));
        client.write("go.mod", "module example.org/app\n\ngo 1.21\n");
        client.set("HOME", &home)
    };
    let below = "code.test/team/tool/sub";
    for (nth, page) in [
        Page::Status(400),
        Page::Status(403),
        Page::Status(500),
        Page::Status(503),
        Page::SignIn,
        Page::Import(below, "https://code.test/none.git"),
    ]
    .into_iter()
    .enumerate()
    {
        setting.hosts.at(below, page.clone());
        if !matches!(page, Page::Import(..)) {
            setting.hosts.otherwise(page);
        }
        let mirror = setting.mirror(&format!("data{nth}"), "code.test");
        let words = ["get", "code.test/team/tool/sub/pkg"];
        client("direct").must(&words);
        client(&mirror.url).must(&words);
    }

    // No page names the host, and no server of it is there: the name of the repository shows where it is.
    let mirror = setting.mirror("other", "example.test");
    for version in ["v1.9.0", "nothing"] {
        let words = ["get", &format!("example.test/repo.git@{version}")];
        let direct = client("direct").must_fail(&words, &format!("unknown revision {version}"));
        let through = client(&mirror.url).must_fail(&words, &format!("unknown revision {version}"));
        assert!(!through.contains("502"), "{through}\nwithout the mirror: {direct}");
    }
    let alone = get(&mirror.url, "/example.test/other/@v/list");
    assert_eq!(alone.status, 502, "{}", alone.text());
}

/// What `go` says about a version that a private module does not have, without the mirror and with it.
fn unknown_version(go: &Path) {
    let setting = Setting::new();
    let mirror = setting.mirror("data", "code.test");
    let client = |proxies: &str| {
        let client = Go::new(go, proxies, "off").set("GONOSUMDB", "code.test").set("GOVCS", "*:git");
        let home = setting.repositories.home().to_str().unwrap().to_owned();
        let client =
            setting.hosts.environment().into_iter().fold(client, |client, (name, value)| client.set(name, &value));
        client.write("go.mod", "module example.org/app\n\ngo 1.21\n");
        client.set("HOME", &home)
    };
    for (words, why) in [
        (["get", "code.test/team/tool@v1.9.0"], "unknown revision v1.9.0"),
        (["get", "code.test/team/tool@nothing"], "unknown revision nothing"),
        (["get", "code.test/team/tool@0123456789ab"], "unknown revision 0123456789ab"),
        (["get", "code.test/team/tool@v1.8"], "no matching versions for query \"v1.8\""),
        (["get", "code.test/team/tool/sub/pkg@v1.9.0"], "code.test/team/tool/sub/pkg"),
    ] {
        let direct = client("direct").must_fail(&words, why);
        let through = client(&mirror.url).must_fail(&words, why);
        assert!(!through.contains("502"), "{words:?}: {through}\nwithout the mirror: {direct}");
    }
}
