//! Invalid archives: each is refused as a whole, and nothing of it is stored.

use std::path::Path;

use libtest_mimic::Trial;
use tar::{Builder, EntryType, Header};
use testkit::{Origin, World};

use crate::airgap::{exported, import};
use crate::fixture::{files, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial(
            "hostile archives: an archive with a wrong name, link, size or duplicate is refused as a whole",
            refused_as_a_whole,
        ),
        trial("hostile archives: a folder with a link or an unknown file is refused as a whole", hostile_folders),
        trial("hostile archives: long names of GNU tar are read, up to a limit", long_names),
        trial("hostile archives: decompression stops at a limit", bomb),
        trial("hostile archives: truncated or changed archives are refused", cut_and_flipped),
    ]
}

const NAME: &str = "example.com/hello/@v/v1.0.0.mod";

/// An entry with exactly this header.
fn entry(tar: &mut Builder<Vec<u8>>, kind: EntryType, name: &str, size: u64, body: &[u8]) {
    let mut header = Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size);
    if matches!(kind, EntryType::Symlink | EntryType::Link) {
        header.set_link_name("/etc/passwd").unwrap();
    }
    header.set_cksum();
    tar.append(&header, body).unwrap();
}

fn archive(folder: &Path, write: impl FnOnce(&mut Builder<Vec<u8>>)) -> String {
    let mut tar = Builder::new(Vec::new());
    write(&mut tar);
    let path = folder.join("hostile.tar.zst");
    std::fs::write(&path, zstd::encode_all(&*tar.into_inner().unwrap(), 1).unwrap()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Checks that it is refused with this message, and that nothing is stored.
fn must_refuse(origin: &Origin, folder: &Path, from: &str, words: &str) {
    let data = folder.join("data");
    let (code, said) = import(origin, &data, from);
    let is_whole = ["was refused as a whole", "is not an export"].iter().any(|whole| said.contains(whole));
    assert!(code == Some(1) && is_whole && said.contains(words), "{words}: {said}");
    assert_eq!(files(&data).into_keys().collect::<Vec<_>>(), ["staging/lock", "sumgate-format"], "{words}");
    assert!(!folder.join("escaped.mod").exists() && !Path::new("/tmp/escaped.mod").exists());
}

fn refused_as_a_whole() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let regular = EntryType::Regular;
    for name in [
        "../escaped.mod",
        "/tmp/escaped.mod",
        "example.com/hello/@v/../../../../../../../../tmp/escaped.mod",
        "example.com/hello/./@v/v1.0.0.mod",
        "././example.com/hello/@v/v1.0.0.mod",
        ".//example.com/hello/@v/v1.0.0.mod",
        "./../escaped.mod",
        "example.com/Hello/@v/v1.0.0.mod",
        "example.com/hello/@v/v1.0.0.exe",
        "sumdb/other.example/latest",
        "",
    ] {
        let from = archive(folder, |tar| entry(tar, regular, name, 1, b"x"));
        let shown = name.strip_prefix("./").unwrap_or(name);
        must_refuse(&origin, folder, &from, &format!("{shown:?} is"));
    }
    let kinds = [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Char,
        EntryType::Fifo,
        EntryType::GNUSparse,
        EntryType::GNULongLink,
    ];
    for kind in kinds {
        let from = archive(folder, |tar| entry(tar, kind, NAME, 0, b""));
        must_refuse(&origin, folder, &from, "is not a regular file");
    }
    for kind in [EntryType::XHeader, EntryType::XGlobalHeader] {
        let from = archive(folder, |tar| entry(tar, kind, NAME, 0, b""));
        must_refuse(&origin, folder, &from, "(pax), which no export has: unpack the archive, and import the folder");
    }
    // A folder is ignored, and makes none outside.
    let from = archive(folder, |tar| {
        entry(tar, EntryType::Directory, "../outside/", 0, b"");
        entry(tar, EntryType::Symlink, NAME, 0, b"");
    });
    must_refuse(&origin, folder, &from, "is not a regular file");
    let from = archive(folder, |tar| {
        entry(tar, regular, NAME, 1, b"a");
        entry(tar, regular, NAME, 1, b"b");
    });
    must_refuse(&origin, folder, &from, "appears twice");
    // Refused after its header, without reading the content.
    let sumdb = format!("sumdb/{}", origin.world().name());
    let tile = format!("{sumdb}/tile/8/0/000.p/2");
    for (name, size) in [(NAME, (16 << 20) + 1), ("example.com/hello/@v/v1.0.0.zip", u64::MAX >> 2), (&tile, 65)] {
        let from = archive(folder, |tar| entry(tar, regular, name, size, b"x"));
        must_refuse(&origin, folder, &from, "is longer than");
    }
}

fn bomb() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let zeros = vec![0; 30 << 20];
    let from = archive(folder.path(), |tar| {
        for nth in 0..3 {
            let name = format!("example.com/hello/@v/v1.0.{nth}.zip");
            entry(tar, EntryType::Regular, &name, zeros.len() as u64, &zeros);
        }
    });
    assert!(std::fs::metadata(&from).unwrap().len() < 100 << 10);
    must_refuse(&origin, folder.path(), &from, "it decompresses to more than the limit for its length");
}

