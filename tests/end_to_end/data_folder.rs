//! The data folder: foreign files are neither removed nor read, and new files are for this user only.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use libtest_mimic::Trial;
use testkit::{Origin, World};

use crate::fixture::{Go, Mirror, fifo, files, get, go_trial, origin, root_trial, run, sumgate, trial, wait};

const HELLO: &str = "example.com/hello@v1.0.0";
const ZIP: &str = "/example.com/hello/@v/v1.0.0.zip";
const NOBODY: u32 = 65_534;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("data folder: no command removes foreign files, and the error says what is wrong", files_of_others),
        go_trial("data folder: names like those of sumgate do not make a folder a data folder", folders_like_ours),
        trial("data folder: only commands that download clean up, and only staging folders of sumgate", swept),
        trial("data folder: it can be a link, but no link in it is followed", links),
        trial("data folder: a pipe in it does not block", pipes),
        trial("data folder: an empty one and one of 0.1 get the marker, a newer format is refused", marker),
        root_trial("data folder: writers must own it, readers need not", owners),
        root_trial("data folder: pins of another user do not count", pins_of_others),
        trial("data folder: new files are for this user only, or for all with --shared", modes),
        go_trial("data folder: file:// works for the same user", by_file),
        trial("data folder: a lock that is held is reported after 30 s", held_lock),
        trial("data folder: errors name --data", errors),
    ]
}

/// Runs the program with a data folder; returns its exit code and everything it printed.
fn with(data: &Path, words: &[&str]) -> (Option<i32>, String) {
    let output = run(&[words, &["--data", data.to_str().unwrap()]].concat());
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

fn lookup(data: &Path, origin: &Origin) -> (Option<i32>, String) {
    with(data, &["sumdb", "lookup", HELLO, "--sumdb", &origin.gosumdb()])
}

/// Starts and stops a mirror over the folder.
fn serve(data: &Path, origin: &Origin) {
    assert_eq!(get(&Mirror::start(origin, data).url, "/").status, 200);
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn files_of_others() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let go_sum = folder.path().join("go.sum");
    fs::write(&go_sum, "").unwrap();
    let (project, sumdb) = (folder.path().join("proj"), origin.gosumdb());
    write(&project.join("staging/important/thesis.tex"), "precious");
    write(&project.join("run-1/lock"), "");
    write(&project.join("main.go"), "package main");
    let before = files(&project);
    let (sum, out) = (go_sum.to_str().unwrap(), folder.path().join("out"));
    let commands: [&[&str]; 9] = [
        &["cache", "pins", "list"],
        &["cache", "pins", "forget", HELLO],
        &["sumdb", "lookup", HELLO, "--sumdb", &sumdb],
        &["audit", sum, "--sumdb", &sumdb],
        &["audit", sum, "--offline", "--sumdb", &sumdb],
        &["cache", "fetch", HELLO, "--sumdb", &sumdb, "--upstream", &origin.url()],
        &["cache", "export", "--for", sum, out.to_str().unwrap(), "--sumdb", &sumdb],
        &["serve", "--listen", "127.0.0.1:0", "--sumdb", &sumdb],
        &["serve", "--listen", "127.0.0.1:0", "--offline", "--sumdb", &sumdb],
    ];
    for words in commands {
        let (code, said) = with(&project, words);
        let is_told = said.contains("expected an empty folder, or one that sumgate made") && said.contains("--data");
        assert!(code == Some(2) && is_told, "{words:?}: {code:?} {said}");
        assert_eq!(files(&project), before, "{words:?}");
    }
}

/// Names that sumgate uses, with foreign files below, but no marker: they must not be removed.
fn folders_like_ours(go: &Path) {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let home = Go::new(go, "off", &origin.gosumdb());
    for (nth, name) in ["run/1/src/f", "run/f", "staging/important/a", "quarantine/2019/a"].into_iter().enumerate() {
        let data = folder.path().join(nth.to_string());
        write(&data.join(name), "precious");
        let data = data.to_str().unwrap();
        let commands: [&[&str]; 3] = [
            &["cache", "pins", "list", "--data", data],
            &["cache", "fetch", HELLO, "--upstream", &origin.url(), "--data", data],
            &["run", "--upstream", &origin.url(), "--data", data, "--", "true"],
        ];
        for words in commands {
            let (_, said) = home.sumgate(words);
            assert_eq!(fs::read_to_string(Path::new(data).join(name)).ok().as_deref(), Some("precious"), "{words:?}");
            let below: PathBuf = Path::new(name).components().take(2).collect();
            assert!(said.contains(&format!("found {} in it", below.display())), "{words:?}: {said}");
            assert_eq!(files(Path::new(data)).len(), 1, "{words:?}");
        }
    }
    // In a folder with the marker, foreign files in staging and quarantine are kept.
    let data = folder.path().join("data");
    assert_eq!(with(&data, &["cache", "pins", "list"]).0, Some(0));
    serve(&data, &origin);
    let names = ["staging/important/a", "staging/run-1/a", "staging/run-2/lock", "quarantine/2019/a"];
    for name in names {
        write(&data.join(name), "precious");
    }
    serve(&data, &origin);
    for name in names {
        assert!(data.join(name).is_file(), "{name}");
    }
}

fn swept() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    serve(&data, &origin);
    let dead = data.join("staging/run-dead");
    write(&dead.join("lock"), "");
    write(&dead.join("half-a-zip"), "PK");
    symlink(&dead, data.join("staging/run-link")).unwrap();
    lookup(&data, &origin);
    for words in [&["cache", "pins", "list"][..], &["cache", "pins", "forget", HELLO]] {
        with(&data, words);
    }
    assert!(dead.is_dir(), "these do not download");
    serve(&data, &origin);
    assert!(!dead.exists());
    assert!(data.join("staging/run-link").symlink_metadata().unwrap().is_symlink(), "not ours");
}

