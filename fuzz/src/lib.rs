//! The fuzz targets as plain functions, which the fuzz programs and the tests on the seeds share.
//!
//! Every parser of untrusted input has a target. It must not panic, and a parsed value must print as its input, or parse to
//! the same value again.

mod files;
mod traffic;

use std::io::Write;
use std::path::Path;

use gomodule::artifact::Kind;
use gomodule::dirhash::{ZipLimits, hash_module_zip, module_in_zip};
use gomodule::module::{ModulePath, ModuleVersion, Patterns, Query, Version};
use sumgate::airgap::{Contents, unpack_from};
use sumgate::sumdb::ModuleRecord;
use tlog::{
    Checkpoint, ForkEvidence, InclusionProof, LookupReply, SUM_GOLANG_ORG, SUMDB_ORIGIN, SignedCheckpoint, Signer,
    Tile, VerifierKey, leaf_hash,
};

pub use files::{buildinfo, first_asked, goauth, gomod, gosum, gowork, heads, manifest, netrc, policy, settings};
pub use traffic::{answer, database, event_query, info, path, proxies, range, request, search, stream};

/// The name and the function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 33] = [
    ("note", note),
    ("key", key),
    ("checkpoint", checkpoint),
    ("lookup", lookup),
    ("tile", tile),
    ("evidence", evidence),
    ("bundle", bundle),
    ("module", module),
    ("pattern", pattern),
    ("record", record),
    ("zip", zip),
    ("archive", archive),
    ("gosum", gosum),
    ("gomod", gomod),
    ("gowork", gowork),
    ("policy", policy),
    ("settings", settings),
    ("netrc", netrc),
    ("goauth", goauth),
    ("heads", heads),
    ("first_asked", first_asked),
    ("buildinfo", buildinfo),
    ("manifest", manifest),
    ("path", path),
    ("request", request),
    ("range", range),
    ("search", search),
    ("event_query", event_query),
    ("info", info),
    ("answer", answer),
    ("stream", stream),
    ("database", database),
    ("proxies", proxies),
];

fn sum_golang_org() -> VerifierKey {
    VerifierKey::parse(SUM_GOLANG_ORG).expect("the built-in key is valid")
}

/// The key that signed the seeds that are not from sum.golang.org.
fn example() -> Signer {
    Signer::from_seed("example.com/log", [1; 32]).expect("a valid name")
}

pub fn note(bytes: &[u8]) {
    if let Ok(note) = tlog::note::open(bytes, &[sum_golang_org()]) {
        assert_eq!(note.raw().as_bytes(), bytes);
    }
}

pub fn key(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(key) = VerifierKey::parse(text) {
        assert_eq!(key.to_string(), text);
    }
    // The key hash of a secret key may have upper case digits.
    if let Ok(signer) = Signer::parse(text) {
        let secret = signer.to_secret_text();
        assert_eq!(Signer::parse(&secret).map(|again| again.to_secret_text()), Ok(secret));
    }
}

pub fn checkpoint(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert_eq!(checkpoint.to_string(), text);
    }
}

pub fn lookup(bytes: &[u8]) {
    if let Ok(reply) = LookupReply::parse(bytes) {
        assert!(bytes.starts_with(format!("{}\n", reply.id()).as_bytes()));
        assert!(bytes.ends_with(reply.note()));
    }
}

pub fn tile(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(tile) = Tile::parse(text) {
        assert_eq!(tile.to_string(), text);
        assert_eq!(tile.nodes().len(), tile.width() as usize);
    }
}

pub fn evidence(bytes: &[u8]) {
    if let Ok(evidence) = ForkEvidence::verify(bytes) {
        assert_eq!(evidence.to_string().as_bytes(), bytes);
    }
}

pub fn bundle(bytes: &[u8]) {
    for key in [&sum_golang_org(), example().verifier_key()] {
        if let Ok((record, head)) = tlog::bundle::open(bytes, SUMDB_ORIGIN, key) {
            assert!(head.size().contains(record.id()));
        }
    }
}

