//! Zips that are built byte by byte, each invalid in one way.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write;

use crc32fast::Hasher as Crc32;
use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::*;
use crate::dirhash::NameError;
use crate::dirhash::directory::LOCAL_LEN;

/// An entry, with all properties that can be invalid.
#[derive(Clone)]
struct Part {
    name: &'static str,
    local_name: &'static str,
    method: u16,
    flags: u16,
    data: Vec<u8>,
    crc: u32,
    unpacked: u32,
    /// The CRC and the sizes in the local header are 0.
    is_open: bool,
    /// `None`: no descriptor; `Some(true)`: one with its signature.
    descriptor: Option<bool>,
    /// The number of bytes before the local header that belong to no part.
    gap: usize,
}

fn part(name: &'static str, content: &[u8]) -> Part {
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
    deflate.write_all(content).unwrap();
    let mut crc = Crc32::new();
    crc.update(content);
    let (data, crc, unpacked) = (deflate.finish().unwrap(), crc.finalize(), u32::try_from(content.len()).unwrap());
    Part { name, local_name: name, method: 8, flags: 0, data, crc, unpacked, is_open: false, descriptor: None, gap: 0 }
}

fn numbers(part: &Part, out: &mut Vec<u8>) {
    out.extend(part.crc.to_le_bytes());
    out.extend(u32::try_from(part.data.len()).unwrap().to_le_bytes());
    out.extend(part.unpacked.to_le_bytes());
}

fn u16s(out: &mut Vec<u8>, values: &[u16]) {
    for value in values {
        out.extend(value.to_le_bytes());
    }
}

/// The zip of these parts; `entries` is the number in the end record.
fn build(parts: &[Part], entries: u16) -> Vec<u8> {
    let (mut zip, mut directory) = (Vec::new(), Vec::new());
    for part in parts {
        zip.extend(std::iter::repeat_n(0, part.gap));
        let header = u32::try_from(zip.len()).unwrap();
        zip.extend(b"PK\x03\x04");
        u16s(&mut zip, &[20, part.flags, part.method, 0, 0]);
        if part.is_open {
            zip.extend([0; 12]);
        } else {
            numbers(part, &mut zip);
        }
        u16s(&mut zip, &[u16::try_from(part.local_name.len()).unwrap(), 0]);
        zip.extend(part.local_name.as_bytes());
        zip.extend(&part.data);
        if let Some(signed) = part.descriptor {
            zip.extend(if signed { &b"PK\x07\x08"[..] } else { &[] });
            numbers(part, &mut zip);
        }
        directory.extend(b"PK\x01\x02");
        u16s(&mut directory, &[20, 20, part.flags, part.method, 0, 0]);
        numbers(part, &mut directory);
        u16s(&mut directory, &[u16::try_from(part.name.len()).unwrap(), 0, 0, 0, 0]);
        directory.extend([0; 4]);
        directory.extend(header.to_le_bytes());
        directory.extend(part.name.as_bytes());
    }
    let offset = u32::try_from(zip.len()).unwrap();
    zip.extend(&directory);
    zip.extend(b"PK\x05\x06");
    u16s(&mut zip, &[0, 0, entries, entries]);
    zip.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
    zip.extend(offset.to_le_bytes());
    u16s(&mut zip, &[0]);
    zip
}

fn hash_bytes(zip: &[u8]) -> Result<ZipReport, ZipError> {
    let (mut file, limits) = (tempfile::tempfile().unwrap(), ZipLimits::default());
    file.write_all(zip).unwrap();
    let module = ModuleVersion::parse("a.com/m@v1.0.0").unwrap();
    let strict = hash_module_zip(&file, &module, &limits);
    // The stream hasher gives the same result, in whatever pieces the bytes arrive.
    for piece in [1, 7, 64, zip.len().max(1)] {
        let read = hash_module_zip_streamed(&file, &module, &limits, &streamed(zip, piece, &limits));
        assert_eq!(format!("{read:?}"), format!("{strict:?}"), "in pieces of {piece}");
    }
    strict
}

/// The position and the length of the data of an entry without an extra field.
fn data_of(directory: &Directory, nth: usize) -> (usize, usize) {
    let entry = &directory.entries[nth];
    let header = usize::try_from(entry.header).unwrap();
    (header + LOCAL_LEN + directory.name(entry).len(), usize::try_from(entry.packed).unwrap())
}

