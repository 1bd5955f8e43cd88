//! Tests for every implementation of the traits of this room.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::NamedTempFile;

use super::blobs::local::LocalBlobs;
use super::blobs::memory::MemoryBlobs;
use super::state::local::LocalState;
use super::state::memory::MemoryState;
use super::{Blobs, Modes, StagingFile, State, StoreError, Swap};

const MAX: usize = 100;
const KEY: &str = "a.example/hello/@v/v1.0.0.zip";
const BLOBS: [fn(&dyn Blobs); 5] = [of_two_puts_the_first_stays, of_many_puts_one_stays, missing_files, lists, deletes];
const STATES: [fn(&dyn State); 6] =
    [swaps_once, of_two_swaps_one_wins, has_bounds, loses_no_line, lease_excludes, refuses_names];

#[test]
fn files_of_this_machine_are_blobs() {
    for held in BLOBS.iter().chain([&(refuses_keys as fn(&dyn Blobs))]) {
        let folder = tempfile::tempdir().unwrap();
        held(&LocalBlobs::new(folder.path().join("blobs"), Modes::Private));
    }
}

#[test]
fn blobs_in_memory_are_blobs() {
    for held in BLOBS.iter().chain([&(refuses_keys as fn(&dyn Blobs))]) {
        held(&MemoryBlobs::default());
    }
}

#[test]
fn files_of_this_machine_are_state() {
    for held in STATES {
        let folder = tempfile::tempdir().unwrap();
        held(&LocalState::new(folder.path().to_owned(), Modes::Private));
    }
}

#[test]
fn state_in_memory_is_state() {
    for held in STATES {
        held(&MemoryState::default());
    }
}

fn staged(text: &str) -> StagingFile {
    let (mut file, path) = NamedTempFile::new().unwrap().into_parts();
    file.write_all(text.as_bytes()).unwrap();
    StagingFile { file, path }
}

fn put(blobs: &dyn Blobs, key: &str, text: &str) -> Result<File, StoreError> {
    blobs.put(key, staged(text))
}

fn read(blobs: &dyn Blobs, key: &str) -> Option<String> {
    blobs.get(key).unwrap().map(|mut file| {
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        text
    })
}

fn of_two_puts_the_first_stays(blobs: &dyn Blobs) {
    put(blobs, KEY, "first").unwrap();
    let mut other = put(blobs, KEY, "second").unwrap();
    assert_eq!(read(blobs, KEY).as_deref(), Some("first"));
    let mut own = String::new();
    other.rewind().and_then(|()| other.read_to_string(&mut own)).unwrap();
    assert_eq!(own, "second", "each caller gets its own file back");
}

