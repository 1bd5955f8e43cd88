//! A seal: the caches of an earlier run, kept between jobs, and signed by a key that this job trusts.
//!
//! The signed note is `sumgate cache seal v2`, the SHA-256 of the manifest, and the number of its files. Whatever the seal
//! does not cover is thrown away before the command starts. A module of which a file is missing or changed goes whole: `go`
//! takes an unpacked folder as it finds it.
//!
//! Which modules are right is what the signed manifest says, and nothing that `go` wrote into the cache. Only files of modules
//! that were known when the caches were sealed are in it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tlog::{Signer, VerifierKey, note};

use super::files::{self, Listed, Stamp};
use super::known::Known;
use super::manifest::{MAX_LEN, Manifest};
use crate::base::bounded::read_bounded;
use crate::base::tree::open_regular;
use crate::store::remove::remove;
use crate::store::{Modes, StoreError, durable};
use gomodule::artifact::{Artifact, Kind};
use gomodule::module::ModuleVersion;
use gomodule::proxy_request::Request;

const HEADER: &str = "sumgate cache seal v2";
const SEALED: [&str; 2] = ["mod", "build"];
/// All that stays in the folder of a run: folders, and files.
pub(super) const KEPT: ([&str; 2], [&str; 2]) = (SEALED, [MANIFEST, SEAL]);
const MANIFEST: &str = "manifest";
const SEAL: &str = "seal";

/// What the seal of the folder covers.
#[derive(Debug, Default)]
pub struct Sealed {
    /// Files that were there and covered.
    pub files: usize,
    /// Files that were thrown away.
    pub thrown_away: Vec<String>,
    /// Why the whole seal counts for nothing, if there is one.
    pub invalid: Option<String>,
    /// Modules whose files were released, or proved, when the caches were sealed.
    pub known: Known,
    /// The files that are covered, as they were when they were read.
    stamps: HashMap<PathBuf, Stamp>,
}

impl Sealed {
    /// Whether the file is another one than the seal covers.
    pub fn is_new(&self, path: &Path) -> bool {
        self.stamps.get(path).is_none_or(|stamp| Stamp::at(path) != Some(*stamp))
    }
}

/// Throws away what no valid seal of `key` covers. Blocks.
pub fn open(root: &Path, key: &VerifierKey) -> Result<Sealed, StoreError> {
    let (manifest, mut invalid) = match covered(root, key) {
        Ok(manifest) => (manifest, None),
        Err(why) => (Manifest::default(), why),
    };
    let listed = files::list(root, &SEALED).or_else(|error| {
        invalid = Some(format!("the caches cannot be read: {error}"));
        SEALED.iter().try_for_each(|name| remove(&root.join(name)))?;
        Ok(Listed::default())
    })?;
    let mut right = right(root, &manifest, &listed);
    // A file that is missing counts for its module, too.
    let expected = manifest.files.keys().map(Path::new);
    let all = listed.files.keys().map(PathBuf::as_path).chain(expected);
    let wrong: BTreeSet<&Path> = all.filter(|name| !right.contains_key(name)).collect();
    let units: BTreeSet<&Path> = wrong.iter().filter_map(|name| unit(name)).collect();
    let is_in_unit = |name: &Path| unit(name).is_some_and(|unit| units.contains(unit));
    for gone in units.iter().chain(wrong.iter().filter(|name| !is_in_unit(name))) {
        remove(&root.join(gone))?;
    }
    right.retain(|name, _| !is_in_unit(name));
    remove_empty(root, &listed.folders, right.keys().copied())?;
    let thrown_away = listed.files.keys().filter(|name| !right.contains_key(name.as_path()));
    Ok(Sealed {
        files: right.len(),
        thrown_away: thrown_away.map(|name| name.to_string_lossy().into_owned()).collect(),
        invalid,
        known: manifest.modules,
        stamps: right.into_iter().map(|(name, stamp)| (root.join(name), stamp)).collect(),
    })
}

/// The files that are as the manifest says. What is not of the size that it says is not read.
fn right<'n>(root: &Path, manifest: &Manifest, listed: &'n Listed) -> BTreeMap<&'n Path, Stamp> {
    let sealed = |name: &Path| name.to_str().and_then(|name| manifest.files.get(name));
    let may_be = listed.files.iter().filter(|(name, shape)| sealed(name).map(|content| content.shape) == **shape);
    let may_be: Vec<&Path> = may_be.filter(|(_, shape)| shape.is_some()).map(|(name, _)| name.as_path()).collect();
    let hashed = files::hash(root, &may_be).into_iter();
    hashed
        .filter(|(name, (content, _))| sealed(name) == Some(content))
        .map(|(name, (_, stamp))| (name, stamp))
        .collect()
}

