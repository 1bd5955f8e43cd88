//! Commands that take the place of `go` log in as it does: by GOAUTH, which is `.netrc` by default, and over https only.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use libtest_mimic::Trial;
use testkit::{Origin, World};

use crate::fixture::{Go, go_trial, origin};
use crate::hosts::Hosts;

const HELLO: &str = "example.com/hello@v1.0.0";
const NETRC: &str = "machine proxy.test login me password open\nmachine sum.test login me password open\n";

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("go logins: audit, why, lookup, fetch and run log in to proxies and databases as go does", as_go),
        go_trial("go logins: a refused login names what go has, and a missing program stops nothing", refused),
        go_trial("go logins: nothing is sent over plain http", plain),
    ]
}

/// Two servers of a company, a proxy and a database, which require a login.
struct Company {
    origin: Origin,
    hosts: Hosts,
    _folder: tempfile::TempDir,
}

impl Company {
    fn new(login: &str) -> Self {
        let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
        let hosts = Hosts::start(&["proxy.test", "sum.test"], folder.path());
        hosts.require(login);
        hosts.pass_to(&origin.url());
        Self { origin, hosts, _folder: folder }
    }

    /// The database at its own address.
    fn sumdb(&self) -> String {
        format!("{} https://sum.test", self.origin.key())
    }

    /// A user whose database is at this address, or else behind the proxy.
    fn user(&self, go: &Path, gosumdb: &str, goauth: &str) -> Go {
        let [(proxies, address), (roots, file)] = self.hosts.environment();
        let user = Go::new(go, "https://proxy.test", gosumdb).set(proxies, &address).set(roots, &file);
        let user = user.set("NO_PROXY", "127.0.0.1").set("GOAUTH", goauth);
        let sum = crate::audit::honest(&self.origin).join("\n") + "\n";
        user.write("go.sum", &sum);
        user
    }

    /// The commands, each with a data folder of its own.
    fn commands(&self, user: &Go) -> Vec<Vec<String>> {
        let sumdb = self.sumdb();
        let of = |words: &[&str], more: &[&str]| {
            let data = user.root().join(format!("data-{}-{}", words[0], words[1].replace('/', "")));
            let words = [words, &["--data", data.to_str().unwrap()], more].concat();
            words.into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        vec![
            of(&["audit", "--no-policy"], &["go.sum"]),
            of(&["why", HELLO], &[]),
            of(&["sumdb", "lookup", HELLO, "--sumdb", &sumdb], &[]),
            of(&["cache", "fetch", HELLO, "--upstream", "https://proxy.test", "--sumdb", &sumdb], &[]),
            of(&["run", "--no-policy", "--deny", "error"], &["--", "go", "mod", "download", HELLO]),
        ]
    }
}

fn download(user: &Go) -> (bool, String) {
    user.write("go.sum", "");
    user.run(&["mod", "download", HELLO])
}

fn sumgate(user: &Go, words: &[String]) -> (Option<i32>, String) {
    user.sumgate(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A program that prints this login for both servers.
fn program(user: &Go, login: &str) -> String {
    let path = user.root().join("login");
    let text =
        format!("#!/bin/sh\nprintf 'https://proxy.test/\\nhttps://sum.test/\\n\\nAuthorization: %s\\n\\n' '{login}'\n");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn netrc(user: &Go) {
    std::fs::write(user.root().join("home/.netrc"), NETRC).unwrap();
}

fn as_go(go: &Path) {
    for (goauth, login) in [("netrc", "Basic bWU6b3Blbg=="), ("program", "Bearer b3d-t0ken")] {
        let company = Company::new(login);
        for gosumdb in [company.origin.key(), company.sumdb()] {
            let user = || {
                let user = company.user(go, &gosumdb, goauth);
                match goauth {
                    "netrc" => netrc(&user),
                    _ => return (program(&user, login), user),
                }
                (goauth.to_owned(), user)
            };
            let (goauth, plain) = user();
            let (fine, said) = download(&plain.set("GOAUTH", &goauth));
            assert!(fine, "{gosumdb}: {said}");
            let (goauth, user) = user();
            let user = user.set("GOAUTH", &goauth);
            for words in company.commands(&user) {
                let (code, said) = sumgate(&user, &words);
                assert_eq!(code, Some(0), "{gosumdb}: {words:?}: {said}");
                assert!(!said.contains("b3d-t0ken"), "{said}");
            }
        }
    }
}

fn refused(go: &Path) {
    let company = Company::new("Basic bWU6b3Blbg==");
    let user = || {
        let user = company.user(go, &company.origin.key(), "off");
        netrc(&user);
        user
    };
    let (fine, said) = download(&user());
    assert!(!fine && said.contains("401"), "{said}");
    let user_off = user();
    for words in company.commands(&user_off) {
        let (code, said) = sumgate(&user_off, &words);
        assert_ne!(code, Some(0), "{words:?}: {said}");
        assert!(said.contains("GOAUTH") && !said.contains("[[upstream]]"), "{words:?}: {said}");
    }
    // `go` continues without a program that it does not find.
    let missing = || user().set("GOAUTH", "netrc; no-such-program -x");
    let (fine, said) = download(&missing());
    assert!(fine, "{said}");
    let missing = missing();
    for words in company.commands(&missing) {
        let (code, said) = sumgate(&missing, &words);
        assert_eq!(code, Some(0), "{words:?}: {said}");
    }
}

fn plain(go: &Path) {
    let origin = origin(World::demo());
    let user = || {
        let user = Go::new(go, &origin.url(), &origin.key());
        let line = format!("machine {} login me password open\n", origin.url().replace("http://", ""));
        std::fs::write(user.root().join("home/.netrc"), line).unwrap();
        user.write("go.sum", &(crate::audit::honest(&origin).join("\n") + "\n"));
        user
    };
    let (fine, said) = download(&user());
    assert!(fine, "{said}");
    let plain = user();
    let data = plain.root().join("data");
    let (code, said) = plain.sumgate(&["audit", "--no-policy", "--data", data.to_str().unwrap(), "go.sum"]);
    assert_eq!(code, Some(0), "{said}");
    let logins = origin.take_logins();
    assert!(!logins.is_empty() && logins.iter().all(|(_, login)| login.is_none()), "{logins:?}");
}
