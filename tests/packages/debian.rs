//! A Debian for trials: a tree of files that debootstrap made, and a machine that boots a copy of it.
//!
//! The tree is kept in `sumgate-ci-root` of the temporary folder, and made again when it is a month old or its packages changed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::tools::{command, dist_trial, ended, is_own, run};

/// What the trials call, by the names of the tools.
const TOOLS: [&str; 5] = ["debootstrap", "systemd-nspawn", "nsenter", "chroot", "dpkg-deb"];
/// A tree with these packages and those that every Debian has.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,rpm";
const SUITE: &str = "bookworm";
/// A file that only the tree has: what it was made of, and when.
const MARK: &str = "/etc/sumgate-trial";
/// Nothing in a trial depends on the newest packages, and they must not become so old that debootstrap no longer makes such a tree.
const FRESH: Duration = Duration::from_secs(30 * 24 * 3600);
/// debootstrap took two minutes with a load of 18 on two cores; in seconds.
const MADE_WITHIN: &str = "900";
/// A boot takes three seconds.
const BOOTED_WITHIN: Duration = Duration::from_secs(120);
/// After its first process was killed. Then `timeout` is told to end nspawn, and kills it after ten seconds.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
/// No trial keeps its machine longer, also if it is killed; in seconds.
const MACHINE_LIMIT: &str = "900";

/// A trial that installs packages into a Debian, which only root can make.
pub fn debian_trial(name: &str, run: fn(&Path)) -> Trial {
    let trial = dist_trial(name, &TOOLS, run);
    let must_run = std::env::var_os("SUMGATE_REQUIRE_PACKAGING").is_some();
    let is_ignored = trial.has_ignored_flag() || !must_run && !geteuid().is_root();
    trial.with_ignored_flag(is_ignored)
}

fn kept() -> PathBuf {
    let folder = std::env::temp_dir().join("sumgate-ci-root");
    std::fs::create_dir_all(&folder).unwrap();
    // Its programs run as root.
    assert!(is_own(&folder), "{} is a link or belongs to another user: remove it, or set TMPDIR", folder.display());
    folder
}

/// Until it is dropped, no other trial makes the tree or runs a machine: all would be in one control group.
fn locked() -> File {
    let lock = File::create(kept().join("lock")).unwrap();
    lock.lock().unwrap();
    lock
}

/// A copy of the tree in a new folder.
pub fn copy() -> (tempfile::TempDir, PathBuf) {
    let _lock = locked();
    let (folder, tree) = (tempfile::tempdir().unwrap(), tree());
    let root = folder.path().join("root");
    run(command("cp").args(["--archive", "--reflink=auto"]).arg(&tree).arg(&root));
    (folder, root)
}

/// A copy of the files of these packages alone.
pub fn reduced_to(packages: &str) -> (tempfile::TempDir, PathBuf) {
    let _lock = locked();
    let (folder, tree) = (tempfile::tempdir().unwrap(), tree());
    let root = folder.path().join("root");
    for name in ["bin", "sbin", "lib", "lib64"] {
        std::fs::create_dir_all(root.join("usr").join(name)).unwrap();
        std::os::unix::fs::symlink(Path::new("usr").join(name), root.join(name)).unwrap();
    }
    let files = in_tree(&tree, &format!("dpkg-query --listfiles {packages}"));
    let list = folder.path().join("files");
    std::fs::write(&list, files).unwrap();
    let mut sh = command("sh");
    sh.args(["-ec", "tar -C $0 -c --no-recursion -T $1 | tar -C $2 -x --keep-directory-symlink"]);
    run(sh.arg(tree).arg(list).arg(&root));
    (folder, root)
}

/// The tree, fresh. The caller has the lock.
fn tree() -> PathBuf {
    let tree = kept().join("tree");
    let mark = tree.join(MARK.trim_start_matches('/'));
    let made = mark.metadata().and_then(|mark| mark.modified()).ok();
    let fresh = made.and_then(|made| made.elapsed().ok()).is_some_and(|age| age < FRESH);
    let wanted = format!("{SUITE} {PACKAGES}");
    if !fresh || std::fs::read_to_string(&mark).unwrap() != wanted {
        let _ = std::fs::remove_file(&mark);
        make(&tree);
        // Removed first and written last: a tree that was cut short is made again.
        std::fs::write(mark, wanted).unwrap();
    }
    tree
}

fn make(tree: &Path) {
    run(command("rm").arg("-rf").arg(tree));
    // Without it, dpkg waits for the disk after each file.
    let configuration = tree.join("etc/dpkg/dpkg.cfg.d");
    std::fs::create_dir_all(&configuration).unwrap();
    std::fs::write(configuration.join("unsafe-io"), "force-unsafe-io\n").unwrap();
    let mut debootstrap = Command::new("timeout");
    // Without the keyring of Debian it would only warn.
    debootstrap.args([MADE_WITHIN, "debootstrap", "--force-check-gpg", "--variant=minbase"]);
    debootstrap.args([&format!("--include={PACKAGES}"), SUITE]);
    ended(debootstrap.arg(tree).stdin(Stdio::null()), 0);
    // Half of what would be copied.
    for folder in ["var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man"] {
        run(command("rm").arg("-rf").arg(tree.join(folder)));
    }
}

