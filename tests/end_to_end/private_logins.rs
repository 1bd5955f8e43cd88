//! Private modules from version control: the logins that `go` and git find without the mirror, they find below it, and what is
//! missing is named.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use testkit::{Origin, World};

use crate::fixture::{Go, Mirror, get, go_trial, origin, sumgate, wait};
use crate::hosts::{Hosts, Page};
use crate::private::Repositories;

/// `me:secret-token`.
const LOGIN: &str = "Basic bWU6c2VjcmV0LXRva2Vu";
const ZIP: &str = "/code.test/tool/@v/v1.0.0.zip";

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("private logins: a credential helper reads a variable that the configuration names", helper),
        go_trial("private logins: GOAUTH of go env -w is used", goauth_of_a_file),
        go_trial(
            "private logins: a host with a certificate of its own, with GOINSECURE and with insecure",
            self_signed,
        ),
        go_trial(
            "private logins: ssh does not ask at the terminal of the mirror, and the answer says what it lacks",
            ssh,
        ),
        go_trial("private logins: a module that needs a newer go than the mirror has", newer_go),
    ]
}

/// The module code.test/tool, whose page names a repository that git sees as a folder.
struct Setting {
    folder: tempfile::TempDir,
    repositories: Repositories,
    hosts: Hosts,
    origin: Origin,
}