fn hostile_folders() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let out = exported(&origin, folder.path(), "out", &["example.com/hello@v1.0.0"]);
    let place = Path::new(&out).join(NAME);
    let right = std::fs::read(&place).unwrap();
    std::fs::remove_file(&place).unwrap();
    let elsewhere = folder.path().join("elsewhere");
    std::fs::write(&elsewhere, &right).unwrap();
    // Even a link to the right bytes.
    std::os::unix::fs::symlink(&elsewhere, &place).unwrap();
    must_refuse(&origin, folder.path(), &out, "is not a regular file");
    std::fs::remove_file(&place).unwrap();
    std::fs::write(&place, &right).unwrap();
    std::fs::write(Path::new(&out).join("example.com/README"), "hello").unwrap();
    must_refuse(&origin, folder.path(), &out, "\"example.com/README\" is not a name that an export has");
    std::fs::remove_file(Path::new(&out).join("example.com/README")).unwrap();
    std::fs::write(&place, vec![0; (16 << 20) + 1]).unwrap();
    must_refuse(&origin, folder.path(), &out, "is longer than");
    std::fs::write(&place, &right).unwrap();
    assert_eq!(import(&origin, &folder.path().join("data"), &out).0, Some(0));
}

fn long_names() {
    let mut world = World::demo();
    let long = format!("example.com/{}@v1.0.0", ["a23456789012345678901234567890"; 6].join("/"));
    world.add_simple(&long, "", "package long\n");
    let origin = origin(world);
    let folder = tempfile::tempdir().unwrap();
    let out = exported(&origin, folder.path(), "out.tar.zst", &[&long]);
    let (code, said) = import(&origin, &folder.path().join("there"), &out);
    assert!(code == Some(0) && said.contains("imported 3 files"), "{said}");

    let endless = archive(folder.path(), |tar| {
        let name = vec![b'a'; 8 << 20];
        entry(tar, EntryType::GNULongName, "././@LongLink", name.len() as u64, &name);
        entry(tar, EntryType::Regular, NAME, 1, b"x");
    });
    must_refuse(&origin, folder.path(), &endless, "is longer than 1024 bytes");
}

fn cut_and_flipped() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let out = exported(&origin, folder.path(), "out.tar.zst", &["example.com/hello@v1.0.0"]);
    let whole = std::fs::read(&out).unwrap();
    let broken = folder.path().join("broken.tar.zst");
    for keep in [0, 3, 20, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&broken, &whole[..keep]).unwrap();
        must_refuse(&origin, folder.path(), broken.to_str().unwrap(), "cannot be read");
    }
    std::fs::write(&broken, "module example.com/hello\n").unwrap();
    must_refuse(
        &origin,
        folder.path(),
        broken.to_str().unwrap(),
        "is not an export: expected a .tar.zst that `sumgate cache export` wrote",
    );
    let refused = "was refused as a whole";
    for (at, why) in [(0, "is not an export"), (whole.len() / 2, refused), (whole.len() - 1, refused)] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        std::fs::write(&broken, &flipped).unwrap();
        must_refuse(&origin, folder.path(), broken.to_str().unwrap(), why);
    }
}