pub fn module(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(module) = ModuleVersion::parse(text) {
        assert_eq!(module.to_string(), text);
        assert_eq!(ModulePath::unescape(&module.path.escaped()), Ok(module.path.clone()));
        assert_eq!(Version::unescape(&module.version.escaped()), Ok(module.version.clone()));
    }
    if let Ok(query) = Query::unescape(text) {
        assert_eq!(query.escaped(), text);
    }
}

pub fn pattern(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(patterns) = Patterns::parse(text) else { return };
    let path = ModulePath::parse("git.example.com/Some/module/v2").expect("a valid path");
    let again = Patterns::parse(&patterns.to_string());
    assert_eq!(again.map(|again| again.matches(&path)), Ok(patterns.matches(&path)));
}

pub fn record(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let module = ModuleVersion::parse("a.com/b@v1.0.0").expect("a valid module");
    // In a log with one record, the root is the hash of the record.
    let head = format!("{SUMDB_ORIGIN}\n1\n{}\n", leaf_hash(bytes));
    let note = example().sign(&head).expect("a valid head");
    let head = SignedCheckpoint::open(note.as_bytes(), SUMDB_ORIGIN, example().verifier_key()).expect("a signed head");
    let Ok(reply) = LookupReply::parse(format!("0\n{text}\n{note}").as_bytes()) else { return };
    let Ok(record) = reply.prove_by(&InclusionProof::from_hashes(Vec::new()), &head) else { return };
    if let Ok(record) = ModuleRecord::of(record, &module) {
        assert!([Kind::Zip, Kind::Mod].into_iter().any(|kind| record.h1(kind).is_some()));
        assert!(text.lines().all(|line| line.starts_with("a.com/b v1.0.0")));
    }
}

pub fn zip(bytes: &[u8]) {
    let Ok(mut file) = tempfile::tempfile() else { return };
    if file.write_all(bytes).is_err() {
        return;
    }
    let limits = ZipLimits { zip: 1 << 20, single: 1 << 16, threads: 1 };
    let Ok(module) = module_in_zip(&file, &limits) else { return };
    if let Ok(report) = hash_module_zip(&file, &module, &limits) {
        assert_eq!(report.packed, bytes.len() as u64);
        assert!(report.unpacked <= limits.zip);
    }
}

/// An unpacked archive is a valid export, and no other files were written.
pub fn archive(bytes: &[u8]) {
    let Ok(folder) = tempfile::tempdir() else { return };
    let databases = ["sum.golang.org".to_owned()];
    let into = folder.path().join("into");
    if std::fs::create_dir(&into).is_err() {
        return;
    }
    if unpack_from(bytes, bytes.len() as u64, Path::new("archive"), &into, &databases).is_ok() {
        let contents = Contents::read(&into, &databases).expect("an archive that was unpacked can be read");
        // Only with a list that fits is anything of it imported.
        let _ = contents.checked(&into);
    }
    assert_eq!(std::fs::read_dir(folder.path()).map_or(1, Iterator::count), 1, "no other files were written");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// A small fuzzer: runs each target on its seeds, on all their prefixes, and with each of their bits changed.
    #[test]
    fn seeds_pass_unchanged_truncated_and_with_every_bit_changed() {
        for (name, target) in super::TARGETS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/fuzz").join(name);
            let mut seeds = 0;
            for seed in std::fs::read_dir(&folder).expect("every target has a folder of seeds") {
                let bytes = std::fs::read(seed.expect("a readable folder").path()).expect("a readable seed");
                assert!(bytes.len() <= 2048, "seeds of {name} are small");
                target(&bytes);
                for at in 0..bytes.len() {
                    target(&bytes[..at]);
                    for bit in 0..8 {
                        let mut changed = bytes.clone();
                        changed[at] ^= 1 << bit;
                        target(&changed);
                    }
                }
                seeds += 1;
            }
            assert!(seeds > 0, "{name} has no seeds");
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz_targets/{name}.rs")).is_file());
        }
    }
}
