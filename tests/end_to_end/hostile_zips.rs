//! Zips that are designed to cost memory or time: they are read before their hash can be compared.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gomodule::module::ModuleVersion;
use libtest_mimic::Trial;
use testkit::{Fault, Origin, World};

use crate::audit::{audit, findings};
use crate::fixture::{Answer, Go, Mirror, files, get, go_trial, origin, run, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("hostile zips: any zip of 10 MB costs less than 64 MB of memory", memory),
        trial("hostile zips: half a million entries do not occupy a hashing slot", half_a_million_entries),
        trial("hostile zips: one over a limit is refused and not kept, and its upstream is not marked", over_a_bound),
        trial("hostile zips: after one over a limit the next upstream is asked", next_source),
        trial("hostile zips: one over a limit in the store is fetched again, or refused offline", in_the_store),
        go_trial("hostile zips: audit lists one over a limit as not checked", audited),
    ]
}

const MODULE: &str = "a.io/b@v1.0.0";
const PATH: &str = "/a.io/b/@v/v1.0.0.zip";
/// The largest zip for which the memory limit is promised.
const LARGEST: usize = 10 << 20;
/// The memory limit of the whole process.
const MEMORY: u64 = 64 << 20;

/// Properties of an entry.
#[derive(Clone, Copy, Default)]
struct Extra {
    /// Bytes in the local header's extra field.
    local: u16,
    /// Bytes in the comment of the directory.
    comment: u16,
    /// An empty deflated file followed by a descriptor, as `go` writes it.
    deflated: bool,
}

/// A zip of empty files, written by hand.
#[derive(Default)]
struct Zip {
    parts: Vec<u8>,
    directory: Vec<u8>,
    entries: u64,
}

impl Zip {
    fn add(&mut self, name: &str, extra: Extra) {
        let u16s = |out: &mut Vec<u8>, values: &[u16]| values.iter().for_each(|value| out.extend(value.to_le_bytes()));
        let (flags, method, packed) = if extra.deflated { (8, 8, 2_u32) } else { (0, 0, 0) };
        let header = u32::try_from(self.parts.len()).unwrap();
        let length = u16::try_from(name.len()).unwrap();
        self.parts.extend(b"PK\x03\x04");
        u16s(&mut self.parts, &[20, flags, method, 0, 0]);
        self.parts.extend([0; 12]);
        u16s(&mut self.parts, &[length, extra.local]);
        self.parts.extend(name.as_bytes());
        self.parts.extend(std::iter::repeat_n(0, extra.local.into()));
        if extra.deflated {
            self.parts.extend([3, 0]);
            self.parts.extend(b"PK\x07\x08\0\0\0\0");
            self.parts.extend(packed.to_le_bytes());
            self.parts.extend([0; 4]);
        }
        self.directory.extend(b"PK\x01\x02");
        u16s(&mut self.directory, &[20, 20, flags, method, 0, 0, 0, 0]);
        self.directory.extend(packed.to_le_bytes());
        self.directory.extend([0; 4]);
        u16s(&mut self.directory, &[length, 0, extra.comment, 0, 0]);
        self.directory.extend([0; 4]);
        self.directory.extend(header.to_le_bytes());
        self.directory.extend(name.as_bytes());
        self.directory.extend(std::iter::repeat_n(0, extra.comment.into()));
        self.entries += 1;
    }

    fn len(&self) -> usize {
        self.parts.len() + self.directory.len() + 98
    }

    /// With zip64 end records, which count any number of entries.
    fn finish(mut self) -> Bytes {
        let (offset, length) = (self.parts.len() as u64, self.directory.len() as u64);
        self.parts.append(&mut self.directory);
        let start = self.parts.len() as u64;
        let mut end = b"PK\x06\x06".to_vec();
        end.extend(44_u64.to_le_bytes());
        end.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        end.extend([self.entries, self.entries, length, offset].into_iter().flat_map(u64::to_le_bytes));
        end.extend(b"PK\x06\x07\0\0\0\0");
        end.extend(start.to_le_bytes());
        end.extend(1_u32.to_le_bytes());
        end.extend(b"PK\x05\x06\0\0\0\0");
        end.extend([0xff; 12]);
        end.extend([0, 0]);
        self.parts.extend(end);
        Bytes::from(self.parts)
    }
}

