//! Every parser of untrusted input has a fuzz target, and every fuzz target its program and its seeds.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::{sources, stems, without_tests};

/// The files with functions that `has_parser` finds, and their fuzz targets.
const PARSERS: [(&str, &str); 43] = [
    ("gomodule/src/dirhash/h1.rs", "gosum"),
    ("gomodule/src/gomod.rs", "gomod"),
    ("gomodule/src/gomod/work.rs", "gowork"),
    ("gomodule/src/gosum.rs", "gosum"),
    ("gomodule/src/goversion.rs", "policy"),
    ("gomodule/src/module.rs", "module"),
    ("gomodule/src/module/path.rs", "module"),
    ("gomodule/src/module/pattern.rs", "pattern"),
    ("gomodule/src/module/version.rs", "module"),
    ("gomodule/src/proxy_request.rs", "request"),
    ("src/airgap/content_list.rs", "archive"),
    ("src/airgap/layout.rs", "archive"),
    ("src/base/toml_file.rs", "policy"),
    ("src/events/filter.rs", "event_query"),
    ("src/gate/manifest.rs", "manifest"),
    ("src/go/buildinfo.rs", "buildinfo"),
    ("src/mirror/metadata/info.rs", "info"),
    ("src/mirror/route.rs", "path"),
    ("src/page/event_query.rs", "event_query"),
    ("src/page/search.rs", "search"),
    ("src/policy/file.rs", "policy"),
    ("src/policy/range.rs", "policy"),
    ("src/settings.rs", "settings"),
    ("src/upstream/goauth/answer.rs", "goauth"),
    ("src/sumdb/ages.rs", "heads"),
    ("src/sumdb/database.rs", "database"),
    ("src/sumdb/first_asked.rs", "first_asked"),
    ("src/sumdb/observed_sizes.rs", "heads"),
    ("src/sumdb/record.rs", "record"),
    ("src/upstream/config.rs", "proxies"),
    ("src/upstream/database_request.rs", "request"),
    ("src/upstream/netrc.rs", "netrc"),
    ("src/upstream/proxy_list.rs", "proxies"),
    ("tlog/src/bundle.rs", "bundle"),
    ("tlog/src/checkpoint.rs", "checkpoint"),
    ("tlog/src/evidence.rs", "evidence"),
    ("tlog/src/hash.rs", "checkpoint"),
    ("tlog/src/key.rs", "key"),
    ("tlog/src/note.rs", "note"),
    ("tlog/src/record.rs", "lookup"),
    ("tlog/src/sign.rs", "key"),
    ("tlog/src/tile.rs", "tile"),
    ("tlog/src/tree.rs", "checkpoint"),
];

/// Other functions that read untrusted input: the file, the function and its fuzz target.
const READERS: [(&str, &str, &str); 11] = [
    ("gomodule/src/dirhash/stream.rs", "feed", "stream"),
    ("gomodule/src/dirhash/zip.rs", "hash_module_zip", "zip"),
    ("gomodule/src/dirhash/zip.rs", "module_in_zip", "zip"),
    ("gomodule/src/gomod.rs", "retractions", "gomod"),
    ("gomodule/src/gomod/toolchain.rs", "toolchain_lines", "gomod"),
    ("src/airgap/unpack.rs", "unpack_from", "archive"),
    ("src/mirror/http/respond.rs", "requested_range", "range"),
    ("src/mirror/metadata/answer.rs", "answer", "answer"),
    ("src/mirror/metadata/versions.rs", "versions_of", "answer"),
    ("src/mirror/route.rs", "route", "path"),
    ("src/upstream/netrc.rs", "login_for", "netrc"),
];

/// Whether a function reads text by its name and its first argument: a string or bytes. `open` and `verify` of a string open
/// a path or another thing.
fn has_parser(code: &str) -> bool {
    without_tests(code).split("fn ").skip(1).any(|function| {
        let (name, rest) = function.split_once('(').unwrap_or_default();
        let name = name.split('<').next().unwrap();
        let argument = rest.split([',', ')']).next().unwrap();
        let (is_text, is_bytes) = (argument.ends_with("str"), argument.ends_with("[u8]"));
        let reads_text = name.starts_with("parse") || matches!(name, "decode" | "read" | "read_with" | "unescape");
        let reads_bytes = reads_text || matches!(name, "open" | "verify");
        argument.contains(": &") && (is_text && reads_text || is_bytes && reads_bytes)
    })
}

#[test]
fn every_parser_has_a_fuzz_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_ours = |path: &Path| ["src", "gomodule/src", "tlog/src"].iter().any(|folder| path.starts_with(folder));
    let sources = sources().into_iter().filter(|(path, text)| is_ours(path) && has_parser(text));
    let found: BTreeSet<String> = sources.map(|(path, _)| path.to_str().unwrap().to_owned()).collect();
    assert_eq!(found, PARSERS.map(|(file, _)| file.to_owned()).into(), "a parser without a fuzz target, or a gone one");
    for (file, function, _) in READERS {
        let code = fs::read_to_string(root.join(file)).unwrap();
        assert!(code.contains(&format!("fn {function}(")), "{file} has no function {function}");
    }
    let named = PARSERS.iter().map(|(_, target)| *target).chain(READERS.iter().map(|(_, _, target)| *target));
    let targets = stems(&root.join("fuzz/fuzz_targets"));
    assert_eq!(named.map(str::to_owned).collect::<BTreeSet<_>>(), targets, "a target without a parser, or a gone one");
}

#[test]
fn every_fuzz_target_has_its_program_and_its_seeds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = fs::read_to_string(root.join("fuzz/src/lib.rs")).unwrap();
    let manifest = fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
    let list = library.split("TARGETS: ").nth(1).unwrap().split("];\n").next().unwrap();
    let targets: BTreeSet<String> =
        list.lines().filter_map(|line| line.trim().strip_prefix("(\"")?.split('"').next()).map(str::to_owned).collect();
    assert!(list.starts_with(&format!("[Target; {}]", targets.len())), "not every target was read: {targets:?}");
    assert_eq!(stems(&root.join("fuzz/fuzz_targets")), targets);
    assert_eq!(stems(&root.join("testdata/fuzz")), targets);
    assert_eq!(manifest.matches("[[bin]]").count(), targets.len());
    for name in &targets {
        let program = fs::read_to_string(root.join(format!("fuzz/fuzz_targets/{name}.rs"))).unwrap();
        assert!(program.contains(&format!("sumgate_fuzz::{name}(bytes)")), "{name}.rs runs another target");
        let bin = format!("[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n");
        assert!(manifest.contains(&bin), "fuzz/Cargo.toml has no [[bin]] for {name}");
        assert!(!stems(&root.join("testdata/fuzz").join(name)).is_empty(), "{name} has no seed");
    }
}