/// The folder of the unpacked module that a file belongs to. A module's name is text, whatever those of its files are.
fn unit(name: &Path) -> Option<&Path> {
    let unit =
        name.ancestors().skip(1).filter(|above| above.to_str().is_some_and(|text| module_folder(text).is_some()));
    unit.last().or_else(|| Some(name).filter(|name| name.to_str().and_then(module_folder).is_some()))
}

/// A folder means something to `go` even if there is nothing in it.
fn remove_empty<'n>(root: &Path, folders: &[PathBuf], files: impl Iterator<Item = &'n Path>) -> Result<(), StoreError> {
    let needed: BTreeSet<&Path> = files.flat_map(|file| file.ancestors().skip(1)).collect();
    let mut empty = folders.iter().filter(|folder| !needed.contains(folder.as_path()));
    empty.try_for_each(|folder| remove(&root.join(folder)))
}

/// Seals what is in the folder and `known`; what belongs to another module is removed. Blocks.
pub fn close(root: &Path, signer: &Signer, known: &Known) -> Result<usize, StoreError> {
    let listed = files::list(root, &SEALED).map_err(|cause| StoreError::new("read the caches in", root, cause))?;
    let (mut manifest, mut names) = (Manifest::default(), Vec::new());
    for (name, shape) in &listed.files {
        // What cannot stand in a manifest is thrown away by the next job.
        let Some(text) = name.to_str().filter(|text| shape.is_some() && !text.contains('\n')) else { continue };
        let mentions = match owner(text) {
            Owner::Nobody => Vec::new(),
            Owner::Unknown => continue,
            Owner::Module(module, kinds) => {
                let keys = kinds.iter().map(|kind| (module.clone(), *kind));
                let found: Vec<_> = keys.filter_map(|key| known.get_key_value(&key)).collect();
                if found.is_empty() {
                    remove(&root.join(module_folder(text).unwrap_or(text)))?;
                    continue;
                }
                found
            }
        };
        manifest.modules.extend(mentions.into_iter().map(|(key, file)| (key.clone(), *file)));
        names.push(name.as_path());
    }
    let hashed = files::hash(root, &names).into_iter();
    manifest.files = hashed.filter_map(|(name, (content, _))| Some((name.to_str()?.to_owned(), content))).collect();
    let text = manifest.text();
    let note = format!("{HEADER}\n{}\n{}\n", hex::encode(Sha256::digest(&text)), manifest.files.len());
    let sign = |error| StoreError::new("sign the caches in", root, std::io::Error::other(error));
    let seal = signer.sign(&note).map_err(sign)?;
    durable::write(&root.join(MANIFEST), text.as_bytes(), durable::Durability::Synced, Modes::Private)?;
    durable::write(&root.join(SEAL), seal.as_bytes(), durable::Durability::Synced, Modes::Private)?;
    Ok(manifest.files.len())
}

/// The manifest that a valid seal signs; or why there is none, if there is a seal at all.
fn covered(root: &Path, key: &VerifierKey) -> Result<Manifest, Option<String>> {
    let seal = read(&root.join(SEAL), tlog::limits::MAX_NOTE_LEN as u64)?;
    let seal = note::open(&seal, std::slice::from_ref(key)).map_err(|error| Some(format!("the seal: {error}")))?;
    let mut lines = seal.text().lines();
    let header = lines.next().unwrap_or_default();
    if header != HEADER {
        return Err(Some(format!("the seal begins with {header:?}, and this version reads {HEADER:?}")));
    }
    let text = read(&root.join(MANIFEST), MAX_LEN)?;
    let manifest = String::from_utf8(text).map_err(|_| Some("the manifest is not UTF-8".to_owned()))?;
    if lines.next() != Some(hex::encode(Sha256::digest(&manifest)).as_str()) {
        return Err(Some("the seal is of another manifest".to_owned()));
    }
    Manifest::parse(&manifest).map_err(|error| Some(error.to_string()))
}

/// A regular file, at most `limit` bytes. `Err(None)` if there is none.
fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Option<String>> {
    let words = |error: std::io::Error| Some(format!("cannot read {}: {error}", path.display()));
    let wrong = || Some(format!("{} is not a file of at most {limit} bytes", path.display()));
    let file = match open_regular(path) {
        Ok(file) => file.ok_or_else(wrong)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(None),
        Err(error) => return Err(words(error)),
    };
    read_bounded(file, limit).map_err(words)?.ok_or_else(wrong)
}

/// The folder of the unpacked module that a file belongs to: `mod/PATH@VERSION`.
fn module_folder(name: &str) -> Option<&str> {
    let below = name.strip_prefix("mod/").filter(|below| !below.starts_with("cache/"))?;
    let at = below.find('@')?;
    let end = below[at..].find('/').map_or(below.len(), |slash| at + slash);
    Some(&name[..name.len() - below.len() + end])
}

