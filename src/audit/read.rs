//! A target, read: its hash lines, what is wrong with them by themselves, and what go.mod requires without a line.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::base::{Base, BaseError};
use super::find::Target;
use super::{Entry, HashAt};
use crate::artifact::Kind;
use crate::finding::{Code, Finding, Place};
use crate::gomod::{GoMod, used_folders};
use crate::gosum::{SumContent, SumLine, parse_go_sum};
use crate::module::ModuleVersion;

/// The go.sum of a very large monorepo has one megabyte; a go.mod may have 16 MiB (`golang.org/x/mod/zip`: MaxGoMod).
pub(super) const MAX_FILE: u64 = 16 << 20;

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
    let Some(base) = base else { return Ok(now.entries(target, &HashSet::new(), &HashSet::new())) };
    let then = Files::then(target, base)?;
    let old_lines = then.sum.split(|byte| *byte == b'\n').map(words).collect();
    let old_missing = then.missing().into_iter().map(|(_, module)| module).collect();
    Ok(now.entries(target, &old_lines, &old_missing))
}

/// A go.sum and what decides whether it is complete.
struct Files {
    sum: Vec<u8>,
    go_mod: Option<Vec<u8>>,
    /// The go.work.sum of the workspace: `go` looks there too.
    work_sum: Vec<u8>,
    /// The paths of the workspace's own modules: `go` takes those from their folders.
    local: HashSet<String>,
}

impl Files {
    fn now(target: &Target) -> Result<Self, ReadError> {
        let sum = match read_bounded(&target.sum) {
            Err(ReadError::Unreadable { cause, .. })
                if cause.kind() == io::ErrorKind::NotFound && target.go_mod.is_some() =>
            {
                Vec::new()
            }
            read => read?,
        };
        let go_mod = target.go_mod.as_deref().map(read_bounded).transpose()?;
        let workspace = workspace(target);
        let work_sum = workspace.as_deref().and_then(work_sum).map(|path| read_bounded(&path)).transpose()?;
        let local = workspace.as_deref().map(own_modules).unwrap_or_default();
        Ok(Self { sum, go_mod, work_sum: work_sum.unwrap_or_default(), local })
    }

    fn then(target: &Target, base: &Base) -> Result<Self, ReadError> {
        let sum = base.earlier(&target.sum)?.unwrap_or_default();
        let go_mod = target.go_mod.as_deref().map(|path| base.earlier(path)).transpose()?.flatten();
        let work_sum = workspace(target).as_deref().and_then(work_sum).map(|path| base.earlier(&path)).transpose()?;
        // Only asked about what is missing: more of it does no harm, for the state of now decides.
        Ok(Self { sum, go_mod, work_sum: work_sum.flatten().unwrap_or_default(), local: HashSet::new() })
    }

    fn entries(
        &self,
        target: &Target,
        old_lines: &HashSet<Vec<String>>,
        old_missing: &HashSet<ModuleVersion>,
    ) -> Vec<Entry> {
        let lines: Vec<&[u8]> = self.sum.split(|byte| *byte == b'\n').collect();
        let is_new = |line: &SumLine| !old_lines.contains(&words(lines[line.number as usize - 1]));
        let mut entries: Vec<Entry> =
            parse_go_sum(&self.sum).into_iter().filter(is_new).map(|line| entry(target, line)).collect();
        let go_mod = target.go_mod.clone().unwrap_or_default();
        if let Some(Err(error)) = self.go_mod.as_deref().map(parse_go_mod) {
            let place = Place { file: go_mod.clone(), line: Some(error.0) };
            entries.push(Entry::Finding(finding(Code::MalformedLine, place, None, error.1)));
        }
        for (line, module) in self.missing() {
            if !old_missing.contains(&module) {
                let place = Place { file: go_mod.clone(), line: Some(line) };
                let sum = target.sum.file_name().unwrap_or_default().to_string_lossy();
                let message = format!("{module} is required, and {sum} has no line for its go.mod");
                entries.push(Entry::Finding(finding(Code::MissingLine, place, Some(&module), message)));
            }
        }
        entries
    }

    /// What go.mod requires, or replaces it by, that no line is there for. `go` needs the go.mod hash of every version
    /// that go.mod names (`cmd/go/internal/modload`, keepSums).
    fn missing(&self) -> Vec<(u32, ModuleVersion)> {
        let Some(Ok(go_mod)) = self.go_mod.as_deref().map(parse_go_mod) else { return Vec::new() };
        let lines = parse_go_sum(&self.sum).into_iter().chain(parse_go_sum(&self.work_sum));
        let has: HashSet<ModuleVersion> = lines
            .filter_map(|line| match line.content {
                SumContent::Hash(hash) if hash.kind == Kind::Mod => Some(hash.module),
                _ => None,
            })
            .collect();
        let elsewhere = go_mod.requires.iter().filter(|require| !self.local.contains(require.module.path.as_ref()));
        let required = elsewhere.filter_map(|require| Some((require.line, go_mod.resolved(require)?)));
        required.filter(|(_, module)| !has.contains(module)).collect()
    }
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

fn work_sum(workspace: &Path) -> Option<PathBuf> {
    Some(workspace.join("go.work.sum")).filter(|sum| sum.is_file())
}

/// The module paths of the folders that a workspace uses. What cannot be read has none, and may be reported as missing.
fn own_modules(workspace: &Path) -> HashSet<String> {
    let text = |path: &Path| Some(String::from_utf8_lossy(&read_bounded(path).ok()?).into_owned());
    let folders = text(&workspace.join("go.work")).map(|text| used_folders(&text)).unwrap_or_default();
    let go_mods = folders.into_iter().filter_map(|folder| text(&workspace.join(folder).join("go.mod")));
    go_mods.filter_map(|go_mod| GoMod::parse(&go_mod).ok()?.module).collect()
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
