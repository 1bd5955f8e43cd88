//! A target, read: its hash lines, what is wrong with them by themselves, and what go.mod requires without a line.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::find::Target;
use super::{Entry, HashAt};
use crate::artifact::Kind;
use crate::finding::{Code, Finding, Place};
use crate::gomod::{GoMod, used_folders};
use crate::gosum::{SumContent, SumLine, parse_go_sum};
use crate::module::ModuleVersion;
use crate::repository::{Base, BaseError};

/// The go.sum of a very large monorepo has one megabyte; a go.mod may have 16 MiB (`golang.org/x/mod/zip`: MaxGoMod).
const MAX_FILE: u64 = 16 << 20;

/// Beside the go.work of a workspace. `go` looks there too.
const WORK_SUM: &str = "go.work.sum";

/// Why a target cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file system refuses.
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Larger than such a file may be.
    #[error("{} has more than {MAX_FILE} bytes", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// The earlier state of the file.
    #[error(transparent)]
    Base(#[from] BaseError),
}

/// Reads a target. With `base`, only what is new since then: the lines that were not there, and what is missing now and
/// was not missing then.
pub fn read(target: &Target, base: Option<&Base>) -> Result<Vec<Entry>, ReadError> {
    let now = Files::now(target)?;
    let mut missing = now.missing();
    // A workspace may have thousands of modules: it is read only for those that need it.
    if let (false, Some(workspace)) = (missing.is_empty(), workspace(target)) {
        let (has, own) = (go_mods_in(&read_if_there(&workspace.join(WORK_SUM))?), own_modules(&workspace));
        missing.retain(|one| !has.contains(&one.module) && !own.contains(&one.required));
    }
    let Some(base) = base else { return Ok(now.entries(target, &HashSet::new(), &missing)) };
    let then = Files::then(target, base)?;
    let old_lines = then.sum.split(|byte| *byte == b'\n').map(words).collect();
    let mut old_missing = then.missing();
    if let (false, Some(workspace)) = (missing.is_empty(), workspace(target)) {
        let has = go_mods_in(&base.earlier(&workspace.join(WORK_SUM))?.unwrap_or_default());
        old_missing.retain(|one| !has.contains(&one.module));
    }
    // What was one of the workspace's own modules then is among them too: a workspace of the past is not read.
    let old_missing: HashSet<ModuleVersion> = old_missing.into_iter().map(|one| one.module).collect();
    missing.retain(|one| !old_missing.contains(&one.module));
    Ok(now.entries(target, &old_lines, &missing))
}

/// A go.sum and what decides whether it is complete.
struct Files {
    sum: Vec<u8>,
    go_mod: Option<Vec<u8>>,
}

/// What go.mod requires and go.sum has no line for.
struct Missing {
    line: u32,
    /// The module path that is required.
    required: String,
    /// What stands for it once replacements are applied.
    module: ModuleVersion,
}

impl Files {
    fn now(target: &Target) -> Result<Self, ReadError> {
        let sum = if target.go_mod.is_some() { read_if_there(&target.sum) } else { read_bounded(&target.sum) }?;
        let go_mod = target.go_mod.as_deref().map(read_bounded).transpose()?;
        Ok(Self { sum, go_mod })
    }

    fn then(target: &Target, base: &Base) -> Result<Self, ReadError> {
        let sum = base.earlier(&target.sum)?.unwrap_or_default();
        let go_mod = target.go_mod.as_deref().map(|path| base.earlier(path)).transpose()?.flatten();
        Ok(Self { sum, go_mod })
    }

    fn entries(&self, target: &Target, old_lines: &HashSet<Vec<String>>, missing: &[Missing]) -> Vec<Entry> {
        let lines: Vec<&[u8]> = self.sum.split(|byte| *byte == b'\n').collect();
        let is_new = |line: &SumLine| !old_lines.contains(&words(lines[line.number as usize - 1]));
        let mut entries: Vec<Entry> =
            parse_go_sum(&self.sum).into_iter().filter(is_new).map(|line| entry(target, line)).collect();
        let go_mod = target.go_mod.clone().unwrap_or_default();
        if let Some(Err(error)) = self.go_mod.as_deref().map(parse_go_mod) {
            let place = Place { file: go_mod.clone(), line: Some(error.0) };
            entries.push(Entry::Finding(finding(Code::MalformedLine, place, None, error.1)));
        }
        for Missing { line, module, .. } in missing {
            let place = Place { file: go_mod.clone(), line: Some(*line) };
            let sum = target.sum.file_name().unwrap_or_default().to_string_lossy();
            let message = format!("{module} is required, and {sum} has no line for its go.mod");
            entries.push(Entry::Finding(finding(Code::MissingLine, place, Some(module), message)));
        }
        entries
    }