/// To which module a file of the caches belongs.
enum Owner {
    /// To none: the build cache, lists, locks, tiles of the checksum database.
    Nobody,
    /// To one that must be known by a file of one of these kinds.
    Module(ModuleVersion, &'static [Kind]),
    /// It lies where modules are unpacked, and has no name that `go` gives.
    Unknown,
}

fn owner(name: &str) -> Owner {
    if let Some(folder) = module_folder(name) {
        let module = folder.strip_prefix("mod/").and_then(ModuleVersion::unescape);
        return module.map_or(Owner::Unknown, |module| Owner::Module(module, &[Kind::Zip]));
    }
    downloaded(name).map_or(Owner::Nobody, |(module, kinds)| Owner::Module(module, kinds))
}

fn downloaded(name: &str) -> Option<(ModuleVersion, &'static [Kind])> {
    let (version, ending) = name.strip_prefix("mod/cache/download/")?.rsplit_once('.')?;
    let ending = match ending {
        "ziphash" => "zip",
        "lock" => "info",
        ending => ending,
    };
    let Artifact { module, kind } = Request::parse(&format!("{version}.{ending}")).ok()?.file()?;
    Some(match kind {
        Kind::Zip => (module, &[Kind::Zip]),
        Kind::Mod => (module, &[Kind::Mod]),
        Kind::Info => (module, &[Kind::Zip, Kind::Mod]),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use super::super::known::KnownFile;
    use super::*;

    const FILES: [&str; 5] = [
        "mod/example.com/a@v1.0.0/a.go",
        "mod/example.com/a@v1.0.0/b/b.go",
        "mod/cache/download/example.com/a/@v/v1.0.0.ziphash",
        "mod/cache/download/example.com/a/@v/v1.0.0.zip",
        "build/00/00-a",
    ];

    fn known(module: &str) -> Known {
        let h1 = gomodule::dirhash::hash_go_mod(b"");
        let key = (ModuleVersion::parse(module).unwrap(), Kind::Zip);
        [(key, KnownFile { h1, proved: true })].into()
    }

    fn sealed_folder() -> (tempfile::TempDir, Signer) {
        let root = tempfile::tempdir().unwrap();
        for name in FILES {
            write(root.path(), name, name);
        }
        let signer = Signer::from_seed("ci.example.com", [3; 32]).unwrap();
        assert_eq!(close(root.path(), &signer, &known("example.com/a@v1.0.0")).unwrap(), FILES.len());
        (root, signer)
    }

    fn write(root: &Path, name: &str, text: &str) {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), text).unwrap();
    }

    fn left(root: &Path) -> Vec<String> {
        let names = files::list(root, &SEALED).unwrap().files.into_keys();
        names.map(|name| name.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn what_is_sealed_stays() {
        let (root, signer) = sealed_folder();
        let sealed = open(root.path(), signer.verifier_key()).unwrap();
        assert_eq!((sealed.files, sealed.thrown_away.len(), sealed.invalid.as_ref()), (FILES.len(), 0, None));
        assert_eq!(sealed.known, known("example.com/a@v1.0.0"));
        let zip = root.path().join(FILES[3]);
        assert!(!sealed.is_new(&zip) && sealed.is_new(&root.path().join("mod/other")));
        fs::write(&zip, FILES[3]).unwrap();
        assert!(sealed.is_new(&zip), "it was written to, whatever it says");
    }

    #[test]
    fn only_known_modules_are_sealed_and_what_go_wrote_makes_none_known() {
        let (root, signer) = (tempfile::tempdir().unwrap(), Signer::from_seed("ci.example.com", [3; 32]).unwrap());
        let others = [
            "mod/example.com/b@v1.0.0/b.go",
            "mod/cache/download/example.com/b/@v/v1.0.0.ziphash",
            "mod/cache/download/example.com/b/@v/v1.0.0.zip",
            "mod/cache/download/example.com/a/@v/v1.0.0.mod",
        ];
        for name in FILES.iter().chain(&others) {
            write(root.path(), name, name);
        }
        let known = known("example.com/a@v1.0.0");
        assert_eq!(close(root.path(), &signer, &known).unwrap(), FILES.len());
        assert_eq!(left(root.path()).len(), FILES.len(), "nothing is left to be thrown away");
        let sealed = open(root.path(), signer.verifier_key()).unwrap();
        assert_eq!((sealed.known, sealed.files), (known, FILES.len()));
    }

    #[test]
    fn what_cannot_be_right_is_not_read() {
        let (root, signer) = sealed_folder();
        // So much cannot be read while a test waits for it.
        let large = |name: &str| {
            fs::create_dir_all(root.path().join(name).parent().unwrap()).unwrap();
            fs::File::create(root.path().join(name)).unwrap().set_len(4 << 40).unwrap();
        };
        large(FILES[4]);
        large("build/01/01-a");
        let sealed = open(root.path(), signer.verifier_key()).unwrap();
        assert_eq!(sealed.thrown_away, [FILES[4], "build/01/01-a"]);
        let (root, signer) = (tempfile::tempdir().unwrap(), signer);
        fs::create_dir_all(root.path().join("mod")).unwrap();
        fs::File::create(root.path().join("mod/large")).unwrap().set_len(4 << 40).unwrap();
        assert_eq!(open(root.path(), signer.verifier_key()).unwrap().thrown_away, ["mod/large"]);
    }

    #[test]
    fn no_name_and_no_empty_folder_stays() {
        let (root, signer) = sealed_folder();
        let odd = std::ffi::OsStr::from_bytes(b"mod/example.com/a@v1.0.0/\xff.go");
        let odd_folder = std::ffi::OsStr::from_bytes(b"mod/\xfe/x@v1");
        fs::write(root.path().join(odd), "").unwrap();
        fs::create_dir_all(root.path().join(odd_folder)).unwrap();
        fs::create_dir_all(root.path().join("mod/example.com/empty@v1.0.0")).unwrap();
        fs::write(root.path().join("build/a\nb"), "").unwrap();
        let sealed = open(root.path(), signer.verifier_key()).unwrap();
        assert_eq!(sealed.files, 3, "{:?}", sealed.thrown_away);
        assert_eq!(left(root.path()), [FILES[4], FILES[3], FILES[2]]);
        let names = |folder: &str| fs::read_dir(root.path().join(folder)).unwrap().count();
        assert_eq!((names("mod"), root.path().join("mod/example.com").exists()), (1, false), "only mod/cache is left");
    }

    #[test]
    fn what_stands_in_the_place_of_a_sealed_file_is_removed() {
        let (root, signer) = sealed_folder();
        let place = root.path().join(FILES[3]);
        fs::remove_file(&place).unwrap();
        fs::create_dir(&place).unwrap();
        let below = root.path().join("build/00");
        fs::remove_dir_all(&below).unwrap();
        fs::write(&below, "").unwrap();
        open(root.path(), signer.verifier_key()).unwrap();
        assert!(!place.exists() && !below.exists());
    }

    #[test]
    fn a_module_of_which_one_file_is_not_right_goes_whole() {
        let changes: [&dyn Fn(&Path); 4] = [
            &|root| write(root, FILES[0], "other"),
            &|root| fs::remove_file(root.join(FILES[1])).unwrap(),
            &|root| write(root, "mod/example.com/a@v1.0.0/c.go", "added"),
            &|root| symlink("a.go", root.join("mod/example.com/a@v1.0.0/link.go")).unwrap(),
        ];
        for change in changes {
            let (root, signer) = sealed_folder();
            change(root.path());
            let sealed = open(root.path(), signer.verifier_key()).unwrap();
            assert!(!root.path().join("mod/example.com/a@v1.0.0").exists());
            assert_eq!(sealed.files, 3, "the zip and the build cache are right: {:?}", sealed.thrown_away);
            assert!(!sealed.thrown_away.is_empty());
        }
    }

    #[test]
    fn a_file_elsewhere_goes_alone() {
        let (root, signer) = sealed_folder();
        write(root.path(), "build/00/00-a", "patched");
        write(root.path(), "build/01/01-a", "added");
        symlink("/etc", root.path().join("mod/example.com/link")).unwrap();
        let sealed = open(root.path(), signer.verifier_key()).unwrap();
        assert_eq!(left(root.path()), [FILES[3], FILES[2], FILES[0], FILES[1]]);
        assert_eq!(sealed.thrown_away, ["build/00/00-a", "build/01/01-a", "mod/example.com/link"]);
    }

    #[test]
    fn without_a_valid_seal_nothing_stays() {
        let other = Signer::from_seed("ci.example.com", [4; 32]).unwrap();
        let changes: [&dyn Fn(&Path); 5] = [
            &|root| fs::remove_file(root.join(SEAL)).unwrap(),
            &|root| fs::remove_file(root.join(MANIFEST)).unwrap(),
            &|root| write(root, MANIFEST, "sumgate cache manifest v2\n"),
            &|root| write(root, SEAL, &other.sign("sumgate cache seal v2\n").unwrap()),
            &|root| write(root, SEAL, &fs::read_to_string(root.join(SEAL)).unwrap().replace("v2", "v3")),
        ];
        for change in changes {
            let (root, signer) = sealed_folder();
            change(root.path());
            let sealed = open(root.path(), signer.verifier_key()).unwrap();
            assert_eq!((sealed.files, left(root.path()).len()), (0, 0));
            let is_there = root.path().join(SEAL).exists() && root.path().join(MANIFEST).exists();
            assert_eq!(sealed.invalid.is_some(), is_there, "{:?}", sealed.invalid);
        }
    }
}
