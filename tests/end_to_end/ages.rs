//! `min-age` and the times of heads: wrong clocks, forged times, a fresh machine.

use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use libtest_mimic::Trial;
use testkit::{Origin, World};

use crate::audit::{audit, findings, home, honest, line_of};
use crate::fixture::{Go, Mirror, get, origin, root_trial, trial};

const DAY: u64 = 86_400;
const MIN_AGE: &str = "[policy]\nmin-age = \"7d\"\n";
const UNCOUNTED: &str = "the times of recorded tree heads do not count for min-age";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("ages: one start with a wrong clock does not break min-age", one_start_with_a_wrong_clock),
        trial("ages: a start with a slow clock makes no record older", one_start_in_the_past),
        trial("ages: one invalid line does not invalidate the others", one_wrong_line),
        trial("ages: heads in the tree under audit do not count", forged_in_the_tree),
        trial("ages: heads in the tree do not count for run, but count for serve", run_and_serve),
        root_trial("ages: heads of another user do not count", heads_of_another_user),
        trial("ages: on a fresh machine unknown-age decides, and the refusal says what to do", a_fresh_machine),
        trial("ages: an idle log is observed, so a new record in it is young", a_log_that_rests),
        trial("ages: serve, audit and why say the same of a private module", private),
    ]
}

/// A folder with a go.sum of one module version and a policy, without recorded heads.
fn job(policy: &str) -> (Origin, Go) {
    let origin = origin(World::demo());
    let job = home(&origin);
    job.write("go.sum", line_of(&honest(&origin), "example.com/hello v1.0.0 "));
    job.write("sumgate.toml", policy);
    (origin, job)
}

/// A data folder beside the working folder.
fn data(job: &Go) -> String {
    job.root().join("data").to_str().unwrap().to_owned()
}

fn heads(data: impl AsRef<Path>) -> PathBuf {
    let mut folders = std::fs::read_dir(data.as_ref().join("sumdb")).unwrap();
    folders.next().unwrap().unwrap().path().join("heads")
}

/// Records that trees were seen so many days ago; negative days are in the future.
pub fn remember(data: impl AsRef<Path>, seen: &[(i64, u64)]) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let line = |(days, size): &(i64, u64)| {
        let at = now.checked_add_signed(-days * i64::try_from(DAY).unwrap()).unwrap();
        format!("{at} {size}\n")
    };
    std::fs::write(heads(data), seen.iter().map(line).collect::<String>()).unwrap();
}

/// The recorded heads, as days ago and sizes.
fn remembered(data: impl AsRef<Path>) -> Vec<(i64, u64)> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let now = i64::try_from(now.as_secs()).unwrap();
    let text = std::fs::read_to_string(heads(data)).unwrap();
    let line = |line: &str| {
        let (at, size) = line.split_once(' ').unwrap();
        let ago = now - at.parse::<i64>().unwrap();
        (ago.div_euclid(i64::try_from(DAY).unwrap()), size.parse().unwrap())
    };
    text.lines().map(line).collect()
}

fn one_start_with_a_wrong_clock() {
    let (origin, job) = job(MIN_AGE);
    let data = data(&job);
    let start = || audit(&job, &["--data", &data]);
    assert_eq!(start().0, Some(1), "a fresh machine");
    // The first start was in the far future: only its time is recorded.
    let size = origin.world().size();
    remember(&data, &[(-20_000, size)]);
    // A new record of another module makes the head move.
    origin.world().add_simple("example.com/new@v1.0.0", "", "package new\n");
    job.write("go.sum", &[line_of(&honest(&origin), "example.com/new v1.0.0 ")].concat());
    let (code, said) = start();
    assert_eq!((code, said.matches("is later than the clock of this machine").count()), (Some(1), 1), "{said}");
    let kept_until_more_lines_speak_for_the_clock = [(0, size), (0, size + 1), (-20_000, size)];
    assert_eq!(remembered(&data), kept_until_more_lines_speak_for_the_clock);

    // Eight days later.
    remember(&data, &[(8, size + 1), (-20_000, size)]);
    let (code, said) = start();
    assert_eq!((code, said.contains("is later than the clock of this machine")), (Some(0), true), "{said}");

    // After more starts the wrong line is removed.
    for nth in 0..2 {
        origin.world().add_simple(&format!("example.com/more@v1.0.{nth}"), "", "package more\n");
        job.write("go.sum", line_of(&honest(&origin), &format!("example.com/more v1.0.{nth} ")));
        start();
    }
    assert_eq!(remembered(&data).iter().map(|(days, _)| *days).collect::<Vec<_>>(), [8, 0, 0]);
    let (_, said) = start();
    assert!(!said.contains("is later than the clock of this machine"), "{said}");
}