/// A program in a tree that is not booted, as in an image.
pub fn in_tree(root: &Path, script: &str) -> String {
    run(command("chroot").arg(root).args(["env", "-i", PATH, "sh", "-ec", &format!("exec 2>&1\n{script}")]))
}

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A booted copy of the tree, with a network of its own. It ends when it is dropped.
pub struct Machine {
    pub root: PathBuf,
    nspawn: Child,
    /// Its first process, once there is one.
    leader: Option<u32>,
    folder: tempfile::TempDir,
    _lock: File,
}

impl Machine {
    pub fn boot((folder, root): (tempfile::TempDir, PathBuf)) -> Self {
        let lock = locked();
        let log = File::create(folder.path().join("boot")).unwrap();
        let mut nspawn = Command::new("timeout");
        nspawn.args(["--kill-after=10", MACHINE_LIMIT, "systemd-nspawn", "--boot", "--register=no", "--keep-unit"]);
        nspawn.args(["--private-network", "--machine=sumgate", "--directory"]).arg(&root);
        nspawn.stdin(Stdio::null()).stderr(log.try_clone().unwrap()).stdout(log);
        let nspawn = nspawn.spawn().unwrap();
        let mut machine = Self { root, nspawn, leader: None, folder, _lock: lock };
        let start = Instant::now();
        while !machine.is_up() {
            let log = std::fs::read(machine.folder.path().join("boot")).unwrap();
            let ended = machine.nspawn.try_wait().unwrap();
            let waits = ended.is_none() && start.elapsed() < BOOTED_WITHIN;
            assert!(waits, "the machine did not boot: {ended:?}\n{}", String::from_utf8_lossy(&log));
            std::thread::sleep(Duration::from_millis(100));
        }
        machine
    }

    fn is_up(&mut self) -> bool {
        // timeout, nspawn, and the first process of the machine.
        self.leader = child_of(self.nspawn.id()).and_then(child_of);
        if self.leader.is_none() {
            return false;
        }
        let state = self.enter("systemctl is-system-running").output().unwrap().stdout;
        // Degraded: some unit of Debian does not start in this machine, such as one that mounts.
        ["running\n", "degraded\n"].contains(&String::from_utf8(state).unwrap().as_str())
    }

    fn enter(&self, script: &str) -> Command {
        let mut command = command("nsenter");
        command.args(["--target", &self.leader.unwrap().to_string(), "--all", "--", "env", "-i", PATH, "HOME=/root"]);
        // A process that has not its own root yet would still see the files of this system.
        let script = format!("exec 2>&1\n[ -e {MARK} ] || exit 97\n{script}");
        command.args(["LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "sh", "-ec", &script]);
        command
    }

    /// Runs a script that must succeed; returns what it printed.
    pub fn run(&self, script: &str) -> String {
        // apt runs dpkg on a terminal.
        run(&mut self.enter(script)).replace('\r', "")
    }

    /// Runs a script that must fail with this code; returns what it printed.
    pub fn fails(&self, code: i32, script: &str) -> String {
        String::from_utf8(ended(&mut self.enter(script), code).stdout).unwrap()
    }

    /// Runs a script until it succeeds; returns what it printed.
    pub fn until(&self, script: &str) -> String {
        const WITHIN: Duration = Duration::from_secs(30);
        let start = Instant::now();
        loop {
            let output = self.enter(script).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            if output.status.success() {
                return text;
            }
            assert!(start.elapsed() < WITHIN, "{script}: {text}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Makes a file the only one in /release.
    pub fn release(&self, file: &Path) {
        let folder = self.root.join("release");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).unwrap();
        std::fs::copy(file, folder.join(file.file_name().unwrap())).unwrap();
    }

    pub fn write(&self, path: &str, text: &str) {
        std::fs::write(self.root.join(path.trim_start_matches('/')), text).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root.join(path.trim_start_matches('/'))).unwrap()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With its first process all others of the machine end, and then nspawn and `timeout`.
        if let Some(leader) = self.leader {
            let _ = kill_process(pid(leader), Signal::KILL);
        }
        let start = Instant::now();
        while self.nspawn.try_wait().is_ok_and(|ended| ended.is_none()) {
            if self.leader.is_none() || start.elapsed() > ENDS_WITHIN {
                let _ = kill_process(pid(self.nspawn.id()), Signal::TERM);
                let _ = self.nspawn.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(id.try_into().unwrap()).unwrap()
}

fn child_of(id: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}