impl Setting {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hosts = Hosts::start(&["code.test"], folder.path());
        let repositories = Repositories::new();
        repositories.commit("module code.test/tool\n\ngo 1.21\n", "one");
        repositories.git(&["tag", "-f", "v1.0.0"]);
        hosts.at("code.test/tool", Page::Import("code.test/tool", "https://example.test/repo.git"));
        Self { folder, repositories, hosts, origin: origin(World::demo()) }
    }

    /// Adds to the settings of git.
    fn git_settings(&self, text: &str) {
        let file = self.repositories.home().join(".gitconfig");
        let before = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, before + text).unwrap();
    }

    fn program(&self, name: &str, text: &str) -> std::path::PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn client(&self, go: &Path, proxies: &str, more: &[(&'static str, &str)]) -> Go {
        let client = Go::new(go, proxies, "off").set("GOVCS", "*:git");
        client.write("go.mod", "module example.org/app\n\ngo 1.21\n");
        let client = client.set("HOME", self.repositories.home().to_str().unwrap());
        more.iter().fold(client, |client, (name, value)| client.set(name, value))
    }

    /// A mirror with this table of code.test.
    fn mirror(&self, data: &str, program: Command, more: &[(&'static str, &str)], keys: &str) -> Mirror {
        let mut program = self.repositories.with_home(program);
        program.envs(more.iter().copied());
        let config = self.folder.path().join(format!("{data}.toml"));
        std::fs::write(&config, format!("[[private]]\npatterns = \"code.test\"\ndirect = true\n{keys}")).unwrap();
        let (url, sumdb) = (self.origin.url(), self.origin.gosumdb());
        let words = ["--config", config.to_str().unwrap(), "--upstream", &url, "--sumdb", &sumdb];
        Mirror::start_by(program, &self.folder.path().join(data), &words)
    }
}

fn helper(go: &Path) {
    const MODULE: &str = "code.test/git/tool.git";
    let setting = Setting::new();
    setting.repositories.commit(&format!("module {MODULE}\n\ngo 1.21\n"), "one");
    setting.repositories.git(&["tag", "-f", "v1.0.0"]);
    setting.repositories.git(&["clone", "-q", "--bare", ".", "../git/tool.git"]);
    setting.hosts.at("code.test/git/", Page::Git(setting.repositories.home().to_owned()));
    setting.hosts.require(LOGIN);
    let [proxy, (_, roots)] = setting.hosts.environment();
    let helper = setting.program("helper", "echo username=me; echo \"password=$CI_TOKEN\"");
    setting.git_settings(&format!("[http]\n\tsslCAInfo = {roots}\n[credential]\n\thelper = {}\n", helper.display()));
    let more = [(proxy.0, proxy.1.as_str()), ("SSL_CERT_FILE", &roots), ("CI_TOKEN", "secret-token")];
    let words = ["mod", "download", &format!("{MODULE}@v1.0.0")];
    setting.client(go, "direct", &more).must(&words);

    let mirror = setting.mirror("named", sumgate(), &more, "env = [\"CI_TOKEN\"]\n");
    setting.client(go, &mirror.url, &more).must(&words);

    // The message of git is the same as with a wrong token: it is said why.
    let mirror = setting.mirror("unnamed", sumgate(), &more, "");
    let answer = get(&mirror.url, &format!("/{MODULE}/@v/v1.0.0.zip"));
    assert_eq!(answer.status, 502, "{}", answer.text());
    let said = answer.text();
    assert!(said.contains("not passed on") && said.contains("CI_TOKEN") && said.contains("env = ["), "{said}");
    assert!(!said.contains("secret-token"), "{said}");

    // A machine of a CI system has many such variables. Of a line that is too long, go would show nothing.
    let others = (0..9).map(|nth| (&*format!("DEPLOY_TOKEN_OF_ANOTHER_PROJECT_{nth}").leak(), "x"));
    let many: Vec<_> = more.iter().copied().chain(others).collect();
    let mirror = setting.mirror("many", sumgate(), &many, "");
    setting.client(go, &mirror.url, &more).must_fail(&words, "name it in its [[private]]: env = [\"NAME\"]");
}

fn goauth_of_a_file(go: &Path) {
    let setting = Setting::new();
    setting.hosts.require(LOGIN);
    let given = setting.hosts.environment();
    let more = given.each_ref().map(|(name, value)| (*name, value.as_str()));
    let program = setting.program("goauth", &format!("printf 'https://code.test\\n\\nAuthorization: {LOGIN}\\n\\n'"));
    // As written by `go env -w`.
    let settings = setting.repositories.home().join(".config/go");
    std::fs::create_dir_all(&settings).unwrap();
    std::fs::write(settings.join("env"), format!("GOAUTH={}\n", program.display())).unwrap();
    let words = ["mod", "download", "code.test/tool@v1.0.0"];
    let env = settings.join("env");
    let alone = [&more[..], &[("GOENV", env.to_str().unwrap())]].concat();
    setting.client(go, "direct", &alone).must(&words);
    let mirror = setting.mirror("data", sumgate(), &alone, "");
    setting.client(go, &mirror.url, &more).must(&words);
}

fn self_signed(go: &Path) {
    let setting = Setting::new();
    let [proxy, _] = setting.hosts.environment();
    let more = [(proxy.0, proxy.1.as_str())];
    let words = ["mod", "download", "code.test/tool@v1.0.0"];
    let insecure = [more[0], ("GOINSECURE", "code.test")];
    setting.client(go, "direct", &more).must_fail(&words, "certificate");
    setting.client(go, "direct", &insecure).must(&words);
    let mirror = setting.mirror("checked", sumgate(), &insecure, "");
    let answer = get(&mirror.url, ZIP);
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert!(answer.text().contains("insecure = true"), "{}", answer.text());
    let mirror = setting.mirror("unchecked", sumgate(), &insecure, "insecure = true\n");
    setting.client(go, &mirror.url, &insecure).must(&words);
}

/// A client of ssh that asks at the terminal, as that of OpenSSH does for the key of an unknown host.
const SSH: &str = "if ! (: 3<>/dev/tty) 2>/dev/null; then
\tif [ -e \"$(dirname \"$0\")/known\" ]; then echo 'git@code.test: Permission denied (publickey).' >&2
\telse echo 'Host key verification failed.' >&2; fi
\texit 255
fi
exec 3<>/dev/tty
echo 'Are you sure you want to continue connecting (yes/no/[fingerprint])?' >&3
read -r answer <&3
exit 255";

fn ssh(go: &Path) {
    let setting = Setting::new();
    setting.git_settings("[url \"ssh://git@code.test/\"]\n\tinsteadOf = https://code.test/\n");
    setting.hosts.at("code.test/tool", Page::Import("code.test/tool", "https://code.test/repo.git"));
    let programs = setting.program("ssh", SSH);
    let path = format!("{}:{}", programs.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let [proxy, roots] = setting.hosts.environment();
    let more = [(proxy.0, proxy.1.as_str()), (roots.0, &roots.1), ("PATH", &path)];
    let words = ["mod", "download", "code.test/tool@v1.0.0"];
    setting.client(go, "direct", &more).must_fail(&words, "exit status 128");

    // The mirror runs at a terminal, in the background of nothing.
    let script = "exec script -qefc \"exec $(printf \"'%s' \" \"$MIRROR\" \"$@\") 2>>$MIRROR_LOG\" /dev/null";
    let mut program = Command::new(setting.program("at-a-terminal", script));
    program.env("MIRROR", env!("CARGO_BIN_EXE_sumgate")).env("SHELL", "/bin/sh");
    program.env("MIRROR_LOG", setting.folder.path().join("terminal.log"));
    let mut mirror = setting.mirror("data", program, &more, "whole = \"20s\"\n");
    let start = Instant::now();
    let answer = get(&mirror.url, ZIP);
    assert_eq!(answer.status, 502, "{}", answer.text());
    let said = answer.text();
    assert!(said.contains("host key of code.test") && said.contains("ssh-keyscan code.test"), "{said}");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    std::fs::write(programs.with_file_name("known"), "").unwrap();
    let answer = get(&mirror.url, "/code.test/tool/@v/v1.0.0.info");
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert!(answer.text().contains("check the login of this mirror for code.test"), "{}", answer.text());
    // `script` passes this signal on. If it were killed, its terminal would hang up, and a mirror reads its settings again then.
    let id = i32::try_from(mirror.process.0.id()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
    wait(&mut mirror.process.0);
}

fn newer_go(go: &Path) {
    let setting = Setting::new();
    setting.repositories.commit("module code.test/tool\n\ngo 1.99\n", "two");
    setting.repositories.git(&["tag", "v1.1.0"]);
    let given = setting.hosts.environment();
    let more = given.each_ref().map(|(name, value)| (*name, value.as_str()));
    let words = ["mod", "download", "code.test/tool@v1.1.0"];
    setting.client(go, "direct", &more).set("GOTOOLCHAIN", "local").must_fail(&words, "requires go >= 1.99");
    let mirror = setting.mirror("data", sumgate(), &more, "");
    let file = |kind: &str| get(&mirror.url, &format!("/code.test/tool/@v/v1.1.0.{kind}"));
    assert_eq!((file("info").status, file("mod").status), (200, 200), "they need no newer go");
    let zip = file("zip");
    assert_eq!(zip.status, 500, "{}", zip.text());
    let said = zip.text();
    assert!(said.contains("the `go` of this mirror is too old") && said.contains("requires go >= 1.99"), "{said}");
}