fn streamed(zip: &[u8], piece: usize, limits: &ZipLimits) -> StreamHasher {
    let mut stream = StreamHasher::new(limits);
    zip.chunks(piece).for_each(|piece| stream.feed(piece));
    stream
}

fn hash_once(parts: &[Part]) -> Result<ZipReport, ZipError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&build(parts, u16::try_from(parts.len()).unwrap())).unwrap();
    hash_module_zip(&file, &ModuleVersion::parse("a.com/m@v1.0.0").unwrap(), &ZipLimits::default())
}

fn hash(parts: &[Part]) -> Result<ZipReport, ZipError> {
    hash_bytes(&build(parts, u16::try_from(parts.len()).unwrap()))
}

const GO_MOD: &str = "a.com/m@v1.0.0/go.mod";
const FILE: &str = "a.com/m@v1.0.0/a.go";

fn honest() -> Vec<Part> {
    vec![part(GO_MOD, b"module a.com/m\n"), part(FILE, &b"package m\n".repeat(50))]
}

/// The honest zip with its second part changed.
fn changed(change: impl FnOnce(&mut Part)) -> Result<ZipReport, ZipError> {
    let mut parts = honest();
    change(&mut parts[1]);
    hash(&parts)
}

#[test]
fn all_ways_to_write_an_honest_zip_have_one_hash() {
    let expected = hash(&honest()).unwrap();
    assert_eq!((expected.files, expected.unpacked), (2, 15 + 500));
    let mut reversed = honest();
    reversed.reverse();
    assert_eq!(hash(&reversed).unwrap().h1, expected.h1, "order does not count");
    for signed in [true, false] {
        let with_descriptor = changed(|part| {
            (part.flags, part.is_open, part.descriptor) = (8, true, Some(signed));
        });
        assert_eq!(with_descriptor.unwrap().h1, expected.h1, "a descriptor after the data, as go writes it");
    }
    let stored = changed(|part| (part.method, part.data) = (0, b"package m\n".repeat(50)));
    assert_eq!(stored.unwrap().h1, expected.h1);
    let other = changed(|other| *other = part(FILE, b"package other\n"));
    assert_ne!(other.unwrap().h1, expected.h1);
}

#[test]
fn entries_hashed_in_the_stream_are_not_read_again() {
    let limits = ZipLimits::default();
    let module = ModuleVersion::parse("a.com/m@v1.0.0").unwrap();
    let ways: [fn(&mut Part); 4] = [
        |_| {},
        |part| (part.flags, part.is_open, part.descriptor) = (8, true, Some(true)),
        |part| (part.flags, part.is_open, part.descriptor) = (8, true, Some(false)),
        |part| (part.method, part.data) = (0, b"package m\n".repeat(50)),
    ];
    for way in ways {
        let mut parts = honest();
        parts.push(part("a.com/m@v1.0.0/empty", b""));
        way(&mut parts[1]);
        let zip = build(&parts, 3);
        let (mut file, mut hollow) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        file.write_all(&zip).unwrap();
        let expected = hash_module_zip(&file, &module, &limits).unwrap();
        // The same file with the data of an entry overwritten, which must not be read.
        let mut without = zip.clone();
        let (data, packed) = data_of(&directory(&file, &limits).unwrap(), 1);
        without[data..data + packed].fill(0);
        hollow.write_all(&without).unwrap();
        for piece in [1, 5, zip.len()] {
            let read = hash_module_zip_streamed(&hollow, &module, &limits, &streamed(&zip, piece, &limits));
            assert_eq!(read.unwrap(), expected);
        }
    }
}

#[test]
fn the_stream_hasher_stops_at_a_zip_bomb() {
    let limits = ZipLimits { zip: 1000, ..ZipLimits::default() };
    let bomb = build(&[part(FILE, &vec![0; 1 << 20])], 1);
    let stream = streamed(&bomb, 64, &limits);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bomb).unwrap();
    let directory = directory(&file, &ZipLimits::default()).unwrap();
    assert!(stream.sha256(&directory.entries[0], data_of(&directory, 0).0 as u64).is_none());
}

