//! Helpers of the trials: the origin, the mirror as a process, the `go` command with its own home.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use testkit::{Origin, World};

use crate::environment::INSTALLED;

/// Longer than any program of a trial takes; one that hangs is killed, and its trial fails.
const TIME_LIMIT: Duration = Duration::from_secs(2 * 60);

/// The build cache of all homes: compiling the standard library for each would take most of the time.
pub const BUILD_CACHE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/go-build");

/// A trial that always runs.
pub fn trial(name: &str, run: fn()) -> Trial {
    Trial::test(name, move || {
        run();
        Ok(())
    })
}

/// A trial that needs the `go` command.
pub fn go_trial(name: &str, run: fn(&Path)) -> Trial {
    needing(name, go(), "SUMGATE_REQUIRE_GO", run)
}

/// A trial that needs a folder of the shared data.
pub fn shared_trial(name: &str, folder: &str, run: fn(&Path)) -> Trial {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(folder);
    needing(name, Some(path).filter(|path| path.is_dir()), "SUMGATE_REQUIRE_SHARED", run)
}

/// A trial that changes the owner of files; ignored if that is not permitted.
pub fn root_trial(name: &str, run: fn()) -> Trial {
    trial(name, run).with_ignored_flag(!rustix::process::geteuid().is_root())
}

/// A trial that mounts a file system for a process; ignored if that is not permitted.
pub fn mount_trial(name: &str, run: fn()) -> Trial {
    trial(name, run).with_ignored_flag(!may_mount())
}

/// Whether a process may have its own mounts.
pub fn may_mount() -> bool {
    static MAY_MOUNT: OnceLock<bool> = OnceLock::new();
    *MAY_MOUNT.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let tried = on_mount(folder.path(), "mount -t tmpfs tmpfs", Path::new("true")).output();
        tried.is_ok_and(|output| output.status.success())
    })
}

/// A program with its own mount: `how` is a shell command to which the path is appended.
pub fn on_mount(place: &Path, how: &str, program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &format!("{how} \"$0\" && exec \"$@\"")]);
    command.arg(place).arg(program);
    command
}

/// A trial that needs something of this machine; ignored where that is missing, unless the variable `required` is set.
pub fn needing(
    name: &str,
    need: Option<PathBuf>,
    required: &'static str,
    run: impl FnOnce(&Path) + Send + 'static,
) -> Trial {
    let must_run = std::env::var_os(required).is_some();
    let ignored = need.is_none() && !must_run;
    let body = move || match need {
        Some(need) => {
            run(&need);
            Ok(())
        }
        None => Err(Failed::from(format!("what this trial needs is absent, and {required} is set"))),
    };
    Trial::test(name, body).with_ignored_flag(ignored)
}

fn go() -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join("go")).find(|go| go.is_file())
}

/// The runtime of the origins.
pub fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Runtime::new().unwrap())
}

/// Starts an origin over `world`.
pub fn origin(world: World) -> Origin {
    runtime().block_on(Origin::start(world)).unwrap()
}

/// A program that is killed, by its id, when the trial ends.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for a program to end by itself.
pub fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(start.elapsed() < TIME_LIMIT, "the program did not end in time");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The mirror, running.
pub struct Mirror {
    pub url: String,
    /// Its data folder.
    pub data: PathBuf,
    /// What it printed at the start.
    pub greeting: String,
    pub process: Running,
}

impl Mirror {
    /// Starts `sumgate serve` over `origin` with its data in `data`.
    pub fn start(origin: &Origin, data: &Path) -> Self {
        Self::start_with(data, &["--upstream", &origin.url(), "--sumdb", &origin.gosumdb()])
    }

    pub fn start_with(data: &Path, more: &[&str]) -> Self {
        Self::start_by(sumgate(), data, more)
    }

    /// Starts a program under test whose environment was changed.
    pub fn start_by(mut process: Command, data: &Path, more: &[&str]) -> Self {
        process.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).args(more);
        let log = std::fs::File::options().create(true).append(true).open(data.with_extension("log")).unwrap();
        let mut process = Running(process.stdout(Stdio::piped()).stderr(log).spawn().unwrap());
        let mut greeting = String::new();
        let mut stdout = BufReader::new(process.0.stdout.take().unwrap());
        while !greeting.contains("go env -w") {
            assert_ne!(stdout.read_line(&mut greeting).unwrap(), 0, "the mirror did not start: {greeting}");
        }
        let url = greeting.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
        Self { url, data: data.to_owned(), greeting, process }
    }

    /// Every file of the GOPROXY tree, with its bytes.
    pub fn tree(&self) -> BTreeMap<String, Vec<u8>> {
        files(&self.data.join("proxy"))
    }

    /// Every file in quarantine.
    pub fn quarantine(&self) -> BTreeMap<String, Vec<u8>> {
        files(&self.data.join("quarantine"))
    }
}

/// Makes a FIFO.
pub fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Every file below a folder, by its path there.
pub fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// The program under test.
pub fn sumgate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sumgate"));
    // Settings of this machine must not apply.
    let names = "ANCHOR BASE_PATH CACHE CONFIG DATA DATABASE_TIMEOUT EVENTS_FILES EVENTS_FILE_SIZE HOST IDLE_FOR LISTEN LOG \
                 LOG_FORMAT MAX_HEAD_AGE NOSUMDB NOTIFY NOTIFY_SECRET OFFLINE POLICY PRIVATE SHARED SHOW_PRIVATE SUMDB UPSTREAM";
    for name in names.split_whitespace() {
        command.env_remove(format!("SUMGATE_{name}"));
    }
    for name in ["GONOPROXY", "GONOSUMDB", "GOPRIVATE"] {
        command.env_remove(name);
    }
    // Those of OpenTelemetry.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"OTEL_")) {
        command.env_remove(name);
    }
    command
}