fn links() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let (real, home, link) = (folder.path().join("real"), folder.path().join("home"), folder.path().join("link"));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    let mirror = Mirror::start(&origin, &link);
    assert_eq!(get(&mirror.url, ZIP).status, 200);
    drop(mirror);
    assert!(real.join("proxy").is_dir() && real.join("sumgate-format").is_file());
    let database = fs::read_dir(real.join("sumdb")).unwrap().next().unwrap().unwrap().path();
    write(&home.join("important/a"), "precious");
    let places = ["staging", "proxy", "pins", "quarantine", "run"].map(|name| real.join(name));
    for place in places.iter().chain([&real.join("sumdb"), &database, &database.join("tile"), &database.join("record")])
    {
        let aside = folder.path().join("aside");
        let was_there = fs::rename(place, &aside).is_ok();
        symlink(&home, place).unwrap();
        for said in [lookup(&real, &origin), with(&real, &["cache", "fetch", HELLO, "--sumdb", &origin.gosumdb()])] {
            let is_told = said.1.contains("expected a folder, found a link: remove it") && said.1.contains("--data");
            assert!(said.0 == Some(2) && is_told, "{}: {said:?}", place.display());
        }
        assert_eq!(files(&home).len(), 1);
        fs::remove_file(place).unwrap();
        if was_there {
            fs::rename(&aside, place).unwrap();
        }
    }
    // Deeper down nothing is read through a link, and nothing written.
    let module = real.join("proxy/example.com");
    fs::rename(&module, folder.path().join("aside")).unwrap();
    symlink(&home, &module).unwrap();
    let mirror = Mirror::start(&origin, &real);
    assert_eq!(get(&mirror.url, ZIP).status, 500);
    assert_eq!(files(&home).len(), 1);
}

fn pipes() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    assert_eq!(lookup(&data, &origin).0, Some(0));
    let names: Vec<PathBuf> = files(&data).into_keys().map(|name| data.join(name)).collect();
    assert!(names.len() > 4, "{names:?}");
    for path in names {
        fs::remove_file(&path).unwrap();
        fifo(&path);
        let start = Instant::now();
        let (code, said) = lookup(&data, &origin);
        assert!(code == Some(0) && start.elapsed().as_secs() < 20, "{}: {said}", path.display());
    }
    // Instead of evidence it is an error: evidence may have been replaced.
    let evidence = fs::read_dir(data.join("sumdb")).unwrap().next().unwrap().unwrap().path().join("fork.txt");
    fifo(&evidence);
    let start = Instant::now();
    for words in [
        &["sumdb", "lookup", HELLO, "--sumdb", &origin.gosumdb()][..],
        &["cache", "fetch", HELLO, "--sumdb", &origin.gosumdb()],
    ] {
        let (code, said) = with(&data, words);
        let is_told = said.contains("fork.txt: expected a file with the evidence of a fork, or nothing, found a pipe");
        assert!(code == Some(2) && is_told, "{words:?}: {code:?} {said}");
    }
    assert!(start.elapsed().as_secs() < 20);
}