fn of_many_puts_one_stays(blobs: &dyn Blobs) {
    let start = Barrier::new(8);
    for round in 0..20 {
        let key = format!("a.example/{round}");
        let seen = thread::scope(|scope| {
            let one = |nth: usize| {
                start.wait();
                put(blobs, &key, &nth.to_string()).unwrap();
                read(blobs, &key)
            };
            let all: Vec<_> = (0..8).map(|nth| scope.spawn(move || one(nth))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(seen[0].is_some() && seen.iter().all(|text| *text == seen[0]), "{seen:?}");
    }
}

fn missing_files(blobs: &dyn Blobs) {
    assert_eq!(read(blobs, KEY), None);
    assert_eq!(blobs.list("", 0).unwrap(), [""; 0]);
    blobs.delete(KEY).unwrap();
    put(blobs, KEY, "a file").unwrap();
    assert_eq!(read(blobs, "a.example/hello"), None, "a folder is no file");
    assert_eq!(read(blobs, &format!("{KEY}/below")), None);
    blobs.delete("a.example/hello").unwrap();
    assert_eq!(read(blobs, KEY).as_deref(), Some("a file"));
}

fn lists(blobs: &dyn Blobs) {
    for key in ["b/2", "a/x/2", "a/x/1", "a/x-1", "a/y/z", "ab/1"] {
        put(blobs, key, key).unwrap();
    }
    assert_eq!(blobs.list("", 6).unwrap(), ["a/x-1", "a/x/1", "a/x/2", "a/y/z", "ab/1", "b/2"]);
    assert_eq!(blobs.list("a", 4).unwrap(), ["a/x-1", "a/x/1", "a/x/2", "a/y/z"]);
    assert_eq!(blobs.list("a/x", 2).unwrap(), ["a/x/1", "a/x/2"]);
    assert_eq!(blobs.list("a/none", 0).unwrap(), [""; 0]);
    let error = blobs.list("a", 3).unwrap_err().to_string();
    assert!(error.contains("expected at most 3 files"), "{error}");
}

fn deletes(blobs: &dyn Blobs) {
    put(blobs, KEY, "first").unwrap();
    let mut open = blobs.get(KEY).unwrap().unwrap();
    blobs.delete(KEY).unwrap();
    assert_eq!((read(blobs, KEY), blobs.list("", 1).unwrap().len()), (None, 0));
    put(blobs, KEY, "second").unwrap();
    assert_eq!(read(blobs, KEY).as_deref(), Some("second"));
    let mut text = String::new();
    open.read_to_string(&mut text).unwrap();
    assert_eq!(text, "first", "an open file stays as it is");
}

fn hostile() -> Vec<String> {
    let mut keys: Vec<String> = ["", "..", ".", "/etc/passwd", "a/../b", "../a", "a/..", "a/./b", "a//b", "a/", "a\0b"]
        .map(String::from)
        .into();
    keys.push("a".repeat(1281));
    keys
}

fn refuses_keys(blobs: &dyn Blobs) {
    for key in hostile() {
        let answers = [
            put(blobs, &key, "x").err(),
            blobs.get(&key).err(),
            blobs.delete(&key).err(),
            // Without a folder all are listed.
            if key.is_empty() { blobs.get(&key).err() } else { blobs.list(&key, 1).err() },
        ];
        for error in answers {
            let error = error.unwrap_or_else(|| panic!("{key:?} is taken")).to_string();
            assert!(error.contains("expected a relative path of at most 1280 bytes"), "{error}");
        }
    }
    assert_eq!(blobs.list("", 0).unwrap(), [""; 0]);
    // As long as a key may be; a file system may take shorter ones alone, and has nothing at the others.
    let long = ["abcdefghi/"; 128].concat().trim_end_matches('/').to_owned();
    assert_eq!(read(blobs, &"a".repeat(1280)), None);
    put(blobs, &long, "x").unwrap();
    assert_eq!(blobs.list("", 1).unwrap(), [long]);
}

fn value(state: &dyn State, name: &str) -> Option<String> {
    state.get(name, MAX).unwrap().map(|bytes| String::from_utf8(bytes).unwrap())
}

fn swap(state: &dyn State, expected: Option<&str>, new: &str) -> Swap {
    state.compare_and_swap("head", MAX, expected.map(str::as_bytes), new.as_bytes()).unwrap()
}

fn swaps_once(state: &dyn State) {
    let conflict = |there: Option<&str>| Swap::Conflict(there.map(|text| text.as_bytes().to_vec()));
    assert_eq!(value(state, "head"), None);
    assert_eq!(swap(state, Some("first"), "second"), conflict(None));
    assert_eq!(swap(state, None, "first"), Swap::Swapped);
    assert_eq!(swap(state, None, "other"), conflict(Some("first")), "it says what is there");
    assert_eq!(swap(state, Some("firs"), "other"), conflict(Some("first")));
    assert_eq!(value(state, "head").as_deref(), Some("first"));
    assert_eq!(swap(state, Some("first"), ""), Swap::Swapped);
    assert_eq!(swap(state, None, "other"), conflict(Some("")), "an empty value is one");
    assert_eq!(swap(state, Some(""), "third"), Swap::Swapped);
    assert_eq!((value(state, "head").as_deref(), value(state, "tail")), (Some("third"), None));
}

fn of_two_swaps_one_wins(state: &dyn State) {
    let start = Barrier::new(2);
    let mut now: Option<String> = None;
    for round in 0..50 {
        let ends = thread::scope(|scope| {
            let (now, start) = (now.as_deref(), &start);
            let both = [0, 1].map(|nth| {
                scope.spawn(move || {
                    start.wait();
                    swap(state, now, &format!("{round} {nth}"))
                })
            });
            both.map(|one| one.join().unwrap())
        });
        let won = ends.iter().position(|end| *end == Swap::Swapped).unwrap();
        let new = format!("{round} {won}");
        assert_eq!(ends[1 - won], Swap::Conflict(Some(new.clone().into_bytes())));
        assert_eq!(value(state, "head").as_ref(), Some(&new));
        now = Some(new);
    }
}

fn has_bounds(state: &dyn State) {
    let largest = "x".repeat(MAX);
    assert_eq!(swap(state, None, &largest), Swap::Swapped);
    let error = state.compare_and_swap("head", MAX, Some(largest.as_bytes()), &[0; MAX + 1]).unwrap_err().to_string();
    assert!(error.contains("expected at most 100 bytes, found 101"), "{error}");
    assert_eq!(value(state, "head"), Some(largest));
    // Written with a larger limit than that of the reader: treated as missing, and replaced.
    assert_eq!(state.get("head", MAX - 1).unwrap(), None);
    assert_eq!(state.compare_and_swap("head", MAX - 1, None, b"new").unwrap(), Swap::Swapped);
    assert_eq!(value(state, "head").as_deref(), Some("new"));
}

fn loses_no_line(state: &dyn State) {
    let line = |writer: usize, nth: usize| format!("writer {writer}, line {nth}\n");
    thread::scope(|scope| {
        for writer in 0..4 {
            scope.spawn(move || (0..50).for_each(|nth| state.append("lines", line(writer, nth).as_bytes()).unwrap()));
        }
    });
    let text = String::from_utf8(state.get("lines", 1 << 20).unwrap().unwrap()).unwrap();
    assert_eq!(text.lines().count(), 200);
    for writer in 0..4 {
        let own: String =
            text.split_inclusive('\n').filter(|line| line.contains(&format!("writer {writer},"))).collect();
        assert_eq!(own, (0..50).map(|nth| line(writer, nth)).collect::<String>(), "in their order");
    }
}

fn lease_excludes(state: &dyn State) {
    let (held, is_taken) = (state.lease("list").unwrap(), AtomicBool::new(false));
    drop(state.lease("other").unwrap());
    thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let _held = state.lease("list").unwrap();
            is_taken.store(true, Ordering::SeqCst);
        });
        thread::sleep(Duration::from_millis(100));
        assert!(!is_taken.load(Ordering::SeqCst), "it is held");
        drop(held);
        waits.join().unwrap();
    });
    drop(state.lease("list").unwrap());
}

