//! The download cache of a module cache: its zips and go.mod files, held against what was released.
//!
//! `go` unpacks such a zip without asking anybody again: it compares the zip with what stands in the `.ziphash` beside it, and
//! that with go.sum. So whoever writes both has a module in every later build.

use std::io;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;

use super::compare::cut;
use super::files;
use super::known::Known;
use crate::base::bounded::read_bounded;
use crate::base::fault::in_full;
use crate::base::parallel::each;
use crate::base::tree::open_regular;
use crate::finding::{Code, Finding};
use gomodule::artifact::Kind;
use gomodule::dirhash::{H1, H1Error, ZipError, ZipLimits, hash_go_mod, hash_module_zip};
use gomodule::gomod::MAX_GO_MOD;
use gomodule::module::{ModuleVersion, Patterns};
use gomodule::proxy_request::{Cached, cached};

const FOLDER: &str = "cache/download";
/// A `.ziphash` has 47 bytes.
const MAX_ZIPHASH: u64 = 1 << 10;

struct Download {
    path: PathBuf,
    module: ModuleVersion,
    content: Cached,
}

/// What is wrong with the downloads in the module cache `cache` that are `new`. Modules that are `private` and not known are
/// left to others. Blocks, on all processors.
pub fn downloads(
    cache: &Path,
    known: &Known,
    private: &Patterns,
    new: impl Fn(&Path) -> bool,
) -> io::Result<Vec<Finding>> {
    let listed = files::list(cache, &[FOLDER])?;
    let download = |name: &PathBuf| {
        let (module, content) = cached(name.strip_prefix(FOLDER).ok()?.to_str()?)?;
        Some(Download { path: cache.join(name), module, content })
    };
    let found: Vec<Download> = listed.files.keys().filter_map(download).filter(|found| new(&found.path)).collect();
    let wrong = each(&found, |found| wrong(found, known, private));
    Ok(cut(wrong.into_iter().flatten().collect()))
}

fn wrong(found: &Download, known: &Known, private: &Patterns) -> Option<Finding> {
    let Download { path, module, content } = found;
    let (kind, what) = match content {
        Cached::Mod => (Kind::Mod, "go.mod file"),
        Cached::Zip => (Kind::Zip, "zip"),
        Cached::ZipHash => (Kind::Zip, "hash"),
    };
    let known = known.get(&(module.clone(), kind)).map(|known| known.h1);
    // A hash counts for nothing without a zip.
    if known.is_none() && (private.exempts(&module.path) || *content == Cached::ZipHash) {
        return None;
    }
    let hash = hash(found);
    if known.is_some() && hash.as_ref().ok() == known.as_ref() {
        return None;
    }
    let said = match &hash {
        Err(why) => format!("cannot be read: {}", in_full(why)),
        Ok(_) if known.is_some() => "is not what came through the gate".to_owned(),
        Ok(_) => "did not come through the gate".to_owned(),
    };
    let message = format!("the {what} of {module} in the module cache {said}");
    let finding = Finding::new(Code::ModuleNotReleased, message).at(path).about(module);
    let facts = hash.ok().map(|h1| ("found", h1)).into_iter().chain(known.map(|h1| ("released", h1)));
    Some(facts.fold(finding, |finding, (name, h1)| finding.fact(name, &h1)))
}

#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it is no regular file")]
    NotRegular,
    #[error("it has more than {0} bytes")]
    TooLarge(u64),
    #[error(transparent)]
    NotUtf8(#[from] FromUtf8Error),
    #[error(transparent)]
    Zip(#[from] ZipError),
    #[error(transparent)]
    Hash(#[from] H1Error),
}

fn hash(found: &Download) -> Result<H1, Unreadable> {
    let file = open_regular(&found.path)?.ok_or(Unreadable::NotRegular)?;
    let all = |file, limit| read_bounded(file, limit)?.ok_or(Unreadable::TooLarge(limit));
    match found.content {
        Cached::Mod => Ok(hash_go_mod(&all(file, MAX_GO_MOD)?)),
        Cached::Zip => Ok(hash_module_zip(&file, &found.module, &ZipLimits::default())?.h1),
        Cached::ZipHash => Ok(H1::parse(String::from_utf8(all(file, MAX_ZIPHASH)?)?.trim())?),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;

    use super::super::known::KnownFile;
    use super::*;

    #[test]
    fn downloads_are_held_against_what_was_released() {
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
        let told = |new: &dyn Fn(&Path) -> bool| {
            let found = downloads(cache.path(), &known, &Patterns::parse("corp.example").unwrap(), new).unwrap();
            assert!(found.iter().all(|finding| finding.code == Code::ModuleNotReleased));
            found.into_iter().map(|finding| finding.message).collect::<Vec<_>>()
        };
        assert_eq!(told(&|_| true), [""; 0], "there is no cache yet");
        write("a.com/!x/@v/v1.0.0.mod", "module a.com/x\n");
        write("a.com/!x/@v/v1.0.0.ziphash", &h1.to_string());
        write("a.com/!x/@v/v1.0.0.info", "anything");
        write("a.com/y/@v/v1.0.0.ziphash", "counts for nothing alone");
        write("corp.example/p/@v/v1.0.0.mod", "module corp.example/p\n");
        write("sumdb/sum.golang.org/lookup/a.com/y@v1.0.0", "anything");
        assert_eq!(told(&|_| true), [""; 0]);
        write("a.com/!x/@v/v1.0.0.mod", "module a.com/z\n");
        write("a.com/!x/@v/v1.0.0.ziphash", &hash_go_mod(b"").to_string());
        write("a.com/y/@v/v1.0.0.mod", "module a.com/y\n");
        std::os::unix::fs::symlink("/dev/zero", cache.path().join(FOLDER).join("a.com/y/@v/v1.0.0.zip")).unwrap();
        assert_eq!(
            told(&|_| true),
            [
                "the go.mod file of a.com/X@v1.0.0 in the module cache is not what came through the gate",
                "the hash of a.com/X@v1.0.0 in the module cache is not what came through the gate",
                "the go.mod file of a.com/y@v1.0.0 in the module cache did not come through the gate",
                "the zip of a.com/y@v1.0.0 in the module cache cannot be read: it is no regular file",
            ]
        );
        assert_eq!(told(&|path| path.ends_with("a.com/y/@v/v1.0.0.mod")).len(), 1);
    }
}
