//! SIGHUP: `serve` reads policy, configuration and logins again.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use testkit::{Fault, Origin, World};

use crate::fixture::{Go, Mirror, get, go_trial, origin, sumgate, trial, wait};

const ZIP: &str = "/example.com/hello/@v/v1.0.0.zip";
const DENY: &str = "[[deny]]\nmodule = \"example.com/hello\"\nreason = \"not here\"\n";

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("reload: a policy that denies holds from the next request on, also for go", policy),
        trial("reload: a policy that only warns, and the message says so", warning),
        trial("reload: a change of exempt modules empties the caches", caches),
        trial("reload: a new secret is sent", secret),
        trial("reload: an invalid file leaves the old settings in force, and its line is named", invalid),
        trial("reload: a flag that cannot change is named, and the rest is in force", in_vain),
        trial("reload: a download in progress is finished", in_progress),
        trial("serve: the service manager learns of each state", notified),
    ]
}

/// A folder with the settings of a mirror.
struct Setting(tempfile::TempDir);

impl Setting {
    fn new(origin: &Origin, more: &str) -> Self {
        let setting = Self(tempfile::tempdir().unwrap());
        setting.configure(origin, more);
        setting.write("sumgate.toml", "[policy]\n");
        setting
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    /// Writes the configuration file.
    fn configure(&self, origin: &Origin, more: &str) {
        let text = format!("[serve]\npolicy = \"sumgate.toml\"\nsumdb = \"{}\"\n{more}\n", origin.gosumdb());
        let upstream = if more.contains("[[upstream]]") {
            String::new()
        } else {
            format!("[[upstream]]\nurl = \"{}\"\n", origin.url())
        };
        self.write("serve.toml", &(text + &upstream));
    }

    fn start(&self) -> Mirror {
        let config = self.0.path().join("serve.toml");
        Mirror::start_with(&self.0.path().join("data"), &["--config", config.to_str().unwrap()])
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.0.path().join("data.log")).unwrap()
    }