fn refuses_names(state: &dyn State) {
    for name in hostile().into_iter().chain(["a/b".to_owned()]) {
        let answers = [
            state.get(&name, MAX).err(),
            state.compare_and_swap(&name, MAX, None, b"x").err(),
            state.append(&name, b"x").err(),
            state.lease(&name).err(),
        ];
        for error in answers {
            let error = error.unwrap_or_else(|| panic!("{name:?} is taken")).to_string();
            assert!(error.contains("expected a relative path") || error.contains("expected one element"), "{error}");
        }
    }
}

/// The folder of the child process that is killed.
const SWAPS: &str = "SUMGATE_TEST_SWAPS";

/// A value in which every line shows whether it is torn.
fn numbered(nth: usize) -> String {
    format!("{nth:6}\n").repeat(10_000)
}

/// Swaps to the next number, `times` times.
fn count_up(dir: &Path, times: usize) {
    let state = LocalState::new(dir.to_owned(), Modes::Private);
    let get = || state.get("head", 1 << 20).unwrap();
    for _ in 0..times {
        let now = get();
        let nth = now.as_ref().map_or(0, |text| String::from_utf8_lossy(&text[..6]).trim().parse().unwrap());
        assert!(now.as_deref().is_none_or(|text| text == numbered(nth).as_bytes()), "torn after {nth}");
        let end = state.compare_and_swap("head", 1 << 20, now.as_deref(), numbered(nth + 1).as_bytes()).unwrap();
        assert_eq!(end, Swap::Swapped);
    }
}

/// A process that is killed at any time leaves the whole old or new value, and a free lock.
#[test]
fn a_crash_leaves_the_old_value_or_the_new_one() {
    if let Some(dir) = std::env::var_os(SWAPS) {
        // This is the child process, which is killed; it would also end by itself.
        return count_up(Path::new(&dir), 100_000);
    }
    let folder = tempfile::tempdir().unwrap();
    count_up(folder.path(), 1);
    for nth in 0..20 {
        let before = fs::read(folder.path().join("head")).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "store::conformance::a_crash_leaves_the_old_value_or_the_new_one"]);
        let mut child = child.env(SWAPS, folder.path()).stdout(std::process::Stdio::null()).spawn().unwrap();
        while fs::read(folder.path().join("head")).unwrap() == before {
            assert_eq!(child.try_wait().unwrap(), None, "it swaps until it is killed");
        }
        thread::sleep(Duration::from_micros(nth * 321));
        child.kill().unwrap();
        child.wait().unwrap();
        count_up(folder.path(), 1);
    }
}

/// Anything but a regular file was not put by this program.
#[test]
fn a_put_replaces_anything_but_a_file_and_no_link_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = LocalBlobs::new(folder.path().canonicalize().unwrap().join("blobs"), Modes::Private);
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir_all(blobs.dir().join("a")).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("file"), "precious").unwrap();
    let link = |to: &str, key: &str| std::os::unix::fs::symlink(elsewhere.join(to), blobs.dir().join(key)).unwrap();
    link("file", "a/file");
    assert_eq!(read(&blobs, "a/file"), None);
    put(&blobs, "a/file", "first").unwrap();
    assert_eq!(read(&blobs, "a/file").as_deref(), Some("first"));
    link("", "b");
    assert_eq!((read(&blobs, "b/file"), blobs.list("b", 9).unwrap().len()), (None, 0));
    assert!(put(&blobs, "b/new", "x").is_err());
    blobs.delete("b/file").unwrap();
    assert_eq!(fs::read_to_string(elsewhere.join("file")).unwrap(), "precious");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1);
}