/// A zip of as many entries as fit into `most` bytes, each named by its number.
fn full(most: usize, extra: Extra, name: impl Fn(u32) -> String) -> Bytes {
    let mut zip = Zip::default();
    for nth in 0.. {
        let name = format!("{MODULE}/{}", name(nth));
        if zip.len() + 200 + 2 * name.len() + usize::from(extra.local) + usize::from(extra.comment) > most {
            break;
        }
        zip.add(&name, extra);
    }
    zip.finish()
}

/// A name of `length` bytes whose folders are below one that no other name has.
fn deep(nth: u32, folder: &str, length: usize) -> String {
    let mut name = format!("{nth:x}");
    while name.len() + folder.len() < length {
        name.push_str(folder);
    }
    name
}

/// Zips of up to 10 MB that cost memory in different ways.
fn hostile() -> Vec<(&'static str, Bytes)> {
    let plain = Extra::default();
    let base36 = |nth: u32| {
        let digit = |nth: u32| char::from_digit(nth % 36, 36).unwrap();
        [nth / 46_656, nth / 1296, nth / 36, nth].map(digit).iter().collect::<String>()
    };
    let zeros = {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file(format!("{MODULE}/zeros"), zip::write::SimpleFileOptions::default()).unwrap();
        std::io::copy(&mut std::io::Read::take(std::io::repeat(0), 400 << 20), &mut zip).unwrap();
        Bytes::from(zip.finish().unwrap().into_inner())
    };
    // One name of 60,000 bytes needs two prefixes of each of its 30,000 folders.
    let one_name = full(150 << 10, plain, |_| deep(0, "/a", 60_000));
    vec![
        ("one name of 60,000 bytes", one_name),
        ("names of 4,096 bytes, all of folders", full(LARGEST, plain, |nth| deep(nth, "/a", 4000))),
        ("names of 4,096 bytes, half of folders", full(LARGEST, plain, |nth| deep(nth, "/abcdefgh", 4000))),
        ("names that grow when they are folded", full(LARGEST, plain, |nth| deep(nth, "/ȺȺ", 4000))),
        ("empty files with short names", full(LARGEST, plain, base36)),
        ("empty files, deflated", full(LARGEST, Extra { deflated: true, ..plain }, base36)),
        ("names of 255 bytes", full(LARGEST, plain, |nth| format!("{nth:0>255}"))),
        ("comments of 65,535 bytes", full(LARGEST, Extra { comment: u16::MAX, ..plain }, base36)),
        ("extra fields of 65,535 bytes", full(LARGEST, Extra { local: u16::MAX, ..plain }, base36)),
        ("zeros that become 400 MB", zeros),
    ]
}

/// An origin whose zip of the module is this one; the database has a record of another.
fn sending(zip: &Bytes) -> Origin {
    let mut world = World::demo();
    world.add_simple(MODULE, "", "package b\n");
    let origin = origin(world);
    origin.misbehave(PATH, Fault::Body(zip.clone()));
    origin
}

/// The most memory that a process had so far.
fn peak(mirror: &Mirror) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", mirror.process.0.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

fn refused(answer: &Answer) -> (u16, Option<&str>) {
    (answer.status, answer.header("x-sumgate-refused"))
}

fn memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = Vec::new();
    for (nth, (what, zip)) in hostile().into_iter().enumerate() {
        assert!(zip.len() <= LARGEST, "{what}: {}", zip.len());
        let origin = sending(&zip);
        let mirror = Mirror::start(&origin, &folder.path().join(nth.to_string()));
        let before = peak(&mirror);
        let start = Instant::now();
        let answer = get(&mirror.url, PATH);
        let (took, peak) = (start.elapsed(), peak(&mirror));
        // All but the first are within the limits, and are hashed to the end.
        let (code, words) = if nth == 0 { ("unsupported-zip", "file name") } else { ("wrong-bytes", "upstream: h1:") };
        assert_eq!(refused(&answer), (403, Some(code)), "{what}: {}", answer.text());
        assert!(answer.text().contains(words), "{what}: {}", answer.text());
        told.push(format!("{what}: {} MB, before {} MB, {took:.1?}", peak >> 20, before >> 20));
        if peak >= MEMORY {
            told.push(format!("TOO MUCH: {what}: {}", answer.text()));
        }
    }
    println!("{}", told.join("\n"));
    assert!(!told.iter().any(|line| line.starts_with("TOO MUCH")), "{told:#?}");
}