    /// Has the mirror read its settings again; returns what it logs of that.
    fn reload(&self, mirror: &Mirror) -> String {
        let before = self.log().len();
        kill_process(Pid::from_child(&mirror.process.0), Signal::HUP).unwrap();
        let start = Instant::now();
        while !self.log()[before..].contains("in force") {
            assert!(start.elapsed() < Duration::from_secs(60), "the settings were not read again: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        // The line ends after these words.
        std::thread::sleep(Duration::from_millis(50));
        self.log()[before..].to_owned()
    }
}

/// Sends a request on an open connection; returns the status.
fn on(stream: &mut TcpStream, path: &str) -> u16 {
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let (mut head, mut one) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut one).unwrap();
        head.push(one[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    stream.read_exact(&mut vec![0; length]).unwrap();
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

fn policy(go: &Path) {
    let origin = origin(World::demo());
    let setting = Setting::new(&origin, "");
    let mirror = setting.start();
    let client = || Go::new(go, &mirror.url, &origin.gosumdb());
    client().must(&["mod", "download", "example.com/hello@v1.0.0"]);
    let mut stream = TcpStream::connect(mirror.url.strip_prefix("http://").unwrap()).unwrap();
    // From the second request on the zip is kept in memory.
    assert_eq!([0; 3].map(|_| on(&mut stream, ZIP)), [200; 3]);
    assert!(get(&mirror.url, "/example.com/hello/@v/list").text().contains("v1.0.0"));
    setting.write("sumgate.toml", DENY);
    let said = setting.reload(&mirror);
    assert!(said.contains("sumgate: the settings were read again and are in force\n"), "{said}");
    assert_eq!((on(&mut stream, ZIP), get(&mirror.url, ZIP).status), (403, 403));
    assert!(!get(&mirror.url, "/example.com/hello/@v/list").text().contains("v1.0.0"));
    client().must_fail(&["mod", "download", "example.com/hello@v1.0.0"], "403 Forbidden");
    setting.write("sumgate.toml", "[policy]\n");
    setting.reload(&mirror);
    client().must(&["mod", "download", "example.com/hello@v1.0.0"]);
}

fn caches() {
    let origin = origin(World::demo());
    let setting = Setting::new(&origin, "");
    let mirror = setting.start();
    let lookup = "/lookup/example.com/hello@v1.0.0";
    assert_eq!((get(&mirror.url, lookup).status, get(&mirror.url, lookup).status), (200, 200));
    setting.configure(&origin, "nosumdb = \"example.com/hello\"");
    setting.reload(&mirror);
    let answer = get(&mirror.url, lookup);
    assert_ne!(answer.status, 200, "{}", answer.text());
}

fn secret() {
    let origin = origin(World::demo());
    let upstream = format!("[[upstream]]\nurl = \"{}\"\ntoken-file = \"token\"\n", origin.url());
    let setting = Setting::new(&origin, &upstream);
    setting.write("token", "first");
    let mirror = setting.start();
    let sent = |path: &str| {
        origin.take_logins();
        get(&mirror.url, path);
        let asked = origin.take_logins();
        asked.into_iter().filter(|(asked, _)| asked == path).find_map(|(_, login)| login)
    };
    assert_eq!(sent("/example.com/hello/@v/v1.0.0.info").as_deref(), Some("Bearer first"));
    setting.write("token", "second");
    setting.reload(&mirror);
    assert_eq!(sent("/example.com/hello/@v/v1.1.0.info").as_deref(), Some("Bearer second"));
    std::fs::remove_file(setting.0.path().join("token")).unwrap();
    let said = setting.reload(&mirror);
    assert!(said.contains("the old ones stay in force") && said.contains("serve.toml:"), "{said}");
    assert_eq!(sent("/example.com/dep/v2/@v/v2.0.1.info").as_deref(), Some("Bearer second"));
}

fn invalid() {
    let origin = origin(World::demo());
    let setting = Setting::new(&origin, "");
    setting.write("sumgate.toml", DENY);
    let mirror = setting.start();
    let refused = || assert_eq!(get(&mirror.url, ZIP).status, 403);
    refused();
    setting.write("sumgate.toml", "[policy]\nmin-aeg = \"7d\"\n");
    let said = setting.reload(&mirror);
    assert!(said.contains("sumgate: the settings were read again, and the old ones stay in force:\n"), "{said}");
    assert!(said.contains("sumgate.toml:2:1: "), "{said}");
    refused();
    std::fs::remove_file(setting.0.path().join("sumgate.toml")).unwrap();
    assert!(setting.reload(&mirror).contains("the old ones stay in force"));
    refused();
    setting.write("sumgate.toml", "[policy]\n");
    setting.configure(&origin, "hold_for = \"1s\"");
    let said = setting.reload(&mirror);
    assert!(said.contains("stay in force") && said.contains("serve.toml:4:1: unknown key `hold_for`"), "{said}");
    refused();
    // Correct again: the new policy, which denies nothing.
    setting.configure(&origin, "");
    setting.reload(&mirror);
    assert_eq!(get(&mirror.url, ZIP).status, 200);
}

fn in_vain() {
    let origin = origin(World::demo());
    let setting = Setting::new(&origin, "");
    let mirror = setting.start();
    assert_eq!(get(&mirror.url, ZIP).status, 200);
    setting.write("sumgate.toml", DENY);
    setting.configure(&origin, "base-path = \"/go\"\nshared = true");
    let said = setting.reload(&mirror);
    let expected = "are in force; to change --base-path, --shared, start the mirror again\n";
    assert!(said.contains(expected), "{said}");
    assert_eq!(get(&mirror.url, ZIP).status, 403);
}

fn in_progress() {
    let origin = origin(World::demo());
    let setting = Setting::new(&origin, "");
    let mirror = setting.start();
    origin.misbehave(ZIP, Fault::Hold);
    let url = mirror.url.clone();
    let download = std::thread::spawn(move || get(&url, ZIP).status);
    let start = Instant::now();
    while origin.asked(ZIP) == 0 {
        assert!(start.elapsed() < Duration::from_secs(60), "the zip was not requested");
        std::thread::sleep(Duration::from_millis(10));
    }
    setting.write("sumgate.toml", DENY);
    setting.reload(&mirror);
    assert_eq!(get(&mirror.url, ZIP).status, 403);
    origin.behave();
    assert_eq!(download.join().unwrap(), 200);
    assert_eq!(get(&mirror.url, ZIP).status, 403);
}

fn notified() {
    let origin = origin(World::demo());
    let setting = Setting::new(&origin, "");
    let path = setting.0.path().join("notify");
    let by_path = UnixDatagram::bind(&path).unwrap();
    let name = format!("sumgate-trial-{}", std::process::id());
    let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    for (socket, variable) in [(by_path, path.to_str().unwrap().to_owned()), (by_name, format!("@{name}"))] {
        setting.write("sumgate.toml", "[policy]\n");
        let mut program = sumgate();
        program.env("NOTIFY_SOCKET", variable);
        let config = setting.0.path().join("serve.toml");
        let more = ["--config", config.to_str().unwrap()];
        let mut mirror = Mirror::start_by(program, &setting.0.path().join("data"), &more);
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let next = || {
            let mut state = [0; 1000];
            let length = socket.recv(&mut state).unwrap();
            String::from_utf8(state[..length].to_vec()).unwrap()
        };
        assert_eq!(next(), "READY=1\nSTATUS=listening");
        for (policy, status) in [("[policy]\n", "were read again"), ("[polcy]\n", "the old ones stay in force")] {
            setting.write("sumgate.toml", policy);
            setting.reload(&mirror);
            let state = next();
            let time: u64 = state.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse().unwrap();
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
            let now = u64::try_from(now.tv_sec).unwrap() * 1_000_000;
            assert!(time <= now + 1_000_000 && time + 60_000_000 > now, "{time} {now}");
            let ready = next();
            assert!(ready.starts_with("READY=1\nSTATUS=") && ready.contains(status), "{ready}");
        }
        kill_process(Pid::from_child(&mirror.process.0), Signal::TERM).unwrap();
        assert_eq!(next(), "STOPPING=1");
        assert!(wait(&mut mirror.process.0).success());
    }
}

fn warning() {
    let origin = origin(World::demo());
    let setting = Setting::new(&origin, "");
    setting.write("sumgate.toml", DENY);
    let mirror = setting.start();
    assert_eq!(get(&mirror.url, ZIP).status, 403);
    setting.configure(&origin, "warn = true");
    let said = setting.reload(&mirror);
    assert!(said.contains("are in force; the policy only warns: every rule"), "{said}");
    let answer = get(&mirror.url, ZIP);
    assert!(answer.status == 200 && answer.header("x-sumgate-warning").is_some(), "{}", answer.head);
    let config = setting.0.path().join("serve.toml");
    let data = setting.0.path().join("other");
    let words = ["serve", "--check", "--config", config.to_str().unwrap(), "--data", data.to_str().unwrap()];
    let checked = sumgate().args(words).output().unwrap();
    let checked = String::from_utf8(checked.stdout).unwrap();
    assert_eq!(checked, "the settings are valid; the policy only warns: every rule\n");
}