#[test]
fn many_threads_find_the_same_hash_as_one() {
    let content = b"0123456789abcdef".repeat(60_000);
    let names = [FILE, GO_MOD, "a.com/m@v1.0.0/b", "a.com/m@v1.0.0/c", "a.com/m@v1.0.0/d", "a.com/m@v1.0.0/e"];
    let parts: Vec<Part> = names.iter().enumerate().map(|(nth, name)| part(name, &content[nth..])).collect();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&build(&parts, 6)).unwrap();
    let module = ModuleVersion::parse("a.com/m@v1.0.0").unwrap();
    let with = |threads| hash_module_zip(&file, &module, &ZipLimits { threads, ..ZipLimits::default() }).unwrap().h1;
    assert_eq!(with(4), with(1));
}

#[test]
fn headers_that_disagree_are_refused() {
    let disagree = |zip: Result<ZipReport, ZipError>| matches!(zip, Err(ZipError::HeadersDisagree(_)));
    assert!(disagree(changed(|part| part.local_name = "a.com/m@v1.0.0/b.go")));
    assert!(disagree(changed(|part| part.local_name = "a.com/m@v1.0.0/a.goo")));
    assert!(disagree(changed(|part| part.is_open = true)), "sizes of 0 without a descriptor");
    assert!(disagree(changed(|part| part.flags = 8)), "a descriptor flag without a descriptor");
    // The CRC in the second local header differs from the directory.
    let mut zip = build(&honest(), 2);
    let second = zip.windows(4).rposition(|four| four == b"PK\x03\x04").unwrap();
    zip[second + 14] ^= 1;
    assert!(disagree(hash_bytes(&zip)));
}

#[test]
fn bytes_that_belong_to_no_part_are_refused() {
    assert!(matches!(changed(|part| part.gap = 1), Err(ZipError::NotContiguous(_))));
    let mut parts = honest();
    parts[0].gap = 7;
    assert!(matches!(hash(&parts), Err(ZipError::NotContiguous(_))), "data before the first header");
    let honest = build(&honest(), 2);
    assert!(matches!(hash_bytes(&[&honest[..], b"x"].concat()), Err(ZipError::NoEnd)), "data after the end");
    assert!(matches!(hash_bytes(&[b"x", &honest[..]].concat()), Err(ZipError::DirectoryMisplaced)));
    assert!(matches!(hash_bytes(&honest[..honest.len() - 1]), Err(ZipError::NoEnd)));
    assert!(matches!(hash_bytes(b"PK"), Err(ZipError::NoEnd)));
}

#[test]
fn overlapping_entries_are_refused() {
    // Both entries of the directory point to the first local header.
    let mut zip = build(&honest(), 2);
    let second = zip.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
    zip[second + 42..second + 46].copy_from_slice(&[0; 4]);
    assert!(matches!(hash_bytes(&zip), Err(ZipError::NotContiguous(0))));
}

#[test]
fn the_directory_must_match_the_end_record() {
    assert!(matches!(hash_bytes(&build(&honest(), 3)), Err(ZipError::BadDirectory(_))));
    assert!(matches!(hash_bytes(&build(&honest(), 1)), Err(ZipError::BadDirectory(_))));
    let end = |at: usize, byte: u8| {
        let mut zip = build(&honest(), 2);
        let length = zip.len();
        zip[length - 22 + at] = byte;
        hash_bytes(&zip)
    };
    assert!(matches!(end(4, 1), Err(ZipError::ManyDisks)));
    assert!(matches!(end(8, 1), Err(ZipError::ManyDisks)));
    assert!(matches!(end(12, 0xff), Err(ZipError::DirectoryMisplaced)));
    assert!(matches!(end(20, 1), Err(ZipError::NoEnd)), "a comment");
    assert!(
        matches!(hash_bytes(&build(&honest(), u16::MAX)), Err(ZipError::BadDirectory(_))),
        "zip64 without its records"
    );
}

#[test]
fn sizes_in_zip64_are_refused() {
    for zip in [changed(|part| part.unpacked = u32::MAX), hash(&[Part { unpacked: u32::MAX, ..part(FILE, b"") }])] {
        assert!(matches!(zip, Err(ZipError::BadDirectory(why)) if why.contains("zip64")), "{zip:?}");
    }
}

#[test]
fn encryption_and_other_methods_are_refused() {
    let unknown = |zip: Result<ZipReport, ZipError>| matches!(zip, Err(ZipError::UnknownPacking { .. }));
    assert!(unknown(changed(|part| part.flags = 1)));
    assert!(unknown(changed(|part| part.flags = 1 << 5)), "patched data");
    assert!(unknown(changed(|part| part.method = 12)), "bzip2");
}