fn half_a_million_entries() {
    let mut zip = Zip::default();
    (0..500_000).for_each(|nth| zip.add(&format!("{MODULE}/{nth}"), Extra::default()));
    let zip = zip.finish();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("many.zip");
    std::fs::write(&file, &zip).unwrap();
    let start = Instant::now();
    let output = run(&["hash", file.to_str().unwrap()]);
    let (took, said) = (start.elapsed(), String::from_utf8(output.stderr).unwrap());
    assert!(said.contains("files in the zip: expected at most 200000, found 500000"), "{took:?}: {said}");
    assert!(took < Duration::from_secs(1), "{took:?}");
}

/// A small zip that exceeds a limit.
fn too_long() -> Bytes {
    full(16 << 10, Extra::default(), |_| deep(0, "/abc", 5000))
}

fn over_a_bound() {
    let origin = sending(&too_long());
    let folder = tempfile::tempdir().unwrap();
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    let answer = get(&mirror.url, PATH);
    assert_eq!(refused(&answer), (403, Some("unsupported-zip")), "{}", answer.text());
    assert!(answer.text().contains("bytes in a file name: expected at most 4096, found 5"), "{}", answer.text());
    assert!(answer.text().contains("docs/refused.md"), "{}", answer.text());
    assert_eq!(mirror.quarantine().into_keys().collect::<Vec<_>>(), [""; 0]);
    let element = full(16 << 10, Extra::default(), |nth| format!("{nth:0>256}"));
    origin.misbehave(PATH, Fault::Body(element));
    let answer = get(&mirror.url, PATH);
    assert_eq!(refused(&answer), (403, Some("unsupported-zip")), "{}", answer.text());
    assert!(answer.text().contains("an element of a file name: expected at most 255, found 256"), "{}", answer.text());
    // The upstream is not marked: it is asked again at once, and its new zip is served.
    origin.behave();
    assert_eq!(get(&mirror.url, PATH).status, 200);
    assert_eq!(mirror.quarantine().into_keys().collect::<Vec<_>>(), [""; 0]);
}

fn next_source() {
    let hostile = sending(&too_long());
    let mut world = World::demo();
    world.add_simple(MODULE, "", "package b\n");
    let honest = origin(world);
    let folder = tempfile::tempdir().unwrap();
    let upstreams = format!("{},{}", hostile.url(), honest.url());
    let more = ["--upstream", &upstreams, "--sumdb", &honest.gosumdb()];
    let mirror = Mirror::start_with(&folder.path().join("data"), &more);
    let answer = get(&mirror.url, PATH);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(hostile.asked(PATH) > 0);
}

fn in_the_store() {
    let mut world = World::demo();
    world.add_simple(MODULE, "", "package b\n");
    let origin = origin(world);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let place = data.join("proxy/a.io/b/@v/v1.0.0.zip");
    let mirror = Mirror::start(&origin, &data);
    assert_eq!(get(&mirror.url, PATH).status, 200);
    drop(mirror);
    let honest = std::fs::read(&place).unwrap();
    std::fs::write(&place, too_long()).unwrap();
    let offline = Mirror::start_with(&data, &["--offline", "--sumdb", &origin.gosumdb()]);
    let answer = get(&offline.url, PATH);
    assert_eq!(refused(&answer), (403, Some("unsupported-zip")), "{}", answer.text());
    drop(offline);
    let mirror = Mirror::start(&origin, &data);
    assert_eq!(get(&mirror.url, PATH).body, honest);
    assert_eq!(std::fs::read(&place).unwrap(), honest);
    assert_eq!(files(&data.join("quarantine")).into_keys().collect::<Vec<_>>(), [""; 0]);
}

fn audited(go: &Path) {
    let mut world = World::demo();
    let module: ModuleVersion = world.add_simple(MODULE, "", "package b\n");
    let origin = origin(world);
    let home = Go::new(go, &origin.url(), &origin.gosumdb());
    home.must(&["mod", "download", &module.to_string()]);
    assert_eq!(audit(&home, &["--modcache"]).0, Some(0));
    let zip = home.module_cache().join("cache/download").join(PATH.trim_start_matches('/'));
    std::fs::write(&zip, too_long()).unwrap();
    let (code, output) = audit(&home, &["--modcache"]);
    assert_eq!(code, Some(2), "{output}");
    assert!(output.contains("not checked") && output.contains("expected at most 4096"), "{output}");
    assert_eq!(findings(&home, &["--modcache"]), (Some(2), vec![]));
}
