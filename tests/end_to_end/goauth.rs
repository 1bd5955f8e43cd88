//! GOAUTH: the mirror logs in to its upstreams as `go` does.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;
use testkit::{Fault, Origin, World};

use crate::credentials::{Setting, TOKEN, logins};
use crate::fixture::{Go, get, go_trial, origin, trial};
use crate::hosts::{Hosts, Page};

const ZIP: &str = "/example.com/hello/@v/v1.0.0.zip";
const INFO: &str = "/example.com/hello/@v/v1.0.0.info";
const LIST: &str = "/example.com/hello/@v/list";

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("goauth: one set-up serves go and the mirror", one_set_up),
        go_trial("goauth: the login of .netrc for another port is neither for go nor for the mirror", of_netrc),
        trial("goauth: a refused token is renewed, at most once a minute, and not shown", renewed),
        trial("goauth: git gives the login of a url", git),
        go_trial("goauth: git hears whether its login was accepted or refused", told),
        trial("goauth: of several commands the first counts, and of several prefixes the longest", order),
        trial("goauth: a command that fails or never ends delays a request, and fails none", failing),
        trial("goauth: an invalid GOAUTH is an error at the start", invalid),
    ]
}

/// A program in the folder of a setting.
fn script(setting: &Setting, name: &str, text: &str) -> String {
    let path = setting.write(name, &format!("#!/bin/sh\n{text}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A shell command that prints one set.
fn prints(url: &str, header: &str) -> String {
    format!("printf '%s\\n\\n%s\\n\\n' '{url}' '{header}'")
}

/// The URL that a command of GOAUTH names: it begins with `https://`, also for a server on this machine.
fn named(origin: &Origin) -> String {
    origin.url().replace("http://", "https://")
}

/// A proxy over TLS that requires a token of a program.
fn one_set_up(go: &Path) {
    let database = origin(World::demo());
    let setting =
        Setting::new("[[private]]\npatterns = \"example.com/hello\"\nurl = \"https://proxy.test\"\ngoauth = true\n");
    let hosts = Hosts::start(&["proxy.test"], setting.folder.path());
    for path in [LIST, INFO, ZIP, "/example.com/hello/@v/v1.0.0.mod"] {
        hosts.at(&format!("proxy.test{path}"), Page::File(get(&database.url(), path).body));
    }
    hosts.require(&format!("Bearer {TOKEN}"));
    let program = script(&setting, "login", &prints("https://proxy.test/", &format!("Authorization: Bearer {TOKEN}")));
    let words = ["mod", "download", "example.com/hello@v1.0.0"];
    let client = |proxy: &str| {
        let [(proxies, address), (roots, file)] = hosts.environment();
        let client = Go::new(go, proxy, "off").set(proxies, &address).set(roots, &file);
        client.set("NO_PROXY", "127.0.0.1")
    };
    let mirror = |goauth: &str| {
        let mut program = setting.program();
        program.envs(hosts.environment()).env("GOAUTH", goauth);
        setting.mirror_by(program, &database)
    };
    for goauth in ["off", "netrc"] {
        client("https://proxy.test").set("GOAUTH", goauth).must_fail(&words, "401");
        let refused = mirror(goauth);
        client(&refused.url).must_fail(&words, "502 Bad Gateway");
    }
    client("https://proxy.test").set("GOAUTH", &program).must(&words);
    let mirror = mirror(&program);
    client(&mirror.url).must(&words);
}

/// A proxy over TLS that requires the login of `.netrc`.
fn of_netrc(go: &Path) {
    let (database, words) = (origin(World::demo()), ["mod", "download", "example.com/hello@v1.0.0"]);
    for (line, serves) in [
        ("machine proxy.test login me password open", true),
        ("machine proxy.test/example.com login me password open", true),
        ("machine proxy.test:8443 login me password open", false),
        ("# machine proxy.test login me password open", false),
        ("machine proxy.test/example.org login me password open\nmachine proxy.test login me password open", true),
    ] {
        let private = "[[private]]\npatterns = \"example.com/hello\"\nurl = \"https://proxy.test\"\ngoauth = true\n";
        let setting = Setting::new(private);
        let hosts = Hosts::start(&["proxy.test"], setting.folder.path());
        for path in [LIST, INFO, ZIP, "/example.com/hello/@v/v1.0.0.mod"] {
            hosts.at(&format!("proxy.test{path}"), Page::File(get(&database.url(), path).body));
        }
        // `me:open` in base 64 (RFC 4648).
        hosts.require("Basic bWU6b3Blbg==");
        let netrc = setting.write(".netrc", &format!("{line}\n"));
        let netrc = netrc.to_str().unwrap();
        let mut program = setting.program();
        program.envs(hosts.environment()).env("NETRC", netrc);
        let mirror = setting.mirror_by(program, &database);
        for url in ["https://proxy.test", &mirror.url] {
            let [(proxies, address), (roots, file)] = hosts.environment();
            let home = Go::new(go, url, "off").set(proxies, &address).set(roots, &file);
            let home = home.set("NO_PROXY", "127.0.0.1").set("NETRC", netrc);
            assert_eq!(home.run(&words).0, serves, "{line}: {url}");
        }
    }
}

fn renewed() {
    let (company, database) = (origin(World::demo()), origin(World::demo()));
    let setting = Setting::new(&format!("[[upstream]]\nurl = \"{}\"\ngoauth = true\n", company.url()));
    let folder = setting.folder.path().display().to_string();
    let (old, new) = (
        prints(&named(&company), "Authorization: Bearer old"),
        prints(&named(&company), &format!("Authorization: Bearer {TOKEN}")),
    );
    let asked = format!("{{ echo \"$1\"; cat; }} >> {folder}/asked");
    let program = script(&setting, "login", &format!("if [ $# = 0 ]; then {old}; else {asked}; {new}; fi"));
    let mut serve = setting.program();
    serve.env("SUMGATE_LOG", "trace").env("GOAUTH", format!("netrc; '{program}'"));
    let mirror = setting.mirror_by(serve, &database);
    company.misbehave(ZIP, Fault::Times(1, Box::new(Fault::Status(401, "expired\n"))));
    let answer = get(&mirror.url, ZIP);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let bearer = |token: &str| (ZIP.to_owned(), Some(format!("Bearer {token}")));
    assert_eq!(logins(&company), [bearer("old"), bearer(TOKEN)]);
    let asked = std::fs::read_to_string(setting.folder.path().join("asked")).unwrap();
    assert!(asked.starts_with(&format!("{}{ZIP}\nHTTP/1.1 401 Unauthorized\n", company.url())), "{asked}");
    assert!(asked.contains("\nContent-Length: 8\n") && asked.ends_with("\n\n"), "{asked}");

    // Soon after that, a refusal is a refusal.
    company.misbehave(LIST, Fault::Status(401, "expired\n"));
    for _ in 0..2 {
        let answer = get(&mirror.url, LIST);
        assert_eq!(answer.status, 502, "{}", answer.text());
        assert!(answer.text().contains("or goauth of its"), "{}", answer.text());
    }
    // A "not found" has a minute of its own, and leads to no other headers here.
    assert_eq!(get(&mirror.url, "/example.com/hello/@v/v9.9.9.info").status, 404);
    assert_eq!(get(&mirror.url, "/example.com/hello/@v/v9.9.8.info").status, 404);
    let asked = std::fs::read_to_string(setting.folder.path().join("asked")).unwrap();
    assert_eq!(asked.matches("HTTP/1.1 401").count(), 1, "{asked}");
    assert_eq!(asked.matches("HTTP/1.1 404").count(), 1, "{asked}");
    let log = std::fs::read_to_string(mirror.data.with_extension("log")).unwrap();
    assert!(log.contains("TRACE") && !log.contains(TOKEN) && !log.contains("Bearer"));
}

fn git() {
    let (company, database) = (origin(World::demo()), origin(World::demo()));
    let repository = tempfile::tempdir().unwrap();
    let run = |words: &[&str]| {
        let mut git = Command::new("git");
        assert!(git.args(words).current_dir(repository.path()).output().unwrap().status.success(), "{words:?}");
    };
    run(&["init"]);
    let host = company.url().replace("http://", "");
    let helper = format!("!f() {{ grep -q 'host={host}' && echo username=me && echo password=open; }}; f");
    run(&["config", "credential.helper", &helper]);
    // The host hides what it has from clients without a login.
    for status in [401, 403, 404] {
        let config = format!(
            "[[private]]\npatterns = \"example.com/hello\"\nurl = \"{}\"\ngoauth = \"git {}\"\n",
            company.url(),
            repository.path().display()
        );
        let setting = Setting::new(&config);
        let mirror = setting.mirror(&database);
        company.misbehave(INFO, Fault::Times(1, Box::new(Fault::Status(status, "who are you?\n"))));
        let answer = get(&mirror.url, INFO);
        assert_eq!(answer.status, 200, "{status}: {}", answer.text());
        let basic = (INFO.to_owned(), Some("Basic bWU6b3Blbg==".to_owned()));
        assert_eq!(logins(&company), [(INFO.to_owned(), None), basic], "{status}");
    }
}

/// What a helper of git hears from `go`, and from the mirror.
fn told(go: &Path) {
    let database = origin(World::demo());
    let text = |goauth: &str| {
        format!("[[private]]\npatterns = \"example.com/hello\"\nurl = \"https://proxy.test\"\ngoauth = \"{goauth}\"\n")
    };
    let setting = Setting::new("");
    let folder = setting.folder.path().display().to_string();
    let hosts = Hosts::start(&["proxy.test"], setting.folder.path());
    for path in [LIST, INFO, ZIP, "/example.com/hello/@v/v1.0.0.mod"] {
        hosts.at(&format!("proxy.test{path}"), Page::File(get(&database.url(), path).body));
    }
    // `go` asks for the url of the login itself.
    hosts.at("proxy.test/", Page::File(Vec::new()));
    hosts.require("Basic bWU6b3Blbg==");
    let helper = format!(
        "{{ echo \"$1\"; sort; }} >> {folder}/heard\nif [ $1 = get ]; then echo username=me; cat {folder}/password; fi"
    );
    let helper = script(&setting, "helper", &helper);
    setting.write(".gitconfig", &format!("[credential]\n\thelper = {helper}\n"));
    setting.write("sources.toml", &text(&format!("git {folder}")));
    let heard = |action: &str| {
        let start = std::time::Instant::now();
        loop {
            let heard = std::fs::read_to_string(setting.folder.path().join("heard")).unwrap_or_default();
            if heard.contains(action) || start.elapsed().as_secs() > 20 {
                std::fs::remove_file(setting.folder.path().join("heard")).unwrap();
                return heard;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    // After a refusal `go` asks here, and takes a while: it does not wait for git when it ends.
    let next = origin(World::demo());
    next.misbehave("*", Fault::Delay(std::time::Duration::from_secs(1), None));
    for (password, action) in [("open", "store"), ("wrong", "erase")] {
        setting.write("password", &format!("password={password}\n"));
        let [(proxies, address), (roots, file)] = hosts.environment();
        let client = Go::new(go, &format!("https://proxy.test|{}", next.url()), "off");
        let client = client.set("GOAUTH", &format!("git {folder}")).set("HOME", &folder).set("NO_PROXY", "127.0.0.1");
        client.set(proxies, &address).set(roots, &file).must(&["mod", "download", "example.com/hello@v1.0.0"]);
        let without = heard(action);
        let expected = format!("{action}\nhost=proxy.test\npassword={password}\nprotocol=https\nusername=me\n");
        // `go` asks git, and tells it, for each refused request; the mirror does once a minute.
        let expected = format!("get\nhost=proxy.test\nprotocol=https\n{expected}");
        assert!(without.starts_with(&expected), "{without}");

        let mut program = setting.program();
        program.envs(hosts.environment());
        let mirror = setting.mirror_by(program, &database);
        let status = if action == "store" { 200 } else { 502 };
        for path in [INFO, LIST] {
            assert_eq!(get(&mirror.url, path).status, status, "{path}");
        }
        assert_eq!(heard(action), expected, "through the mirror");
        let log = std::fs::read_to_string(mirror.data.with_extension("log")).unwrap();
        assert!(!log.contains("git credential"), "{log}");
        let data = mirror.data.clone();
        drop(mirror);
        std::fs::remove_dir_all(data).unwrap();
    }
}

fn order() {
    let (company, database) = (origin(World::demo()), origin(World::demo()));
    let (url, sent) = (named(&company), |path: &str, login: &str| vec![(path.to_owned(), Some(login.to_owned()))]);
    let setting = Setting::new(&format!("[[upstream]]\nurl = \"{}\"\ngoauth = true\n", company.url()));
    let first = script(&setting, "first", &prints(&url, "Authorization: first"));
    let second = script(
        &setting,
        "second",
        &format!(
            "{}; {}",
            prints(&url, "Authorization: second"),
            prints(&format!("{url}/example.com/hello/@v/list"), "Authorization: longest")
        ),
    );
    setting.write(".netrc", &format!("machine {} login me password open\n", company.url().replace("http://", "")));
    for (goauth, login) in
        [(format!("{first}; {second}; netrc"), "first"), (format!("netrc;{second};{first}"), "Basic bWU6b3Blbg==")]
    {
        let mut serve = setting.program();
        serve.env("GOAUTH", goauth);
        let mirror = setting.mirror_by(serve, &database);
        assert_eq!(get(&mirror.url, LIST).status, 200);
        assert_eq!(logins(&company), sent(LIST, "longest"));
        let latest = "/example.com/hello/@latest";
        assert_eq!(get(&mirror.url, latest).status, 200);
        assert_eq!(logins(&company), sent(latest, login));
    }
}

fn failing() {
    let (company, database) = (origin(World::demo()), origin(World::demo()));
    let setting = Setting::new(&format!("[[upstream]]\nurl = \"{}\"\ngoauth = true\n", company.url()));
    let header = format!("Authorization: Bearer {TOKEN}");
    for (text, why) in [
        (format!("echo {TOKEN} >&2; exit 3"), "it ended with exit status: 3"),
        (format!("echo '{TOKEN}'"), "line 1 of its output: expected a URL"),
        (prints(&named(&company), TOKEN), "line 3 of its output: expected a header"),
        (format!("{}; head -c 70000 /dev/zero", prints(&named(&company), &header)), "found more"),
        (format!("{}; sleep 60", prints(&named(&company), &header)), "it did not end within 10 seconds"),
    ] {
        let program = script(&setting, "login", &text);
        let mut serve = setting.program();
        serve.env("GOAUTH", &program);
        let data = tempfile::tempdir().unwrap();
        let words = ["--sumdb", &database.gosumdb()];
        let mirror = crate::fixture::Mirror::start_by(serve, &data.path().join("data"), &words);
        let answer = get(&mirror.url, LIST);
        assert_eq!(answer.status, 200, "{text}: {}", answer.text());
        assert_eq!(logins(&company), [(LIST.to_owned(), None)], "{text}");
        let log = std::fs::read_to_string(mirror.data.with_extension("log")).unwrap();
        assert!(log.contains("command 1 of GOAUTH gave no login") && log.contains(why), "{log}");
        assert!(!log.contains(TOKEN), "{log}");
    }
}

fn invalid() {
    let told = |goauth: &str| {
        Setting::new(&format!("[[upstream]]\nurl = \"https://a.example\"\ngoauth = {goauth}\n")).complaint()
    };
    for (goauth, why) in [
        ("1", "expected true, for the value of `go env GOAUTH`, or a text"),
        ("\"\"", "command 1 of GOAUTH is empty"),
        ("\"netrc;;off\"", "GOAUTH=off cannot be combined"),
        ("\"netrc; \"", "command 2 of GOAUTH is empty"),
        ("\"git\"", "command 1 of GOAUTH: expected `git DIR` with one absolute folder"),
        ("\"git folder\"", "expected `git DIR`"),
        ("\"git /nowhere/at/all\"", "expected a folder, found none at /nowhere/at/all"),
        ("\"netrc; no-such-program -x\"", "command 2 of GOAUTH: expected an absolute path, or a name on the PATH"),
        ("\"./login\"", "found \"./login\""),
        ("\"'/bin/sh x\"", "command 1 of GOAUTH has an opening quote without"),
    ] {
        let complaint = told(goauth);
        assert!(complaint.contains("sources.toml:3:10: ") && complaint.contains(why), "{goauth}: {complaint}");
    }
    let plain = "[[upstream]]\nurl = \"http://a.example\"\ngoauth = true\n";
    assert!(Setting::new(plain).complaint().contains("sources.toml:3:10: a login is not sent over plain http"));
    let twice = "[[upstream]]\nurl = \"https://a.example\"\nnetrc = true\ngoauth = true\n";
    assert!(Setting::new(twice).complaint().contains("sources.toml:3:9: expected one login"));
}