/// Runs the program to its end.
pub fn run(arguments: &[&str]) -> Output {
    sumgate().args(arguments).output().unwrap()
}

/// The `go` command with its own home, module cache and settings.
pub struct Go {
    program: PathBuf,
    root: tempfile::TempDir,
    settings: Vec<(&'static str, String)>,
}

impl Go {
    pub fn new(go: &Path, goproxy: &str, gosumdb: &str) -> Self {
        let settings = vec![("GOPROXY", goproxy.to_owned()), ("GOSUMDB", gosumdb.to_owned())];
        let root = tempfile::tempdir().unwrap();
        for folder in ["work", "home"] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
        }
        Self { program: go.to_owned(), root, settings }
    }

    pub fn set(mut self, name: &'static str, value: &str) -> Self {
        self.settings.push((name, value.to_owned()));
        self
    }

    /// The command itself.
    pub fn program(&self) -> PathBuf {
        self.program.clone()
    }

    /// Its working folder.
    pub fn home(&self) -> PathBuf {
        self.root.path().join("work")
    }

    /// The folder with its working folder, caches and home.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Its module cache.
    pub fn module_cache(&self) -> PathBuf {
        self.root.path().join("mod")
    }

    /// Writes a file in its home.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.home().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Runs `go` and returns whether it succeeded and everything it printed.
    pub fn run(&self, arguments: &[&str]) -> (bool, String) {
        let (code, output) = self.run_program(&self.program, arguments);
        (code == Some(0), output)
    }

    /// Runs `go` for at most this time; `None` if it does not end by itself.
    pub fn run_for(&self, limit: Duration, arguments: &[&str]) -> Option<bool> {
        let mut command = self.command(&self.program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let (mut child, start) = (Running(command.spawn().unwrap()), Instant::now());
        while start.elapsed() < limit {
            if let Some(status) = child.0.try_wait().unwrap() {
                return Some(status.success());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// Runs the program under test where `go` would run; returns its exit code and everything it printed.
    pub fn sumgate(&self, arguments: &[&str]) -> (Option<i32>, String) {
        self.run_program(Path::new(env!("CARGO_BIN_EXE_sumgate")), arguments)
    }

    fn run_program(&self, program: &Path, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.root.path().join("output");
        let file = std::fs::File::create(&output).unwrap();
        let mut command = self.command(program);
        command.args(arguments).stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let mut child = Running(command.spawn().unwrap());
        let status = wait(&mut child.0);
        (status.code(), std::fs::read_to_string(output).unwrap())
    }

    /// Runs git, which must succeed.
    pub fn git(&self, words: &[&str]) {
        let mut git = self.command(Path::new("git"));
        git.args(["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"]);
        let output = git.env("GIT_CONFIG_NOSYSTEM", "1").args(words).output().unwrap();
        assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A program in this home, with these settings and no others.
    pub fn command(&self, program: &Path) -> Command {
        let root = self.root.path();
        let mut command = Command::new(program);
        command.current_dir(self.home()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", root.join("home")).env("GOPATH", root.join("path")).env("GOMODCACHE", self.module_cache());
        command.env("GOENV", "off").env("GOFLAGS", "-modcacherw -mod=mod").env("GOTOOLCHAIN", "local");
        command.env("GOCACHE", BUILD_CACHE).env("GOTELEMETRY", "off").env("GOVCS", "*:off");
        command.env(INSTALLED.0, INSTALLED.1);
        command.envs(self.settings.iter().map(|(name, value)| (OsStr::new(name), OsStr::new(value))));
        command
    }

    /// Runs `go`, which must succeed.
    pub fn must(&self, arguments: &[&str]) -> String {
        let (fine, output) = self.run(arguments);
        assert!(fine, "go {arguments:?} failed:\n{output}");
        output
    }

    /// Runs `go`, which must fail and say `why`.
    pub fn must_fail(&self, arguments: &[&str], why: &str) -> String {
        let (fine, output) = self.run(arguments);
        assert!(!fine, "go {arguments:?} succeeded:\n{output}");
        assert!(output.contains(why), "go {arguments:?} does not say {why:?}:\n{output}");
        output
    }
}

/// An HTTP answer.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v)
    }
}

/// Sends one request, with the path exactly as written; a server that is gone is an error.
pub fn try_request(url: &str, method: &str, path: &str, headers: &str) -> std::io::Result<Answer> {
    let rest = url.strip_prefix("http://").unwrap();
    let (address, base) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(TIME_LIMIT))?;
    write!(stream, "{method} {base}{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let cut_off = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let split = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(cut_off)?;
    let head = String::from_utf8(bytes[..split].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Ok(Answer { status, head, body: bytes[split + 4..].to_vec() })
}

pub fn request(url: &str, method: &str, path: &str, headers: &str) -> Answer {
    try_request(url, method, path, headers).unwrap()
}

pub fn get(url: &str, path: &str) -> Answer {
    request(url, "GET", path, "")
}