fn one_start_in_the_past() {
    let (origin, job) = job(MIN_AGE);
    let data = data(&job);
    let start = || audit(&job, &["--data", &data]);
    start();
    let size = origin.world().size();
    // Seen on three days, and once with a clock that was 300 days slow.
    remember(&data, &[(300, size), (3, size - 40), (2, size - 30), (1, size - 20)]);
    let (code, said) = start();
    assert_eq!((code, said.matches("it contradicts the other lines").count()), (Some(1), 1), "{said}");
    assert!(said.contains("its age is unknown"), "{said}");
}

fn one_wrong_line() {
    let (origin, job) = job(MIN_AGE);
    let data = data(&job);
    let start = || audit(&job, &["--data", &data]);
    start();
    let size = origin.world().size();
    for wrong in [(-3, 1), (25, size + 1_000_000), (12, 2)] {
        let mut lines = vec![(30, size - 1), (20, size), (10, size), wrong];
        lines.sort_by_key(|(days, _)| -days);
        remember(&data, &lines);
        let (code, said) = start();
        let told = said.matches("one line does not count for min-age").count();
        assert_eq!((code, told), (Some(0), 1), "{wrong:?}: {said}");
    }
}

fn forged_in_the_tree() {
    let (origin, job) = job(MIN_AGE);
    let outside = data(&job);
    audit(&job, &["--data", &outside]);
    let size = origin.world().size();
    remember(&outside, &[(100, size)]);
    let (code, said) = audit(&job, &["--data", &outside]);
    assert_eq!((code, said.contains(UNCOUNTED)), (Some(0), false), "{said}");

    // The same lines, committed by a pull request.
    let committed = job.home().join(".data");
    audit(&job, &["--data", ".data"]);
    std::fs::copy(heads(&outside), heads(&committed)).unwrap();
    let forged = std::fs::read(heads(&committed)).unwrap();
    let refused = |words: &[&str]| {
        let (code, said) = audit(&job, words);
        assert_eq!((code, said.matches(UNCOUNTED).count()), (Some(1), 1), "{words:?}: {said}");
        assert!(said.contains("lies inside the tree under audit"), "{said}");
        assert!(said.contains("put the data folder outside the checkout with --data DIR or SUMGATE_DATA"), "{said}");
        assert_eq!(std::fs::read(heads(&committed)).unwrap(), forged, "it is left alone");
    };
    refused(&["--data", ".data"]);
    // Also through a link from outside into the tree.
    let link = job.root().join("link");
    symlink(&committed, &link).unwrap();
    refused(&["--data", link.to_str().unwrap()]);
    let folder = job.root().join("folder");
    std::fs::create_dir(&folder).unwrap();
    symlink(committed.join("sumdb"), folder.join("sumdb")).unwrap();
    let (code, said) = audit(&job, &["--data", folder.to_str().unwrap()]);
    assert!(code == Some(2) && said.contains("expected a folder, found a link"), "{said}");
    // From a folder below the top of the repository, and by a path into it.
    std::fs::create_dir_all(job.home().join(".git")).unwrap();
    std::fs::create_dir(job.home().join("sub")).unwrap();
    std::fs::rename(job.home().join("go.sum"), job.home().join("sub/go.sum")).unwrap();
    refused(&["sub/go.sum", "--data", ".data"]);
    refused(&["sub", "--data", ".data"]);

    // Reported only if it matters.
    let (code, said) = audit(&job, &["sub", "--no-policy", "--data", ".data"]);
    assert_eq!((code, said.contains(UNCOUNTED)), (Some(0), false), "{said}");
    job.write("sumgate.toml", "[policy]\npseudo-versions = \"deny\"\n");
    let (code, said) = audit(&job, &["sub", "--data", ".data"]);
    assert_eq!((code, said.contains(UNCOUNTED)), (Some(0), false), "{said}");
    // stdout stays a document.
    job.write("sumgate.toml", MIN_AGE);
    let mut command = job.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
    let output = command.args(["audit", "sub", "--data", ".data", "--format", "json"]).output().unwrap();
    assert!(serde_json::from_slice::<serde_json::Value>(&output.stdout).is_ok());
    assert!(String::from_utf8(output.stderr).unwrap().starts_with(&format!("sumgate: {UNCOUNTED}")));
}

