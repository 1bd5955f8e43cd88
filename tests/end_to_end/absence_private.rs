//! Private proxies: a "not found" means nothing before the login was accepted.

use std::path::Path;

use libtest_mimic::Trial;
use testkit::{Fault, World};

use crate::credentials::Setting;
use crate::fixture::{Go, get, go_trial, origin, trial};

const INFO: &str = "/example.com/hello/@v/v1.0.0.info";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("credentials: a private proxy that served nothing yet may hide what it has", hidden),
        go_trial("absence, private: an unknown version is no failure, even in the first request", unknown_version),
    ]
}

/// `go` asks for all prefixes of a path at the same time, and a prefix alone shows no login.
fn unknown_version(go: &Path) {
    let (company, public) = (origin(World::demo()), origin(World::demo()));
    company.world().add_simple("corp.example/team/tool@v1.0.0", "", "package tool\n");
    let setting = Setting::new(&format!(
        "[[private]]\npatterns = \"corp.example\"\nurl = \"{}\"\ntoken-file = \"token\"\n",
        company.url()
    ));
    let client = |proxy: &str| {
        let client = Go::new(go, proxy, "off");
        client.write("go.mod", "module example.org/app\n\ngo 1.21\n");
        client
    };
    for query in ["v1.9.0", "nothing"] {
        let words = ["get", &format!("corp.example/team/tool@{query}")];
        let without = client(&company.url()).must_fail(&words, "404 Not Found");
        for _ in 0..3 {
            let mirror = setting.mirror(&public);
            let through = client(&mirror.url).must_fail(&words, "404 Not Found");
            assert!(!through.contains("502"), "{through}\nwithout the mirror: {without}");
        }
    }
}

/// GitLab and others answer 404 to clients without access to a project.
fn hidden() {
    let (company, public) = (origin(World::demo()), origin(World::demo()));
    let nested = "127.0.0.1/team/sub@v1.0.0";
    company.world().add_simple(nested, "", "package sub\n");
    company.world().add_simple("127.0.0.1/team@v1.0.0", "", "package team\n");
    let setting = Setting::new(&format!(
        "[[private]]\npatterns = \"127.0.0.1/team,example.com/hello\"\nurl = \"{}\"\ntoken-file = \"token\"\n",
        company.url()
    ));
    let nobodys =
        ["/example.com/hello/@v/v1.9.9.info", "/example.com/hello/@v/v1.9.9.zip", "/example.com/hello/x/@v/list"];
    let statuses = |paths: &[&str], status: u16| {
        let mirror = setting.mirror(&public);
        for path in paths {
            let answer = get(&mirror.url, path);
            assert_eq!(answer.status, status, "{path}: {}", answer.text());
            assert!(status == 404 || answer.text().contains("login"), "{}", answer.text());
        }
        mirror
    };
    company.misbehave("*", Fault::Status(404, "not found"));
    statuses(&nobodys, 502);
    // An HTML page does not count as served.
    company.misbehave("/example.com/hello/@v/list", Fault::Body("<html>Sign in</html>".into()));
    statuses(&nobodys, 502);
    // Nor does a list without versions that everybody gets, or another text.
    for text in ["", "\n", "please log in\n"] {
        company.misbehave("/example.com/hello/@v/list", Fault::Body(text.into()));
        let mirror = statuses(&nobodys, 502);
        get(&mirror.url, "/example.com/hello/@v/list");
        assert_eq!(get(&mirror.url, nobodys[0]).status, 502, "after the list {text:?}");
    }
    // One that only a login gets does.
    let empty = Fault::NeedsLogin(Some(Box::new(Fault::Body("".into()))));
    company.misbehave("/example.com/hello/@v/list", empty);
    let mirror = statuses(&nobodys, 404);
    assert!(company.take_logins().iter().any(|(path, login)| path.ends_with("/hello/@v/list") && login.is_none()));
    drop(mirror);
    company.behave();
    // An answer for a shorter path shows that the credentials are accepted.
    statuses(&nobodys[2..], 404);
    statuses(&["/127.0.0.1/team/other/@v/list"], 404);
    statuses(&nobodys[..2], 404);
    company.misbehave("/example.com/hello/@v/list", Fault::Status(404, "not found"));
    let mirror = statuses(&nobodys[..2], 502);
    assert_eq!(get(&mirror.url, INFO).status, 200);
    assert_eq!(get(&mirror.url, nobodys[0]).status, 404);
    // Without credentials nothing has to be accepted.
    let open = Setting::new(&format!("[[private]]\npatterns = \"example.com/hello\"\nurl = \"{}\"\n", company.url()));
    assert_eq!(get(&open.mirror(&public).url, nobodys[0]).status, 404);
}
