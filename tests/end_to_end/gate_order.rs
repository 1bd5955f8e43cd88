//! What the gate does before and after the command, in which order, and that it does not block.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use testkit::Origin;

use crate::fixture::{Go, Running, go_trial, origin, trial, wait};
use crate::gate_ways::{BUILD, FORGED, HONEST, app, gate, module_with, patch, says};

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("gate, order: the key is hidden before any program runs", key_is_hidden_first),
        trial("gate, order: a go command in the repository is not run", go_of_the_repository),
        trial("gate, order: a git in a relative folder of PATH is not run", git_of_a_relative_folder),
        go_trial("gate, order: an invalid module cache ends in a report", wrong_module_cache),
        trial("gate, order: --deny decides whether a module cache may be used", denied_module_cache),
        go_trial("gate, order: a fork that an inherited module cache shows is exit 122", fork_in_an_inherited_cache),
        go_trial("gate, order: FIFOs and devices in an inherited module cache", special_files_before),
        go_trial("gate, order: FIFOs, devices and links in the module cache after the command", special_files_after),
        trial("gate, order: a signal during the examination ends the gate", signal_afterwards),
        go_trial("gate, order: the go process of the mirror is not reported as still running", go_of_the_mirror),
        trial("gate, order: processes that are still running cannot use the mirror", mirror_is_gone),
        go_trial("gate, order: programs behind links that lead out of the repository", behind_links),
        go_trial("gate, order: a program that is named by a relative path", relative_subject),
        go_trial("gate, order: a program that the command made unreadable", unreadable_program),
        trial("gate, order: a go that does not list the modules of a program", go_without_an_answer),
    ]
}

/// Made by `sumgate cache keygen`, for these trials only.
const SECRET: &str = "PRIVATE+KEY+ci.example.com+3ec65fd6+AQMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMD";
/// An examination that a signal does not end takes longer than this.
const SOON: Duration = Duration::from_secs(5);

fn here() -> Go {
    Go::new(Path::new("/nonexistent"), "http://127.0.0.1:9", "sum.golang.org http://127.0.0.1:9")
}

fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let file = folder.join(name);
    std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    file
}

/// The folder comes first on the PATH.
fn before_others(home: Go, folder: &Path) -> Go {
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    home.set("PATH", &path)
}

/// `sumgate run` as a user to whom permissions apply: root may read everything.
fn as_a_user(home: &Go, words: &[&str]) -> (Option<i32>, String) {
    let program = env!("CARGO_BIN_EXE_sumgate");
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = home.command(Path::new("setpriv"));
        command.args(["--bounding-set", "-dac_override,-dac_read_search,-sys_ptrace,-sys_admin,-perfmon", program]);
        command
    } else {
        home.command(Path::new(program))
    };
    let output = command.args(words).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code(), text)
}

/// Another process of the same user, and each program that the gate runs, search for the key in the environment.
fn key_is_hidden_first(go: &Path) {
    let origin = origin(module_with(HONEST));
    let home = app(go, &origin).set("SUMGATE_CACHE_KEY", SECRET).set("GOFLAGS", "-mod=mod");
    home.git(&["init", "-q"]);
    let (folder, seen) = (home.root().join("programs"), home.root().join("seen"));
    for (name, real) in [("go", go.display().to_string()), ("git", "/usr/bin/git".to_owned())] {
        let look = format!(
            "env >> {seen}-{name}; tr '\\0' '\\n' < /proc/$PPID/environ >> {seen}-{name} 2>> {seen}-{name}\nexec {real} \"$@\"",
            seen = seen.display()
        );
        script(&folder, name, &look);
    }
    let home = before_others(home, &folder);
    let (code, output) = as_a_user(&home, &[&["run"], &BUILD[..]].concat());
    assert_eq!(code, Some(0), "{output}");
    for name in ["go", "git"] {
        let seen = std::fs::read_to_string(format!("{}-{name}", seen.display())).unwrap();
        assert!(seen.contains("HOME="), "{name} was asked: {seen}");
        assert!(!seen.contains("PRIVATE+KEY") && !seen.contains("SUMGATE_CACHE_KEY"), "{name}: {seen}");
    }
}

fn go_of_the_repository() {
    let home = here();
    let mark = home.root().join("mark");
    let evil = script(&home.home().join("bin"), "go", &format!("touch {}; echo '{{}}'", mark.display()));
    let elsewhere = home.root().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    symlink(&evil, elsewhere.join("go")).unwrap();
    let mut home = home;
    for folder in [home.home().join("bin"), elsewhere] {
        home = before_others(home, &folder);
        let (code, output) = home.sumgate(&["run", "--deny", "error", "--", "true"]);
        assert_eq!((code, mark.exists()), (Some(121), false), "{output}");
        assert!(output.contains("expected a `go` command outside the repository, found "), "{output}");
    }
}