fn run_and_serve() {
    let (origin, job) = job(MIN_AGE);
    let (url, sumdb) = (origin.url(), origin.gosumdb());
    audit(&job, &["--data", ".data"]);
    let data = job.home().join(".data");
    remember(&data, &[(100, origin.world().size())]);
    // The command is a request for the zip to its own mirror.
    let fetch = "import os, urllib.request, urllib.error\ntry:\n    answer = \
                 urllib.request.urlopen(os.environ['GOPROXY'] + '/example.com/hello/@v/v1.0.0.zip')\n    \
                 print(answer.status, answer.reason)\nexcept urllib.error.HTTPError as error:\n    print(error.code, \
                 error.reason)\n";
    let named = ["--upstream", &url, "--sumdb", &sumdb];
    let run =
        |data: &str| job.sumgate(&[&["run", "--data", data], &named[..], &["--", "python3", "-c", fetch]].concat());
    let (code, said) = run(".data");
    assert_eq!((code, said.matches(UNCOUNTED).count()), (Some(120), 1), "{said}");
    assert!(said.contains("403 Forbidden") && said.contains("its age is unknown"), "{said}");
    std::fs::rename(&data, job.root().join("data")).unwrap();
    let (code, said) = run(job.root().join("data").to_str().unwrap());
    assert_eq!((code, said.contains("200 OK"), said.contains(UNCOUNTED)), (Some(0), true, false), "{said}");

    // No tree under audit: the folder belongs to the mirror.
    let policy = job.home().join("sumgate.toml");
    let words = ["--upstream", &url, "--sumdb", &sumdb, "--policy", policy.to_str().unwrap()];
    std::fs::rename(job.root().join("data"), &data).unwrap();
    let mirror = Mirror::start_by(job.command(Path::new(env!("CARGO_BIN_EXE_sumgate"))), &data, &words);
    assert_eq!(get(&mirror.url, "/example.com/hello/@v/v1.0.0.zip").status, 200);
}

fn heads_of_another_user() {
    const NOBODY: Option<u32> = Some(65_534);
    const ROOT: Option<u32> = Some(0);
    let (origin, job) = job(MIN_AGE);
    let data = data(&job);
    audit(&job, &["--data", &data]);
    remember(&data, &[(100, origin.world().size())]);
    let heads = heads(&data);
    let state = heads.parent().unwrap();
    for path in [Path::new(&data), state.parent().unwrap(), state, &heads] {
        chown(path, NOBODY, None).unwrap();
        // Writers must own the files of the data folder; for readers the times do not count.
        let is_inside = path != Path::new(&data);
        let words = format!("{} belongs to user 65534, expected the user of this process, 0", path.display());
        if is_inside {
            let (code, said) = audit(&job, &["--data", &data]);
            assert!(code == Some(2) && said.contains(&words), "{}: {said}", path.display());
        }
        let offline = if is_inside { &["--offline"][..] } else { &[] };
        let (code, said) = audit(&job, &[offline, &["--data", &data]].concat());
        assert_eq!((code, said.matches(UNCOUNTED).count()), (Some(1), 1), "{}: {said}", path.display());
        assert!(said.contains(&words), "{said}");
        chown(path, ROOT, None).unwrap();
        let (code, said) = audit(&job, &["--data", &data]);
        assert_eq!((code, said.contains(UNCOUNTED)), (Some(0), false), "{}: {said}", path.display());
    }
    let mirror = |heads_of: Option<u32>, more: &[&str]| {
        chown(&heads, heads_of, None).unwrap();
        let policy = job.home().join("sumgate.toml");
        let words = ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb(), "--policy", policy.to_str().unwrap()];
        let mirror = Mirror::start_with(Path::new(&data), &[&words[..], more].concat());
        get(&mirror.url, "/example.com/hello/@v/v1.0.0.zip").status
    };
    assert_eq!((mirror(ROOT, &[]), mirror(NOBODY, &["--offline"])), (200, 403), "a mirror, too");
}

