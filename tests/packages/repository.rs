//! A repository with a pull request, a database that knows its modules, and a release to install from.

use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::{Origin, World};

use crate::tools::{VERSION, command, run};

/// A clone of one commit, as a CI job has it.
pub struct PullRequest {
    folder: tempfile::TempDir,
    origin: Origin,
    _runtime: tokio::runtime::Runtime,
    /// The commit before the change.
    pub base: String,
    /// The line of go.sum with a planted hash.
    pub planted: usize,
}

impl PullRequest {
    /// A change that requires a module, with the lines that the database has.
    pub fn honest() -> Self {
        Self::new(false, None)
    }

    /// The same, and the policy loses a rule.
    pub fn policy() -> Self {
        let rule = "[[deny]]\nmodule = \"example.com/hello\"\nversions = \"<v1.1.0\"\nreason = \"old\"\n";
        Self::new(false, Some([rule, "[policy]\n"]))
    }

    /// The same with a wrong hash in the first line.
    pub fn planted() -> Self {
        Self::new(true, None)
    }

    /// A pull request; `policies` are those before and after it.
    fn new(planted: bool, policies: Option<[&str; 2]>) -> Self {
        let world = World::demo();
        let module = world.modules().find(|module| module.to_string() == "example.com/hello@v1.0.0").unwrap().clone();
        let reply = world.lookup(&module, world.size()).unwrap();
        let lines: Vec<&str> = reply.lines().filter(|line| line.starts_with("example.com/hello ")).collect();
        assert_eq!(lines.len(), 2);
        let wrong = format!("example.com/hello v1.0.0 {}", lines[1].rsplit_once(' ').unwrap().1);
        let sum = format!("{}\n{}\n", if planted { &wrong } else { lines[0] }, lines[1]);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let origin = runtime.block_on(Origin::start(world)).unwrap();

        let folder = tempfile::tempdir().unwrap();
        let upstream = folder.path().join("upstream");
        std::fs::create_dir(&upstream).unwrap();
        let write = |name: &str, text: &str| std::fs::write(upstream.join(name), text).unwrap();
        let go_mod = "module example.org/app\n\ngo 1.21\n";
        write("go.mod", go_mod);
        write("main.go", "package main\n\nfunc main() {}\n");
        if let Some([before, _]) = policies {
            write("sumgate.toml", before);
        }
        git(&upstream, &["init", "-q", "-b", "main"]);
        commit(&upstream);
        let base = git(&upstream, &["rev-parse", "HEAD"]);
        git(&upstream, &["checkout", "-q", "-b", "change"]);
        write("go.mod", &format!("{go_mod}\nrequire example.com/hello v1.0.0\n"));
        write("go.sum", &sum);
        if let Some([_, after]) = policies {
            write("sumgate.toml", after);
        }
        write("main.go", "package main\n\nimport \"example.com/hello\"\n\nfunc main() { println(hello.Text()) }\n");
        commit(&upstream);
        let url = format!("file://{}", upstream.display());
        git(folder.path(), &["clone", "-q", "--depth", "1", "-b", "change", &url, "checkout"]);
        Self { folder, origin, _runtime: runtime, base, planted: 1 }
    }

    /// The folder for everything of this job.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The checkout.
    pub fn checkout(&self) -> PathBuf {
        self.folder.path().join("checkout")
    }

    /// A program in the checkout with the settings of a job, and no others.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = command(program);
        command.current_dir(self.checkout()).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", self.folder.path()).env("SUMGATE_SUMDB", self.origin.gosumdb()).env("GOENV", "off");
        command.env("GOPROXY", self.origin.url()).env("GOTOOLCHAIN", "local").env("GOTELEMETRY", "off");
        command
    }
}

/// Runs git, which must succeed; returns what it printed.
pub fn git(folder: &Path, words: &[&str]) -> String {
    let mut git = command("git");
    // Settings of the machine must not apply.
    git.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", folder).env("GIT_CONFIG_NOSYSTEM", "1");
    git.args(["-c", "user.name=A", "-c", "user.email=a@example.com"]);
    run(git.args(words).current_dir(folder)).trim().to_owned()
}

/// Commits all files.
pub fn commit(folder: &Path) {
    git(folder, &["add", "-A"]);
    git(folder, &["commit", "-qm", "change"]);
}

/// The name of the archive of this release.
pub fn archive() -> String {
    format!("sumgate-{VERSION}-x86_64-unknown-linux-gnu.tar.gz")
}

/// The SHA-256 of a file.
pub fn sha256(file: &Path) -> String {
    run(command("sha256sum").arg(file)).split(' ').next().unwrap().to_owned()
}

/// A release in `folder` whose program is this script.
pub fn release(folder: &Path, script: &str) -> PathBuf {
    let release = folder.join("release");
    let inside = release.join(archive().trim_end_matches(".tar.gz"));
    std::fs::create_dir_all(&inside).unwrap();
    std::fs::write(inside.join("sumgate"), format!("#!/bin/sh\n{script}\n")).unwrap();
    run(command("chmod").arg("+x").arg(inside.join("sumgate")));
    let inside = inside.file_name().unwrap();
    run(command("tar").arg("-czf").arg(release.join(archive())).arg("-C").arg(&release).arg(inside));
    release
}