fn git_of_a_relative_folder() {
    let home = here();
    let mark = home.root().join("mark");
    home.git(&["init", "-q"]);
    script(&home.home(), "git", &format!("touch {}", mark.display()));
    let home = home.set("PATH", ".:/usr/bin:/bin");
    let (code, output, _) = gate(&home, &["--", "true"]);
    assert_eq!((code, mark.exists()), (Some(0), false), "{output}");
}

fn report(home: &Go) -> Value {
    serde_json::from_slice(&std::fs::read(home.home().join("report.json")).unwrap()).unwrap()
}

const INHERIT: [&str; 2] = ["--module-cache", "inherit"];

fn wrong_module_cache(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin);
    app.must(&["mod", "download"]);
    assert_eq!(patch(&app.module_cache().join("example.com"), HONEST, FORGED), 1);
    let (code, output, findings) = gate(&app, &[&INHERIT[..], &["--", "touch", "ran"]].concat());
    assert_eq!((code, findings), (Some(120), vec!["hash-mismatch".to_owned()]), "{output}");
    assert!(!app.home().join("ran").exists(), "{output}");
    let report = report(&app);
    assert_eq!((&report["command_exit_code"], &report["command"]), (&Value::Null, &json!(["touch", "ran"])));
    let words = "exit code 120 of sumgate: something was refused, or there are findings; the command was not started";
    assert!(output.contains(words), "{output}");
}

/// A warning prevents the command from starting only if warnings are denied.
fn denied_module_cache() {
    let home = here();
    let versions = home.module_cache().join("cache/download/git.corp.internal/x/@v");
    std::fs::create_dir_all(&versions).unwrap();
    std::fs::write(versions.join("v1.0.0.mod"), "module git.corp.internal/x\n").unwrap();
    for (deny, code, has_run) in [("warning", 120, false), ("error", 0, true)] {
        let words = ["--deny", deny, "--module-cache", "inherit", "--", "touch", "ran"];
        let (ended, output, findings) = gate(&home, &words);
        assert_eq!((ended, findings), (Some(code), vec!["private-name".to_owned()]), "{output}");
        assert_eq!(home.home().join("ran").exists(), has_run, "{output}");
    }
}

fn fork_in_an_inherited_cache(go: &Path) {
    let origin = origin(testkit::World::demo());
    let home = Go::new(go, &origin.url(), &origin.gosumdb()).set("SUMGATE_SUMDB", &origin.gosumdb());
    let data = home.root().join("data");
    let run = ["--data", data.to_str().unwrap()];
    let fetch = ["--", "go", "mod", "download", "example.com/hello@v1.0.0"];
    assert_eq!(gate(&home, &[&run[..], &fetch[..]].concat()).0, Some(0));
    home.must(&["mod", "download", "example.com/dep/v2@v2.0.1"]);
    let fork = origin.world().fork(601, 40);
    *origin.world() = fork;
    let (code, output, _) = gate(&home, &[&run[..], &INHERIT[..], &["--", "touch", "ran"]].concat());
    assert_eq!(code, Some(122), "{output}");
    assert!(output.contains("THE DATABASE MISBEHAVED, evidence in") && !home.home().join("ran").exists(), "{output}");
    assert!(output.contains("exit code 122 of sumgate: the database signed two histories"), "{output}");
    assert!(report(&home)["databases"][0]["fork_evidence"].is_string());
}

fn fifo(path: &Path) {
    let _ = std::fs::remove_file(path);
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// A restored module cache can contain anything.
fn special_files_before(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin);
    let cache = app.module_cache();
    let download = cache.join("cache/download/example.com/mark/@v");
    for file in [download.join("v1.0.0.zip"), download.join("v1.0.0.mod"), cache.join("example.com/mark@v1.0.0/a.go")] {
        let link = |path: &Path| {
            std::fs::remove_file(path).unwrap();
            symlink("/dev/zero", path).unwrap();
        };
        for make in [&fifo as &dyn Fn(&Path), &link] {
            app.must(&["mod", "download"]);
            make(&file);
            let (code, output, findings) = gate(&app, &[&INHERIT[..], &["--", "touch", "ran"]].concat());
            assert_eq!(code, Some(120), "{}: {output}", file.display());
            assert!(["unreadable-file", "not-a-regular-file"].contains(&findings[0].as_str()), "{output}");
            assert!(!app.home().join("ran").exists(), "{output}");
            std::fs::remove_dir_all(&cache).unwrap();
        }
    }
}

