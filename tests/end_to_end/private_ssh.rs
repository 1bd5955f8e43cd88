//! Private modules over ssh, from a real sshd on this machine: the mirror and `go` alone fail alike without a host key and without
//! a login, and succeed alike with both.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use testkit::World;

use crate::fixture::{Go, Mirror, get, go_trial, origin, sumgate};
use crate::hosts::{Hosts, Page};
use crate::private::Repositories;

const SSHD: &str = "/usr/sbin/sshd";
/// Where sshd of root separates its privileges; the package of sshd makes it.
const PRIVILEGE_SEPARATION: &str = "/run/sshd";
const MODULE: &str = "code.test/tool@v1.0.0";
const INFO: &str = "/code.test/tool/@v/v1.0.0.info";

pub fn trials() -> Vec<Trial> {
    let can_run = Path::new(SSHD).exists() && Path::new(PRIVILEGE_SEPARATION).exists();
    vec![
        go_trial("private ssh: a host key, a login and a module from a real sshd, as go gets them", real_sshd)
            .with_ignored_flag(!can_run),
    ]
}

/// An sshd whose only user is the one who runs the trial.
struct Server {
    folder: tempfile::TempDir,
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for key in ["host", "user"] {
            run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path(key)));
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let [host, users, pid] = ["host", "authorized", "pid"].map(|name| path(name).display().to_string());
        let settings = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {host}\nAuthorizedKeysFile {users}\nPidFile {pid}\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n"
        );
        std::fs::write(path("sshd"), settings).unwrap();
        let child =
            Command::new(SSHD).args(["-D", "-e", "-f"]).arg(path("sshd")).stderr(Stdio::null()).spawn().unwrap();
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "sshd does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { folder, child, port }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Settings of ssh, which does not take its home from HOME.
    fn client(&self) -> String {
        let [known, key] = ["known", "user"].map(|name| self.path(name).display().to_string());
        let settings = format!(
            "Host code.test\n\tHostName 127.0.0.1\n\tPort {}\n\tHostKeyAlias code.test\n\tUserKnownHostsFile {known}\n\
             \tGlobalKnownHostsFile /dev/null\n\tIdentityFile {key}\n\tIdentitiesOnly yes\n\tIdentityAgent none\n",
            self.port
        );
        std::fs::write(self.path("ssh"), settings).unwrap();
        format!("ssh -F {}", self.path("ssh").display())
    }
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn real_sshd(go: &Path) {
    let (server, repositories, origin) = (Server::start(), Repositories::new(), origin(World::demo()));
    repositories.commit("module code.test/tool\n\ngo 1.21\n", "one");
    repositories.git(&["tag", "-f", "v1.0.0"]);
    let settings = repositories.home().join(".gitconfig");
    let before = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(settings, format!("{before}[core]\n\tsshCommand = {}\n", server.client())).unwrap();
    let hosts = Hosts::start(&["code.test"], server.folder.path());
    let repository = format!("ssh://code.test{}/repo.git", repositories.home().display()).leak();
    hosts.at("code.test/tool", Page::Import("code.test/tool", repository));
    let given = hosts.environment();
    let client = |proxies: &str| {
        let client =
            Go::new(go, proxies, "off").set("GOVCS", "*:git").set("HOME", repositories.home().to_str().unwrap());
        client.write("go.mod", "module example.org/app\n\ngo 1.21\n");
        given.iter().fold(client, |client, (name, value)| client.set(name, value))
    };
    let mut program = repositories.with_home(sumgate());
    program.envs(given.iter().map(|(name, value)| (*name, value)));
    let (url, sumdb) = (origin.url(), origin.gosumdb());
    let words = ["--private", "code.test", "--upstream", &url, "--sumdb", &sumdb];
    let mirror = Mirror::start_by(program, &server.path("data"), &words);
    let refused = |expected: &str| {
        let answer = get(&mirror.url, INFO);
        assert_eq!(answer.status, 502, "{}", answer.text());
        assert!(answer.text().contains(expected), "{}", answer.text());
    };

    client("direct").must_fail(&["mod", "download", MODULE], "Host key verification failed");
    refused("ssh-keyscan code.test");

    let key = std::fs::read_to_string(server.path("host.pub")).unwrap();
    std::fs::write(server.path("known"), format!("code.test {key}")).unwrap();
    client("direct").must_fail(&["mod", "download", MODULE], "Permission denied (publickey)");
    refused("check the login of this mirror for code.test");
    client(&mirror.url).must_fail(&["mod", "download", MODULE], "check the login of this mirror for code.test");

    std::fs::copy(server.path("user.pub"), server.path("authorized")).unwrap();
    client("direct").must(&["mod", "download", MODULE]);
    client(&mirror.url).must(&["mod", "download", MODULE]);
}
