//! `sumgate hash`: prints the h1 of a file or folder, as in go.sum.

use std::fs::File;
use std::path::Path;

use super::args::HashArgs;
use super::exit::{Exit, Failure};
use super::{out, progress};
use crate::base::bounded::read_bounded;
use crate::base::fault::Fault;
use crate::base::tree::{TreeError, Unreadable, hash_dir, open_named};
use gomodule::dirhash::{H1, ZipLimits, hash_go_mod, hash_module_zip, module_in_zip};
use gomodule::gomod::MAX_GO_MOD;
use gomodule::module::ModuleVersion;

pub(super) fn run(args: &HashArgs) -> Result<Exit, Failure> {
    let path = &args.path;
    let module = args.module.clone();
    let kind = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    let h1 = if kind.is_dir() {
        let module = module.or_else(|| in_module_cache(path)).ok_or_else(|| {
            let message = "the hash of a folder covers the name of its module: add --module MODULE@VERSION";
            Failure::new(Fault::Request, message)
        })?;
        let _line = progress::show(&format!("hashing {}", path.display()));
        hash_dir(path, &module.to_string()).map_err(|error| refused(path, &error))?
    } else if path.extension().is_some_and(|extension| extension == "mod") {
        go_mod(path, open(path)?)?
    } else {
        let file = open(path)?;
        let module = module.map_or_else(|| module_of(path, &file), Ok)?;
        zip(path, &file, &module)?
    };
    out::print(&format!("{h1}  {}\n", path.display()));
    Ok(Exit::Success)
}

/// Opens a regular file that the user named. Does not wait for the writer of a FIFO.
pub(super) fn open(path: &Path) -> Result<File, Failure> {
    open_named(path).map_err(|error| match error {
        TreeError::NotRegular { .. } => Failure::new(Fault::Request, error.to_string()),
        TreeError::Unreadable(Unreadable { cause, .. }) => unreadable(path, &cause),
    })
}

/// The h1 of a go.mod.
pub(super) fn go_mod(path: &Path, file: File) -> Result<H1, Failure> {
    let read = read_bounded(file, MAX_GO_MOD).map_err(|error| unreadable(path, &error))?;
    let too_large = || {
        Failure::new(
            Fault::Refused,
            format!("{}: expected a go.mod of at most {MAX_GO_MOD} bytes, found more", path.display()),
        )
    };
    Ok(hash_go_mod(&read.ok_or_else(too_large)?))
}

/// The h1 of a module zip.
pub(super) fn zip(path: &Path, file: &File, module: &ModuleVersion) -> Result<H1, Failure> {
    let _line = progress::show(&format!("hashing {}", path.display()));
    Ok(hash_module_zip(file, module, &ZipLimits::default()).map_err(|error| refused(path, &error))?.h1)
}

/// The module version of a zip, from the file names in it.
pub(super) fn module_of(path: &Path, zip: &File) -> Result<ModuleVersion, Failure> {
    module_in_zip(zip, &ZipLimits::default()).map_err(|error| refused(path, &error))
}

fn unreadable(path: &Path, error: &dyn std::error::Error) -> Failure {
    Failure::host(&format!("read {}", path.display()), error)
}

fn refused(path: &Path, error: &dyn std::error::Error) -> Failure {
    Failure::new(Fault::Refused, format!("{}: {}", path.display(), crate::base::fault::in_full(error)))
}

/// The module version that a folder of a module cache holds: `GOMODCACHE/PATH@VERSION`, upper case escaped.
fn in_module_cache(dir: &Path) -> Option<ModuleVersion> {
    let dir = dir.canonicalize().ok()?;
    // Found by its usual path, or by its downloads.
    let is_cache = |folder: &&Path| folder.ends_with("pkg/mod") || folder.join("cache/download").is_dir();
    let mut caches = dir.ancestors().skip(1).filter(is_cache);
    caches.find_map(|cache| ModuleVersion::unescape(dir.strip_prefix(cache).ok()?.to_str()?))
}