fn special_files_after(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin);
    let module = "$GOMODCACHE/example.com/mark@v1.0.0";
    for make in [
        format!("mkfifo {module}/fifo"),
        format!("ln -s /dev/zero {module}/zero"),
        format!("ln -s $PWD/main.go {module}/link.go"),
        format!("truncate -s 8T {module}/large"),
    ] {
        let script = format!("go mod download && chmod -R u+w $GOMODCACHE && {make}");
        let (code, output, findings) = gate(&app, &["--", "sh", "-ec", &script]);
        assert_eq!((code, findings), (Some(120), vec!["module-not-released".to_owned()]), "{make}: {output}");
        let why = if make.contains("truncate") { "have more than 524288000 bytes" } else { "is not a regular file" };
        assert!(output.contains(why), "{make}: {output}");
    }
    // The command can replace the cache by a link.
    let script = "chmod -R u+w $GOMODCACHE; rm -rf $GOMODCACHE; ln -s / $GOMODCACHE";
    let (code, output, findings) = gate(&app, &["--", "sh", "-c", script]);
    assert_eq!((code, findings), (Some(120), vec!["module-not-released".to_owned()]), "{output}");
}

/// Runs the gate until the command ends, sends a signal, and returns the exit code and the output.
fn ended_by(home: &Go, words: &[&str], signal: &str) -> (Option<i32>, String) {
    let log = home.root().join("log");
    let mut command = home.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
    command.arg("run").args(words).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut running = Running(command.stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap());
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ends");
    // The command has nothing more to do.
    std::thread::sleep(Duration::from_millis(700));
    let start = Instant::now();
    let id = running.0.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    let status = wait(&mut running.0);
    assert!(start.elapsed() < SOON, "{signal}: {:?}", start.elapsed());
    (status.code(), std::fs::read_to_string(log).unwrap())
}

fn signal_afterwards() {
    // Many large modules to hash.
    let large = "for nth in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do mkdir -p $GOMODCACHE/a.com/x@v1.$nth.0; \
                 truncate -s 490M $GOMODCACHE/a.com/x@v1.$nth.0/x; done; echo ends";
    for signal in ["-TERM", "-INT"] {
        let (code, said) = ended_by(&here(), &["--", "sh", "-c", large], signal);
        let words = format!("SIG{} ended the examination", &signal[1..]);
        assert!(code == Some(121) && said.contains(&words), "{code:?}: {said}");
    }
    // A `go` that takes its time to read a program.
    let home = here();
    let folder = home.root().join("programs");
    script(&folder, "go", "[ $1 = env ] && { echo '{}'; exit; }; exec sleep 20");
    let home = before_others(home, &folder);
    let (code, said) = ended_by(&home, &["--subject", "/bin/sh", "--", "echo", "ends"], "-TERM");
    assert_eq!(code, Some(121), "{said}");
}

/// The mirror fetches a private module for a client that has disconnected.
fn go_of_the_mirror(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin).set("GOVCS", "");
    let folder = app.root().join("programs");
    let slow =
        format!("[ $1 = mod ] && {{ touch {}/asked; sleep 8; }}; exec {} \"$@\"", app.root().display(), go.display());
    script(&folder, "go", &slow);
    let app = before_others(app, &folder);
    let ask = "import os, urllib.request\n\
               try: urllib.request.urlopen(os.environ['GOPROXY'] + '/private.example.com/p/@v/v1.0.0.zip', timeout=1)\n\
               except OSError: pass\n";
    let (code, output, findings) = gate(&app, &["--private", "private.example.com", "--", "python3", "-c", ask]);
    assert!(app.root().join("asked").exists(), "{output}");
    assert_eq!((code, findings), (Some(0), Vec::new()), "{output}");
}

fn mirror_is_gone() {
    let home = here();
    let left = "import os, time, urllib.request, urllib.error\n\
                while not os.path.exists('now'): time.sleep(0.02)\n\
                try: urllib.request.urlopen(os.environ['GOPROXY'], timeout=5); said = 'answered'\n\
                except urllib.error.HTTPError: said = 'answered'\n\
                except OSError as error: said = str(error)\n\
                open('said.new', 'w').write(said); os.rename('said.new', 'said')\n";
    home.write("left.py", left);
    let (code, output, findings) = gate(&home, &["--", "sh", "-c", "python3 left.py >/dev/null 2>&1 &"]);
    assert_eq!((code, findings), (Some(0), vec!["process-left".to_owned()]), "{output}");
    home.write("now", "");
    let start = Instant::now();
    while !home.home().join("said").exists() {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(20));
    }
    let said = std::fs::read_to_string(home.home().join("said")).unwrap();
    assert!(said.contains("Connection refused"), "{said}");
}

