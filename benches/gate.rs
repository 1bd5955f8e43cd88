//! `sumgate run -- go build`, with its own, sealed and inherited caches, compared with a plain `go build`.
//!
//! Yardstick: `go` alone in the same run, with empty and with warm caches, from an origin on this machine. The program is a
//! small one, unless SUMGATE_BENCH_PROJECT names the folder of a real one, SUMGATE_BENCH_PACKAGE its package, and
//! SUMGATE_BENCH_MODCACHE a module cache with everything that it needs. Needs the `go` command; says so where there is none.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a benchmark may panic")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use gomodule::module::{ModulePath, ModuleVersion, Version};
use testkit::{Origin, World};

const RUNS: usize = 3;

fn main() {
    let Some(go) = go() else {
        println!("not measured: no go command on the PATH");
        return;
    };
    let is_test = std::env::args().any(|word| word == "--test");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|_| !is_test);
    let (project, modcache) = (named("SUMGATE_BENCH_PROJECT"), named("SUMGATE_BENCH_MODCACHE"));
    let world = modcache.as_deref().map_or_else(World::demo, world_of);
    let origin = runtime.block_on(Origin::start(world)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let package = named("SUMGATE_BENCH_PACKAGE").map_or(".".to_owned(), |name| name.to_str().unwrap().to_owned());
    let bench = Bench { go, origin, folder: folder.path().to_owned(), package };
    bench.set_up(project.as_deref());
    let runs = if is_test { 1 } else { RUNS };
    let best = |what: &dyn Fn() -> f64| (0..runs).map(|_| what()).fold(f64::INFINITY, f64::min);

    let cold = best(&|| bench.alone(true));
    let warm = best(&|| bench.alone(false));
    let own = best(&|| bench.gated(&[], false));
    bench.gated(&[], true);
    let sealed = best(&|| bench.gated(&[], true));
    let public = tlog::Signer::parse(&secret()).unwrap().verifier_key().to_string();
    let verified = best(&|| bench.gated(&["--cache-public-key", &public], false));
    bench.alone(false);
    let modules = best(&|| bench.gated(&["--module-cache", "inherit"], false));
    let both = best(&|| bench.gated(&["--module-cache", "inherit", "--build-cache", "inherit"], false));
    let build = best(&|| bench.gated(&["--build-cache", "inherit"], false));

    println!("go build, the best of {runs} runs each:");
    println!("  go alone, empty caches:                       {cold:6.2} s");
    println!("  go alone, warm caches:                        {warm:6.2} s");
    let line = |what: &str, seconds: f64| {
        println!(
            "  sumgate run, {what:<33}{seconds:6.2} s, {:.2} times cold, {:+.2} s to warm",
            seconds / cold,
            seconds - warm
        );
    };
    line("own caches:", own);
    line("sealed caches, sealed again:", sealed);
    line("sealed caches, public key:", verified);
    line("module cache inherited:", modules);
    line("both inherited:", both);
    line("build cache inherited:", build);
}

struct Bench {
    go: PathBuf,
    origin: Origin,
    folder: PathBuf,
    package: String,
}

impl Bench {
    /// The program, and for `go` alone everything in its caches.
    fn set_up(&self, project: Option<&Path>) {
        let work = self.folder.join("work");
        std::fs::create_dir_all(self.folder.join("home")).unwrap();
        if let Some(project) = project {
            copy(project, &work);
            return;
        }
        std::fs::create_dir(&work).unwrap();
        let code = "package main\n\nimport \"example.com/hello\"\n\nfunc main() { println(hello.Text()) }\n";
        let go_mod = "module example.org/app\n\ngo 1.21\n\nrequire example.com/hello v1.1.0\n";
        std::fs::write(work.join("main.go"), code).unwrap();
        std::fs::write(work.join("go.mod"), go_mod).unwrap();
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.join("work")).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", self.folder.join("home")).env("GOENV", "off").env("GOFLAGS", "-mod=mod -modcacherw");
        command.env("GOTOOLCHAIN", "local").env("GOTELEMETRY", "off").env("GOPATH", self.folder.join("path"));
        command.env("GOPROXY", self.origin.url()).env("GOSUMDB", self.origin.gosumdb());
        command.env("SUMGATE_SUMDB", self.origin.gosumdb());
        command.env("GOCACHE", self.folder.join("build")).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn alone(&self, cold: bool) -> f64 {
        if cold {
            for name in ["path", "build"] {
                let _ = std::fs::remove_dir_all(self.folder.join(name));
            }
        }
        self.time(self.command(&self.go).args(["build", "-o", "program", &self.package]))
    }

    /// With proved files in the store, as on a runner that keeps it.
    fn gated(&self, words: &[&str], with_key: bool) -> f64 {
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
        command.args(["run", "--data"]).arg(self.folder.join("data")).args(words);
        if with_key {
            command.env("SUMGATE_CACHE_KEY", secret());
        }
        self.time(command.args(["--", "go", "build", "-o", "program", &self.package]))
    }

    fn time(&self, command: &mut Command) -> f64 {
        let _ = std::fs::remove_file(self.folder.join("work/program"));
        let start = Instant::now();
        assert!(command.status().unwrap().success(), "{command:?} failed");
        start.elapsed().as_secs_f64()
    }
}

fn secret() -> String {
    tlog::Signer::from_seed("bench.example.com", [1; 32]).unwrap().to_secret_text()
}

/// A world with every module whose zip is in a module cache.
fn world_of(modcache: &Path) -> World {
    let mut world = World::demo();
    let download = modcache.join("cache/download");
    for entry in walkdir::WalkDir::new(&download).sort_by_file_name() {
        let entry = entry.unwrap();
        let name = entry.path().strip_prefix(&download).unwrap().to_str().unwrap();
        let Some((path, file)) = name.rsplit_once("/@v/") else { continue };
        let Some(version) = file.strip_suffix(".mod") else { continue };
        let module =
            ModuleVersion::new(ModulePath::unescape(path).unwrap(), Version::unescape(version).unwrap()).unwrap();
        let go_mod = std::fs::read_to_string(entry.path()).unwrap();
        match std::fs::read(entry.path().with_extension("zip")) {
            Ok(zip) => world.add(&module, &go_mod, zip),
            Err(_) => world.add_go_mod(&module, &go_mod),
        }
    }
    world
}

fn copy(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.unwrap();
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            std::fs::create_dir(target).unwrap();
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn go() -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join("go")).find(|go| go.is_file())
}