fn marker() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    let marker = data.join("sumgate-format");
    // The root of a file system.
    fs::create_dir_all(data.join("lost+found")).unwrap();
    assert_eq!(lookup(&data, &origin).0, Some(0));
    assert_eq!(fs::read_to_string(&marker).unwrap(), "1\n");
    serve(&data, &origin);
    // As left by version 0.1, and by a crash.
    for text in [None, Some("")] {
        fs::remove_file(&marker).unwrap();
        if let Some(text) = text {
            fs::write(&marker, text).unwrap();
        }
        fs::write(data.join("list.lock"), "").unwrap();
        assert_eq!(lookup(&data, &origin).0, Some(0));
        assert_eq!(fs::read_to_string(&marker).unwrap(), "1\n");
    }
    // With the marker, other files are ignored.
    fs::write(data.join("notes.txt"), "").unwrap();
    assert_eq!(lookup(&data, &origin).0, Some(0));
    for (text, words) in [("2\n", "expected format 1 in sumgate-format, found 2"), ("x", "expected a format number")] {
        fs::write(&marker, text).unwrap();
        for said in [lookup(&data, &origin), with(&data, &["cache", "pins", "list"])] {
            let is_told = said.1.contains(words) && said.1.contains("--data");
            assert!(said.0 == Some(2) && is_told, "{said:?}");
        }
    }
}

/// Changes the owner of a folder and everything below it.
fn give(root: &Path, user: u32) {
    assert!(std::process::Command::new("chown").arg("-R").arg(user.to_string()).arg(root).status().unwrap().success());
}

fn owners() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let (data, sumdb) = (folder.path().join("data"), origin.gosumdb());
    let go_sum = folder.path().join("go.sum");
    fs::write(&go_sum, lookup(&data, &origin).1.lines().find(|line| line.contains(" h1:")).unwrap()).unwrap();
    assert_eq!(get(&Mirror::start(&origin, &data).url, ZIP).status, 200);
    // A volume may belong to another user; the files in it are those of this user.
    chown(&data, Some(NOBODY), None).unwrap();
    assert_eq!(lookup(&data, &origin).0, Some(0));
    give(&data, NOBODY);
    let before: Vec<_> = files(&data).into_iter().collect();
    let words: [&[&str]; 3] = [
        &["sumdb", "lookup", HELLO, "--sumdb", &sumdb],
        &["cache", "pins", "forget", HELLO],
        &["serve", "--listen", "127.0.0.1:0", "--sumdb", &sumdb],
    ];
    for words in words {
        let (code, said) = with(&data, words);
        let is_told = said.contains("belongs to user 65534, expected the user of this process, 0");
        assert!(code == Some(2) && is_told && said.contains("--data"), "{words:?}: {said}");
    }
    let (code, said) = with(&data, &["audit", go_sum.to_str().unwrap(), "--offline", "--sumdb", &sumdb]);
    assert_eq!(code, Some(0), "{said}");
    let mirror = Mirror::start_with(&data, &["--offline", "--sumdb", &sumdb]);
    assert_eq!(get(&mirror.url, ZIP).status, 200, "proved again");
    assert_eq!(files(&data).into_iter().collect::<Vec<_>>(), before, "who reads writes nothing");
    let owned = fs::read_dir(&data).unwrap().all(|entry| entry.unwrap().metadata().unwrap().uid() == NOBODY);
    assert!(owned, "who reads makes nothing");
    drop(mirror);
    // One of the files is enough.
    give(&data, 0);
    let database = fs::read_dir(data.join("sumdb")).unwrap().next().unwrap().unwrap().path();
    for name in ["head", "head.lock", "heads", "tile"] {
        chown(database.join(name), Some(NOBODY), None).unwrap();
        let (code, said) = lookup(&data, &origin);
        assert!(code == Some(2) && said.contains(&format!("{name} belongs to user 65534")), "{name}: {said}");
        chown(database.join(name), Some(0), None).unwrap();
    }
    assert_eq!(lookup(&data, &origin).0, Some(0));
}

fn pins_of_others() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    let words = ["--nosumdb", "example.com", "--sumdb", &origin.gosumdb(), "--upstream", &origin.url()];
    let mirror = Mirror::start_with(&data, &words);
    assert_eq!(get(&mirror.url, ZIP).status, 200);
    drop(mirror);
    let (code, listed) = with(&data, &["cache", "pins", "list"]);
    assert!(code == Some(0) && listed.starts_with("example.com/hello v1.0.0 h1:"), "{listed}");
    give(&data, NOBODY);
    let (code, said) = with(&data, &["cache", "pins", "list"]);
    let is_told = said.contains("do not count") && said.contains("belongs to user 65534");
    assert!(code == Some(0) && is_told && !said.contains("h1:"), "{said}");
    // The pin does not count, and a new one cannot be written.
    let mirror = Mirror::start_with(&data, &["--offline", "--nosumdb", "example.com", "--sumdb", &origin.gosumdb()]);
    let answer = get(&mirror.url, ZIP);
    assert!(answer.status == 500 && answer.text().contains("it is only read here"), "{}", answer.text());
}