/// A program whose module is replaced by a folder: a note reports it if the program is read.
fn replaced(go: &Path, origin: &Origin) -> Go {
    let app = app(go, origin);
    app.write("other/go.mod", "module example.com/mark\n\ngo 1.21\n");
    app.write("other/mark.go", &format!("package mark\n\nfunc Mark() string {{ return \"{FORGED}\" }}\n"));
    let go_mod = std::fs::read_to_string(app.home().join("go.mod")).unwrap();
    app.write("go.mod", &format!("{go_mod}\nreplace example.com/mark => ./other\n"));
    app
}

fn behind_links(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = replaced(go, &origin);
    let out = app.root().join("out");
    std::fs::create_dir(&out).unwrap();
    symlink("../out", app.home().join("bin")).unwrap();
    symlink("../out/file", app.home().join("file")).unwrap();
    std::fs::copy("/bin/sh", out.join("old")).unwrap();
    let told = ["replaced-unproved", "nothing-released"];
    for script in [
        "go build -o bin/app .",
        "go build -o bin/deep/app .",
        "go build -o ../program . && cat ../program > file",
        // A link that the command makes.
        "mkdir ../late && ln -s ../late late && go build -o late/app .",
    ] {
        let (code, output, findings) = gate(&app, &["--", "sh", "-c", script]);
        let about: Vec<&str> = findings.iter().map(String::as_str).filter(|code| told.contains(code)).collect();
        assert_eq!((code, about.as_slice()), (Some(0), &told[..]), "{script}: {output}");
    }
    // Existing files are not those of the command.
    let (code, output, findings) = gate(&app, &["--", "true"]);
    assert_eq!((code, findings), (Some(0), vec!["replaced-unproved".to_owned()]), "{output}");
}

fn relative_subject(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = replaced(go, &origin);
    let told = ["replaced-unproved", "nothing-released"];
    let (code, output, findings) =
        gate(&app, &["--subject", "../program", "--", "go", "build", "-o", "../program", "."]);
    assert_eq!((code, findings), (Some(0), told.map(str::to_owned).to_vec()), "{output}");
    // A program that is found in two ways is reported once.
    let (code, output, findings) = gate(&app, &[&["--subject", "app"], &BUILD[..]].concat());
    assert_eq!((code, findings), (Some(0), told.map(str::to_owned).to_vec()), "{output}");
    assert!(says(&app).contains(FORGED));
    // Not a program, and nothing to wait for.
    fifo(&app.root().join("fifo"));
    for odd in ["../fifo", ".."] {
        let (code, output, findings) = gate(&app, &["--subject", odd, "--", "true"]);
        assert_eq!((code, findings[0].as_str()), (Some(120), "not-examined"), "{odd}: {output}");
        assert!(output.contains("it is not a regular file"), "{odd}: {output}");
    }
}

fn unreadable_program(go: &Path) {
    let origin = origin(module_with(HONEST));
    for close in ["chmod 111 app", "mkdir d && mv app d && chmod 0 d"] {
        let app = replaced(go, &origin);
        // An existing one is not that of the command.
        script(&app.home().join("closed"), "tool", "");
        std::fs::set_permissions(app.home().join("closed"), PermissionsExt::from_mode(0o000)).unwrap();
        let build = format!("go build -o app . && {close}");
        let (code, output) = as_a_user(&app, &["run", "--", "sh", "-c", &build]);
        assert_eq!(code, Some(120), "{close}: {output}");
        assert_eq!(output.matches("[not-examined]").count(), 1, "{close}: {output}");
        assert!(output.contains("it cannot be read"), "{close}: {output}");
        for closed in ["closed", "d"].map(|name| app.home().join(name)).iter().filter(|path| path.exists()) {
            std::fs::set_permissions(closed, PermissionsExt::from_mode(0o755)).unwrap();
        }
    }
}

fn go_without_an_answer() {
    for (answer, why) in [
        ("echo 'go: cannot find GOROOT' >&2; exit 2", "cannot find GOROOT"),
        ("kill -9 $$", "signal: 9"),
        ("echo x: go1.27; yes '\tdep\ta.com/x\tv1.0.0' | head -c 5000000", "it printed more than 4194304 bytes"),
        ("exit 0", "it is not a Go program with build information"),
    ] {
        let home = here();
        let folder = home.root().join("programs");
        script(&folder, "go", &format!("[ $1 = env ] && {{ echo '{{}}'; exit; }}\n{answer}"));
        let home = before_others(home, &folder);
        let (code, output, findings) = gate(&home, &["--subject", "/bin/sh", "--", "true"]);
        assert_eq!((code, findings), (Some(120), vec!["not-examined".to_owned()]), "{output}");
        assert!(output.contains(why), "{answer}: {output}");
        // Not named, but new.
        let (_, output, findings) = gate(&home, &["--", "cp", "/bin/sh", "new"]);
        assert_eq!(findings.is_empty(), answer == "exit 0", "{answer}: {output}");
    }
}
