//! The list of contents of an export: a part of an export is not imported as the whole.

use std::path::Path;

use libtest_mimic::Trial;
use testkit::World;

use crate::airgap::{TWO, fetch, go_sum, nowhere, sumgate};
use crate::fixture::{files, mount_trial, on_mount, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("airgap: what an export lost on its way is named, and nothing of it is pinned", lost),
        trial(
            "airgap: an export that people packed again is imported, or the message says what to remove",
            packed_again,
        ),
        mount_trial("airgap: a folder that a full disk cut off is not an export", cut_off),
    ]
}

/// Damages a file of an export.
type Damage = fn(&Path);

fn lost() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let go_sum = go_sum(&origin, folder.path(), &TWO);
    let (data, exempt) = (folder.path().join("data"), ["--nosumdb", "example.com/dep"]);
    assert_eq!(fetch(&origin, &data, &[&["-m", &go_sum], &exempt[..]].concat()).0, Some(0));
    let hello = "example.com/hello/@v/v1.0.0";
    let private = "example.com/dep/v2/@v/v2.0.1";
    let record = format!("sumdb/{}/lookup/example.com/hello@v1.0.0", origin.world().name());
    let damage: [(&str, &str, Damage); 7] = [
        (&format!("{hello}.zip"), "is listed in SHA256SUMS, and missing", |file| std::fs::remove_file(file).unwrap()),
        (&format!("{hello}.info"), "is listed in SHA256SUMS, and missing", |file| std::fs::remove_file(file).unwrap()),
        (&format!("{private}.mod"), "differs from its line in SHA256SUMS", |file| std::fs::write(file, "").unwrap()),
        (&record, "is listed in SHA256SUMS, and missing", |file| std::fs::remove_file(file).unwrap()),
        ("example.com/dep/v2/@v/v2.0.2.mod", "is not listed in SHA256SUMS", |file| std::fs::write(file, "x").unwrap()),
        ("SHA256SUMS", "has no SHA256SUMS", |file| std::fs::remove_file(file).unwrap()),
        ("SHA256SUMS", "it is cut off", |file| {
            let whole = std::fs::read(file).unwrap();
            std::fs::write(file, &whole[..whole.len() / 2]).unwrap();
        }),
    ];
    for (nth, (name, words, damage)) in damage.into_iter().enumerate() {
        let out = folder.path().join(format!("out-{nth}"));
        let export = [&["cache", "export", "--for", &go_sum, out.to_str().unwrap()], &exempt[..]].concat();
        assert_eq!(sumgate(&data, &nowhere(&origin), &export).0, Some(0));
        damage(&out.join(name));
        let there = folder.path().join(format!("there-{nth}"));
        let import = [&["cache", "import", out.to_str().unwrap()], &exempt[..]].concat();
        let (code, said) = sumgate(&there, &nowhere(&origin), &import);
        assert!(code == Some(1) && said.contains(words), "{name}: {code:?} {said}");
        let taken = files(&there.join("proxy"));
        if name == "SHA256SUMS" {
            assert_eq!(taken.len(), 0, "{:?}", taken.keys());
        } else {
            assert!(said.contains(name) && !taken.is_empty(), "{name}: {said}");
        }
        assert!(!taken.contains_key(name), "{name}");
        if name.ends_with(".mod") {
            assert!(!files(&there.join("pins")).contains_key(name), "nothing vouches for it but the list");
        }
    }
}

fn packed_again() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let go_sum = go_sum(&origin, folder.path(), &TWO);
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    assert_eq!(fetch(&origin, &data, &["-m", &go_sum]).0, Some(0));
    let export = ["cache", "export", "--for", &go_sum, out.to_str().unwrap()];
    assert_eq!(sumgate(&data, &nowhere(&origin), &export).0, Some(0));
    let tried = std::cell::Cell::new(0);
    let import = |from: &Path| {
        tried.set(tried.get() + 1);
        let there = folder.path().join(format!("there-{}", tried.get()));
        let (code, said) = sumgate(&there, &nowhere(&origin), &["cache", "import", from.to_str().unwrap()]);
        (code, said, files(&there.join("proxy")))
    };
    let expected = import(&out);
    assert_eq!(expected.0, Some(0), "{}", expected.1);
    let tar = |pack: &str| {
        let packed = folder.path().join("packed");
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &format!("cd \"$0\" && {pack} > \"$1\"")]).args([&out, &packed]);
        assert!(shell.status().unwrap().success(), "{pack}");
        import(&packed)
    };
    // With `./` and entries of folders; without both; in two members of gzip.
    let gzip = ["tar -cz .", "find * -type f | tar -cz -T -", "tar -c . | (head -c 2000 | gzip; gzip)"];
    for pack in gzip {
        let (code, said, taken) = tar(pack);
        assert!(code == Some(0) && taken == expected.2, "{pack}: {code:?} {said}");
    }
    let unpack = "unpack the archive, and import the folder";
    for (pack, words) in [
        ("tar -c .", unpack),
        ("tar -cz --format=posix .", unpack),
        ("tar -cz ../out", unpack),
        ("tar -cz . | head -c 3000", "cannot be read"),
        ("(tar -cz .; echo more)", "cannot be read"),
    ] {
        let (code, said, taken) = tar(pack);
        assert!(code == Some(1) && said.contains(words) && taken.is_empty(), "{pack}: {code:?} {said}");
    }
    for name in [".DS_Store", "example.com/._hello", "System Volume Information/IndexerVolumeGuid"] {
        let place = out.join(name);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(&place, "x").unwrap();
        let (code, said, taken) = import(&out);
        let words = format!("{name:?} is not a name that an export has: remove it");
        assert!(code == Some(1) && said.contains(&words) && taken.is_empty(), "{name}: {code:?} {said}");
        assert!(tar("tar -cz .").1.contains(unpack), "{name}");
        std::fs::remove_file(&place).unwrap();
        // The folders that are left do not matter.
        assert_eq!(import(&out).0, Some(0), "{name}");
    }
}

fn cut_off() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let go_sum = go_sum(&origin, folder.path(), &TWO);
    let (data, there, mount) = (folder.path().join("data"), folder.path().join("there"), folder.path().join("usb"));
    assert_eq!(fetch(&origin, &data, &["-m", &go_sum]).0, Some(0));
    std::fs::create_dir(&mount).unwrap();
    // It has room for a part: the second command sees what the first one wrote.
    let mut shell = on_mount(&mount, "mount -t tmpfs -o size=24k tmpfs", Path::new("sh"));
    let script = "\"$0\" cache export --for \"$1\" --data \"$2\" --sumdb \"$5\" \"$3/out\"; echo \"first: $?\"; find \"$3/out\" -type f
        \"$0\" cache import --data \"$4\" --sumdb \"$5\" \"$3/out\"; echo \"second: $?\"";
    shell.args(["-c", script, env!("CARGO_BIN_EXE_sumgate"), &go_sum]).args([&data, &mount, &there]);
    let output = shell.arg(nowhere(&origin)).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(said.contains("first: 2") && said.contains("No space left on device"), "{said}");
    assert!(said.contains("out/sumdb/"), "a part was written: {said}");
    assert!(said.contains("second: 1") && said.contains("the export has no SHA256SUMS"), "{said}");
    assert_eq!(files(&there.join("proxy")).len(), 0);
}