    /// What go.mod requires, or replaces it by, that no line is there for. `go` needs the go.mod hash of every version
    /// that go.mod names (`cmd/go/internal/modload`, keepSums).
    fn missing(&self) -> Vec<Missing> {
        let Some(Ok(go_mod)) = self.go_mod.as_deref().map(parse_go_mod) else { return Vec::new() };
        let has = go_mods_in(&self.sum);
        let required = go_mod.requires.iter().filter_map(|require| {
            let (line, required) = (require.line, require.module.path.as_ref().to_owned());
            Some(Missing { line, required, module: go_mod.resolved(require)? })
        });
        required.filter(|one| !has.contains(&one.module)).collect()
    }
}

/// The versions that hash lines have the go.mod of.
fn go_mods_in(sum: &[u8]) -> HashSet<ModuleVersion> {
    let go_mod = |line: SumLine| match line.content {
        SumContent::Hash(hash) if hash.kind == Kind::Mod => Some(hash.module),
        _ => None,
    };
    parse_go_sum(sum).into_iter().filter_map(go_mod).collect()
}

fn entry(target: &Target, line: SumLine) -> Entry {
    let place = Place { file: target.sum.clone(), line: Some(line.number) };
    match line.content {
        SumContent::Hash(hash) => Entry::Hash(HashAt { place, module: hash.module, kind: hash.kind, hash: hash.hash }),
        SumContent::Malformed { text, why } => {
            let mut malformed = finding(Code::MalformedLine, place, None, format!("not a hash line: {why}"));
            malformed.facts.push(("line".to_owned(), text));
            Entry::Finding(malformed)
        }
        SumContent::Dropped(module) => {
            let message = "the hash of an empty go.mod: an old go wrote it by mistake, and every go.mod has content";
            Entry::Finding(finding(Code::DroppedLine, place, Some(&module), message.to_owned()))
        }
    }
}

fn finding(code: Code, place: Place, module: Option<&ModuleVersion>, message: String) -> Finding {
    let module = module.map(ToString::to_string);
    Finding { place: Some(place), module, message, ..Finding::of(code) }
}

/// The go.mod, or the line and the words of what is wrong with it.
fn parse_go_mod(bytes: &[u8]) -> Result<GoMod, (u32, String)> {
    GoMod::parse(&String::from_utf8_lossy(bytes)).map_err(|error| (error.line, error.to_string()))
}

/// A line as `go` sees it: its fields.
fn words(line: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(line).split_whitespace().map(str::to_owned).collect()
}

/// The folder of the workspace that a go.mod lies in: that of the nearest go.work above it.
fn workspace(target: &Target) -> Option<PathBuf> {
    let folder = target.go_mod.as_ref()?.parent()?;
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let folder = folder.canonicalize().ok()?;
    folder.ancestors().find(|folder| folder.join("go.work").is_file()).map(Path::to_owned)
}

/// The module paths of the folders that a workspace uses: `go` takes those from there, and needs no line for them. What
/// cannot be read has none, and may be reported as missing.
fn own_modules(workspace: &Path) -> HashSet<String> {
    let text = |path: &Path| Some(String::from_utf8_lossy(&read_bounded(path).ok()?).into_owned());
    let folders = text(&workspace.join("go.work")).map(|text| used_folders(&text)).unwrap_or_default();
    let go_mods = folders.into_iter().filter_map(|folder| text(&workspace.join(folder).join("go.mod")));
    go_mods.filter_map(|go_mod| GoMod::parse(&go_mod).ok()?.module).collect()
}

/// A file that may be absent, and then says nothing.
fn read_if_there(path: &Path) -> Result<Vec<u8>, ReadError> {
    match read_bounded(path) {
        Err(ReadError::Unreadable { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, ReadError> {
    let unreadable = |cause| ReadError::Unreadable { path: path.to_owned(), cause };
    let mut bytes = Vec::new();
    File::open(path).map_err(unreadable)?.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(ReadError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}
