//! Compares the zips and go.mod files in the download folder of a module cache with the released ones.
//!
//! `go` unpacks such a zip without another lookup: it compares the zip with the `.ziphash` beside it, and that with go.sum. An
//! attacker who writes both controls a module in every later build.

use std::io;
use std::path::{Path, PathBuf};

use super::compare::cut;
use super::files;
use super::known::Known;
use crate::audit::{CachedFile, HashError};
use crate::base::fault::in_full;
use crate::base::parallel::each;
use crate::base::tree::read_regular;
use crate::finding::{Code, Finding};
use gomodule::artifact::Kind;
use gomodule::dirhash::{H1, H1Error};
use gomodule::module::Patterns;
use gomodule::proxy_request::{Cached, cached};

const FOLDER: &str = "cache/download";
/// A `.ziphash` has 47 bytes.
const MAX_ZIPHASH: u64 = 1 << 10;

/// Findings about the downloads in the module cache `cache` that are `new`. Modules that are `private` and not known are
/// skipped. Blocks, on all processors.
pub fn check_downloads(
    cache: &Path,
    known: &Known,
    private: &Patterns,
    new: impl Fn(&Path) -> bool,
) -> io::Result<Vec<Finding>> {
    let listed = files::list(cache, &[FOLDER])?;
    let download = |name: &PathBuf| {
        let (module, content) = cached(name.strip_prefix(FOLDER).ok()?.to_str()?)?;
        Some(CachedFile { path: cache.join(name), module, content })
    };
    let found: Vec<CachedFile> = listed.files.keys().filter_map(download).filter(|found| new(&found.path)).collect();
    let findings = each(&found, |found| check(found, known, private));
    Ok(cut(findings.into_iter().flatten().collect()))
}

fn check(found: &CachedFile, known: &Known, private: &Patterns) -> Option<Finding> {
    let CachedFile { path, module, content } = found;
    let (kind, what) = match content {
        Cached::Mod => (Kind::Mod, "go.mod file"),
        Cached::Zip => (Kind::Zip, "zip"),
        Cached::ZipHash => (Kind::Zip, "hash"),
    };
    let known = known.get(&(module.clone(), kind)).map(|known| known.h1);
    // `go` does not use a hash without a zip.
    if known.is_none() && (private.exempts(&module.path) || *content == Cached::ZipHash) {
        return None;
    }
    let hash = hash(found);
    if known.is_some() && hash.as_ref().ok() == known.as_ref() {
        return None;
    }
    let fault = match &hash {
        Err(why) => format!("cannot be read: {}", in_full(why)),
        Ok(_) if known.is_some() => "is not what came through the gate".to_owned(),
        Ok(_) => "did not come through the gate".to_owned(),
    };
    let message = format!("the {what} of {module} in the module cache {fault}");
    let finding = Finding::new(Code::ModuleNotReleased, message).at(path).about(module);
    let facts = hash.ok().map(|h1| ("found", h1)).into_iter().chain(known.map(|h1| ("released", h1)));
    Some(facts.fold(finding, |finding, (name, h1)| finding.fact(name, &h1)))
}

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
enum DownloadHashError {
    File(#[from] HashError),
    ZipHash(#[from] H1Error),
}

/// The h1 of the file, or the h1 that a `.ziphash` has.
fn hash(found: &CachedFile) -> Result<H1, DownloadHashError> {
    if found.content != Cached::ZipHash {
        return Ok(found.hash()?);
    }
    let text = read_regular(&found.path, MAX_ZIPHASH).map_err(HashError::from)?;
    Ok(H1::parse(String::from_utf8_lossy(&text).trim())?)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;

    use gomodule::dirhash::hash_go_mod;
    use gomodule::module::ModuleVersion;

    use super::super::known::KnownFile;
    use super::*;

    #[test]
    fn downloads_are_compared_with_the_released_files() {
        let cache = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = cache.path().join(FOLDER).join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let h1 = hash_go_mod(b"module a.com/x\n");
        let module = ModuleVersion::parse("a.com/X@v1.0.0").unwrap();
        let known: Known =
            [Kind::Mod, Kind::Zip].map(|kind| ((module.clone(), kind), KnownFile { h1, proved: true })).into();
        let messages = |new: &dyn Fn(&Path) -> bool| {
            let found = check_downloads(cache.path(), &known, &Patterns::parse("corp.example").unwrap(), new).unwrap();
            assert!(found.iter().all(|finding| finding.code == Code::ModuleNotReleased));
            found.into_iter().map(|finding| finding.message).collect::<Vec<_>>()
        };
        assert_eq!(messages(&|_| true), [""; 0], "there is no cache yet");
        write("a.com/!x/@v/v1.0.0.mod", "module a.com/x\n");
        write("a.com/!x/@v/v1.0.0.ziphash", &h1.to_string());
        write("a.com/!x/@v/v1.0.0.info", "anything");
        write("a.com/y/@v/v1.0.0.ziphash", "ignored without a zip");
        write("corp.example/p/@v/v1.0.0.mod", "module corp.example/p\n");
        write("sumdb/sum.golang.org/lookup/a.com/y@v1.0.0", "anything");
        assert_eq!(messages(&|_| true), [""; 0]);
        write("a.com/!x/@v/v1.0.0.mod", "module a.com/z\n");
        write("a.com/!x/@v/v1.0.0.ziphash", &hash_go_mod(b"").to_string());
        write("a.com/y/@v/v1.0.0.mod", "module a.com/y\n");
        std::os::unix::fs::symlink("/dev/zero", cache.path().join(FOLDER).join("a.com/y/@v/v1.0.0.zip")).unwrap();
        assert_eq!(
            messages(&|_| true),
            [
                "the go.mod file of a.com/X@v1.0.0 in the module cache is not what came through the gate",
                "the hash of a.com/X@v1.0.0 in the module cache is not what came through the gate",
                "the go.mod file of a.com/y@v1.0.0 in the module cache did not come through the gate",
                "the zip of a.com/y@v1.0.0 in the module cache cannot be read: it is not a regular file",
            ]
        );
        assert_eq!(messages(&|path| path.ends_with("a.com/y/@v/v1.0.0.mod")).len(), 1);
    }
}