fn a_fresh_machine() {
    let (origin, job) = job(MIN_AGE);
    let data = data(&job);
    let words = "its age is unknown, and 7 days are required: no tree head was seen here between 7 days and 14 \
                 days ago. Keep the data folder (--data) between runs, or set unknown-age = \"old\" in the policy";
    let refused = || {
        let (code, said) = audit(&job, &["--data", &data]);
        assert_eq!((code, said.contains(words)), (Some(1), true), "{said}");
    };
    refused();
    // As with the built-in heads of an old program: a record that they do not cover is not young.
    remember(&data, &[(100, 300)]);
    refused();
    job.write("sumgate.toml", &format!("{MIN_AGE}unknown-age = \"old\"\n"));
    assert_eq!(audit(&job, &["--data", &data]).0, Some(0), "the way out");
    remember(&data, &[(100, 300), (15, 300)]);
    assert_eq!(audit(&job, &["--data", &data]).0, Some(0), "the newest is more than twice as old");
    // Ten days ago the record was not there.
    remember(&data, &[(100, 300), (10, 300)]);
    let (code, said) = audit(&job, &["--data", &data]);
    assert_eq!((code, said.contains("0 hours as far as is known")), (Some(1), true), "{said}");
    let size = origin.world().size();
    remember(&data, &[(100, size), (10, size)]);
    assert_eq!(audit(&job, &["--data", &data]).0, Some(0), "a hundred days ago it was");

    // A version without a record never has an age.
    job.write("sumgate.toml", MIN_AGE);
    let job = job.set("GONOSUMDB", "example.com/hello");
    let (code, found) = findings(&job, &["--data", &data]);
    assert_eq!((code, found[0].0.as_str()), (Some(1), "policy-denied"));
    let (_, said) = audit(&job, &["--data", &data]);
    assert!(said.contains("it is private: no log knows its age"), "{said}");
}

fn a_log_that_rests() {
    let (origin, job) = job(&format!("{MIN_AGE}unknown-age = \"old\"\n"));
    let data = data(&job);
    audit(&job, &["--data", &data]);
    let size = origin.world().size();
    remember(&data, &[(60, size)]);
    // Another lookup: the log did not grow.
    job.write("go.sum", line_of(&honest(&origin), "example.com/hello v1.1.0 "));
    assert_eq!(audit(&job, &["--data", &data]).0, Some(0));
    assert_eq!(remembered(&data), [(60, size), (0, size)]);
    // Eight days later it grew.
    remember(&data, &[(68, size), (8, size)]);
    origin.world().add_simple("example.com/new@v1.0.0", "", "package new\n");
    job.write("go.sum", line_of(&honest(&origin), "example.com/new v1.0.0 "));
    let (code, said) = audit(&job, &["--data", &data]);
    assert_eq!((code, said.contains("0 hours as far as is known")), (Some(1), true), "{said}");
}

fn private() {
    for (policy, words) in [
        (MIN_AGE, "it is private: no log knows its age, and 7 days are required; an [[exception]] lets it in"),
        ("[policy]\nunknown-modules = \"deny\"\n", "it is private: no log knows it; an [[exception]] lets it in"),
    ] {
        for excepted in [false, true] {
            let (origin, job) = job(policy);
            if excepted {
                let exception = "[[exception]]\nmodule = \"example.com/hello\"\n\
                                 from = [\"min-age\", \"unknown-modules\"]\nreason = \"ours\"\nexpires = 2999-01-01\n";
                job.write("sumgate.toml", &format!("{policy}{exception}"));
            }
            let (url, sumdb, file) = (origin.url(), origin.gosumdb(), job.home().join("sumgate.toml"));
            let words_of_serve = ["--upstream", &url, "--sumdb", &sumdb, "--nosumdb", "example.com/hello", "--policy"];
            let words_of_serve = [&words_of_serve[..], &[file.to_str().unwrap()]].concat();
            let mirror = Mirror::start_with(&job.root().join("served"), &words_of_serve);
            let served = get(&mirror.url, "/example.com/hello/@v/v1.0.0.zip");
            let job = job.set("GONOSUMDB", "example.com/hello");
            let audited = audit(&job, &["--data", &data(&job)]);
            let why = job.sumgate(&["why", "example.com/hello@v1.0.0", "--data", &data(&job)]);
            if excepted {
                assert_eq!((served.status, audited.0, why.0), (200, Some(0), Some(0)), "{} {}", audited.1, why.1);
                continue;
            }
            assert_eq!((served.status, audited.0, why.0), (403, Some(1), Some(1)), "{} {}", audited.1, why.1);
            for said in [served.text(), audited.1, why.1] {
                assert!(said.contains(words), "{said}");
            }
        }
    }
}