#[test]
fn data_must_match_the_headers() {
    let bad = |zip: Result<ZipReport, ZipError>| match zip {
        Err(ZipError::BadData(_, why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(bad(changed(|part| part.unpacked -= 1)).contains("longer"));
    assert!(bad(changed(|part| part.unpacked += 1)).contains("shorter"));
    assert!(bad(changed(|part| part.crc ^= 1)).contains("checksum"));
    assert!(bad(changed(|part| part.crc = 0)).contains("checksum"), "`go` does not compare it");
    assert!(bad(changed(|part| part.data.push(0))).contains("continues"));
    assert!(bad(changed(|part| part.data.truncate(4))).contains("cut off"));
    assert!(bad(changed(|part| part.data[0] = 0xff)).contains("damaged"));
    assert!(bad(changed(|part| (part.method, part.unpacked) = (0, 3))).contains("longer"));
}

#[test]
fn too_large_is_refused_before_it_is_read() {
    let limits = ZipLimits { zip: 400, single: 10, threads: 1 };
    let module = ModuleVersion::parse("a.com/m@v1.0.0").unwrap();
    let with = |parts: &[Part], limits: &ZipLimits| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&build(parts, u16::try_from(parts.len()).unwrap())).unwrap();
        hash_module_zip(&file, &module, limits)
    };
    let what = |result: Result<ZipReport, ZipError>| match result {
        Err(ZipError::TooLarge(what, _)) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(what(with(&honest(), &ZipLimits { single: 100, ..limits })), "its content");
    assert_eq!(what(with(&honest(), &ZipLimits { zip: 100, ..limits })), "the zip");
    assert_eq!(what(with(&honest()[..1], &limits)), GO_MOD);
    // A zip bomb with a small declared size is stopped at that size.
    let bomb = part(FILE, &vec![0; 1 << 20]);
    assert!(matches!(hash(&[Part { unpacked: 10, ..bomb }]), Err(ZipError::BadData { .. })));
}

#[test]
fn a_zip_without_files_is_valid() {
    let report = hash(&[]).unwrap();
    assert_eq!(report.h1.to_string(), "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    assert_eq!((report.files, report.unpacked), (0, 0));
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&build(&[], 0)).unwrap();
    assert!(matches!(module_in_zip(&file, &ZipLimits::default()), Err(ZipError::NamesNoModule)));
}

#[test]
fn folders_have_no_content() {
    let folder = "a.com/m@v1.0.0/d/";
    let mut parts = honest();
    parts.push(part(folder, b""));
    assert!(hash(&parts).is_ok());
    parts[2] = part(folder, b"x");
    assert!(matches!(hash(&parts), Err(ZipError::BadData(..))));
}

#[test]
fn names_are_checked() {
    assert!(matches!(hash(&[part("b.com/m@v1.0.0/a.go", b"")]), Err(ZipError::Name(NameError::OtherModule(_)))));
    assert!(matches!(hash(&[part(FILE, b""), part(FILE, b"x")]), Err(ZipError::Name(NameError::Twice(_)))));
    assert!(matches!(hash(&[part("a.com/m@v1.0.0/../x", b"")]), Err(ZipError::Name(NameError::Bad { .. }))));
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&build(&honest(), 2)).unwrap();
    assert_eq!(module_in_zip(&file, &ZipLimits::default()).unwrap().to_string(), "a.com/m@v1.0.0");
}

#[test]
fn limits_that_go_does_not_have_apply() {
    let over = |part: Part| match hash(&[part]) {
        Err(ZipError::OverLimit { what, limit, found }) => (what, limit, found),
        other => panic!("{other:?}"),
    };
    let named = |name: String| over(part(String::leak(name), b""));
    let long = named(format!("a.com/m@v1.0.0/{}", "ab/".repeat(1400)));
    assert_eq!(long, ("bytes in a file name", 4096, 15 + 4200));
    let element = named(format!("a.com/m@v1.0.0/{}", "a".repeat(256)));
    assert_eq!(element, ("bytes in an element of a file name", 255, 256));
    hash(&[part(String::leak(format!("a.com/m@v1.0.0/{}", "a".repeat(255))), b"")]).unwrap();
    let all = "a".repeat(255);
    let parts: Vec<Part> =
        (0..65_000).map(|nth| part(String::leak(format!("a.com/m@v1.0.0/{nth}/{all}")), b"")).collect();
    assert!(matches!(hash_once(&parts), Err(ZipError::OverLimit { what: "bytes in all file names", .. })));
}