/// The modes of all folders and files below a folder, except for locks and staging.
fn modes_below(root: &Path) -> Vec<(PathBuf, u32)> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let meta = path.symlink_metadata().unwrap();
            found.push((path.clone(), meta.permissions().mode() & 0o777));
            if meta.is_dir() && !path.ends_with("staging") {
                folders.push(path);
            }
        }
    }
    found
}

fn modes() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let words = ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb(), "--nosumdb", "example.com/dep"];
    let modes_of = |data: &Path, more: &[&str], umask: &str| {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &format!("umask {umask} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_sumgate")]);
        let mirror = Mirror::start_by(shell, data, &[&words[..], more].concat());
        for path in [ZIP, "/example.com/hello/@v/v1.0.0.mod", "/example.com/hello/@v/v1.0.0.info"] {
            assert_eq!(get(&mirror.url, path).status, 200, "{path}");
        }
        assert_eq!(get(&mirror.url, "/example.com/dep/v2/@v/v2.0.1.mod").status, 200, "pinned");
        modes_below(data)
    };
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    for (shared, umask, folder_mode, file_mode) in
        [(&[][..], "000", 0o700, 0o600), (&["--shared"], "077", 0o755, 0o644)]
    {
        let data = folder.path().join(format!("data-{umask}"));
        let modes = modes_of(&data, shared, umask);
        assert_eq!(mode(&data), folder_mode);
        assert!(modes.len() > 15, "{modes:?}");
        for (path, mode) in modes {
            let name = path.to_str().unwrap();
            let expected = match () {
                () if path.is_dir() => folder_mode,
                () if name.ends_with("lock") || name.contains("/pins/") => 0o600,
                () => file_mode,
            };
            assert_eq!(mode, expected, "{name}");
        }
    }
    // A mount keeps its mode; locks that others can open, as 0.1 made them, do not.
    let data = folder.path().join("mount");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
    fs::write(data.join("list.lock"), "").unwrap();
    fs::set_permissions(data.join("list.lock"), Permissions::from_mode(0o644)).unwrap();
    modes_of(&data, &[], "022");
    assert_eq!((mode(&data), mode(&data.join("proxy")), mode(&data.join("list.lock"))), (0o755, 0o700, 0o600));

    let private = folder.path().join("private");
    let (code, said) = with(&private, &["serve", "--listen", "127.0.0.1:0", "--shared", "--private", "corp.example"]);
    assert!(code == Some(2) && said.contains("--shared lets every user") && said.contains("corp.example"), "{said}");
    assert!(!private.exists());
}

fn by_file(go: &Path) {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    assert_eq!(
        with(&data, &["cache", "fetch", HELLO, "--sumdb", &origin.gosumdb(), "--upstream", &origin.url()]).0,
        Some(0)
    );
    let app = Go::new(go, &format!("file://{}/proxy", data.display()), "off");
    app.write("go.mod", "module a.example/app\n");
    app.must(&["mod", "download", HELLO]);
}

/// A mirror whose lock another program of this user holds, and one whose folder cannot be swept.
fn held_lock() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    serve(&data, &origin);
    let held = fs::File::open(data.join("staging/lock")).unwrap();
    held.lock().unwrap();
    let told = folder.path().join("told");
    let mut program = sumgate();
    program.args(["serve", "--listen", "127.0.0.1:0", "--sumdb", &origin.gosumdb(), "--data"]).arg(&data);
    program.stdout(Stdio::null()).stderr(fs::File::create(&told).unwrap());
    let status = wait(&mut crate::fixture::Running(program.spawn().unwrap()).0);
    let said = fs::read_to_string(told).unwrap();
    let lock = data.canonicalize().unwrap().join("staging/lock");
    for words in [lock.to_str().unwrap(), "found it held", "another sumgate with this data folder", "--data DIR"] {
        assert!(status.code() == Some(2) && said.contains(words), "{said}");
    }
}

fn errors() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "precious").unwrap();
    for data in [file.as_path(), &file.join("below"), Path::new("/proc/sys")] {
        let (code, said) = with(data, &["cache", "pins", "forget", HELLO]);
        assert!(code == Some(2) && said.contains(data.to_str().unwrap()) && said.contains("--data"), "{said}");
    }
}
