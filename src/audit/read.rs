//! Reads a target: its hash lines, malformed lines, and the requirements of go.mod without a line.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entry::{MAX_FINDINGS, more};
use super::target::{MAX_USED, Target, is_standard};
use super::toolchain::LocalGo;
use super::{Entry, FoundHash};
use crate::base::bounded::read_bounded;
use crate::base::limits::MAX_SUM;
use crate::base::tree::{Tree, TreeError, Unreadable, folder_of, open_named};
use crate::finding::{Code, Finding, Place, Unaudited};
use crate::repository::{Base, BaseError};
use gomodule::artifact::Kind;
use gomodule::gomod::{GoMod, folders, may_be_a_workspace, names_a_module};
use gomodule::gosum::{SumContent, SumLine, go_sum_lines};
use gomodule::module::ModuleVersion;

/// Beside a go.work. `go` reads it in addition to go.sum.
const WORK_SUM: &str = "go.work.sum";

/// Hash lines of one file. The go.sum of a very large monorepo has one megabyte, which is some 10,000 lines; a file of 16 MiB
/// may have 270,000, and each costs a lookup. Our own choice.
const MAX_LINES: usize = 50_000;

/// Why a target cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The file is too large.
    #[error("{} has more than {MAX_SUM} bytes", .0.display())]
    TooLarge(PathBuf),
    /// The earlier state of the file is unknown.
    #[error(transparent)]
    Base(#[from] BaseError),
}

/// Reads targets of one tree.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// Files must lie in it.
    pub tree: &'a Tree,
    /// Report only what is new since this commit: added lines, and lines that are missing now and were not then.
    pub base: Option<&'a Base>,
    /// Decides which `go` lines need a download.
    pub go: &'a LocalGo,
}

impl Reader<'_> {
    /// Reads a target.
    pub fn read(&self, target: &Target) -> Result<Vec<Entry>, ReadError> {
        let mut entries = Vec::new();
        let now = self.now(target, &mut entries)?;
        let then = self.base.map(|base| Files::then(target, base)).transpose()?;
        if target.sum.is_some() {
            let missing = self.missing(target, &now, then.as_ref(), &mut entries)?;
            let old = then.as_ref().filter(|then| then.was_target(target));
            let old = old.map(|then| then.sum.split(|byte| *byte == b'\n').map(fields).collect());
            now.entries(target, &old.unwrap_or_default(), &missing, &mut entries);
        }
        let of_old = |file: fn(&Files) -> &Option<Vec<u8>>| then.as_ref().and_then(|then| file(then).as_deref());
        let pairs = [
            (&target.go_mod, &now.go_mod, of_old(|files| &files.go_mod)),
            (&target.go_work, &now.go_work, of_old(|files| &files.go_work)),
        ];
        for (path, now, then) in pairs {
            if let (Some(path), Some(now)) = (path, now) {
                entries.extend(self.go.entries(path, now, then.unwrap_or_default()));
            }
        }
        Ok(entries)
    }

    fn now(&self, target: &Target, entries: &mut Vec<Entry>) -> Result<Files, ReadError> {
        let mut text = |path: &Option<PathBuf>, elsewhere| {
            path.as_deref().map(|path| self.text(path, elsewhere, entries)).transpose().map(Option::flatten)
        };
        // Beside a go.mod the go.sum may be missing.
        let sum = text(&target.sum, target.may_lie_elsewhere);
        let sum = if target.go_mod.is_some() { or_missing(sum)? } else { sum? };
        let (go_mod, go_work) = (text(&target.go_mod, false)?, text(&target.go_work, false)?);
        Ok(Files { sum: sum.unwrap_or_default(), go_mod, go_work })
    }

    fn missing(
        &self,
        target: &Target,
        now: &Files,
        then: Option<&Files>,
        entries: &mut Vec<Entry>,
    ) -> Result<Vec<Missing>, ReadError> {
        let mut missing = now.missing();
        let workspace = if missing.is_empty() { None } else { workspace(target) };
        // A workspace may have thousands of modules: it is read only where lines are missing.
        if let Some(workspace) = &workspace {
            let sum = or_missing(self.around(&workspace.join(WORK_SUM), entries))?;
            let (has, own) = (go_mods_in(&sum.unwrap_or_default()), self.own_modules(workspace));
            missing.retain(|one| !has.contains(&one.module) && !own.contains(&one.required));
        }
        let (Some(base), Some(then)) = (self.base, then) else { return Ok(missing) };
        let mut old_missing = then.missing();
        if let (false, Some(workspace)) = (missing.is_empty(), workspace) {
            let has = go_mods_in(&base.earlier(&workspace.join(WORK_SUM))?.unwrap_or_default());
            old_missing.retain(|one| !has.contains(&one.module));
        }
        // The own modules of the earlier workspace are not removed: its go.work is not read.
        let old_missing: HashSet<ModuleVersion> = old_missing.into_iter().map(|one| one.module).collect();
        missing.retain(|one| !old_missing.contains(&one.module));
        Ok(missing)
    }

    /// The module paths of the folders that a workspace uses: `go` needs no line for them. A file that cannot be read has no
    /// module path, so its module may be reported as missing.
    fn own_modules(&self, workspace: &Path) -> HashSet<String> {
        let text = |path: &Path| {
            let bytes = self.around(path, &mut Vec::new()).ok().flatten()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        let folders = text(&workspace.join("go.work")).map(|text| folders(&text).used).unwrap_or_default();
        // Each folder once, under any number of names.
        let folders = folders.into_iter().filter_map(|folder| workspace.join(folder).canonicalize().ok());
        let folders: BTreeSet<PathBuf> = folders.take(MAX_USED).collect();
        let go_mods = folders.into_iter().filter_map(|folder| text(&folder.join("go.mod")));
        go_mods.filter_map(|go_mod| GoMod::parse(&go_mod).ok()?.module).collect()
    }

    /// A file of the workspace: in the tree, or above it, where the author of the tree cannot write.
    fn around(&self, path: &Path, entries: &mut Vec<Entry>) -> Result<Option<Vec<u8>>, ReadError> {
        self.text(path, !path.starts_with(self.tree.root()), entries)
    }

    /// The content of a file; `None` and a finding if it is not a regular file of the tree.
    fn text(&self, path: &Path, elsewhere: bool, entries: &mut Vec<Entry>) -> Result<Option<Vec<u8>>, ReadError> {
        let file = match if elsewhere { open_named(path) } else { self.tree.open(path) } {
            Ok(file) => file,
            Err(TreeError::NotRegular { path, found }) => {
                let message = format!("expected a regular file of the tree under audit, found {found}");
                entries.push(Entry::Finding(Finding::new(Code::NotARegularFile, message).at(&path)));
                return Ok(None);
            }
            Err(TreeError::Unreadable(unreadable)) => return Err(unreadable.into()),
        };
        let read = read_bounded(file, MAX_SUM).map_err(Unreadable::at(path))?;
        read.ok_or_else(|| ReadError::TooLarge(path.to_owned())).map(Some)
    }
}

/// The contents of a target's files.
struct Files {
    sum: Vec<u8>,
    go_mod: Option<Vec<u8>>,
    go_work: Option<Vec<u8>>,
}

/// A requirement of go.mod without a line in go.sum.
struct Missing {
    line: u32,
    /// The required module path.
    required: String,
    /// The module version after replacements.
    module: ModuleVersion,
}

impl Files {
    fn then(target: &Target, base: &Base) -> Result<Self, ReadError> {
        let earlier = |path: &Option<PathBuf>| path.as_deref().map(|path| base.earlier(path)).transpose();
        let sum = earlier(&target.sum)?.flatten().unwrap_or_default();
        Ok(Self { sum, go_mod: earlier(&target.go_mod)?.flatten(), go_work: earlier(&target.go_work)?.flatten() })
    }

    /// Whether the sum was a target at the base: an X.sum, which `go` reads only with `-modfile` or GOWORK, is one only beside
    /// a module or workspace file. Otherwise its lines were never audited, and all of them are new.
    fn was_target(&self, target: &Target) -> bool {
        let is = |file: &Option<Vec<u8>>, what: fn(&str) -> bool| {
            file.as_deref().is_some_and(|bytes| what(&String::from_utf8_lossy(bytes)))
        };
        let stands_alone = target.go_mod.is_none() && target.go_work.is_none();
        stands_alone
            || is_standard(&target.file())
            || is(&self.go_mod, names_a_module)
            || is(&self.go_work, may_be_a_workspace)
    }

    fn entries(&self, target: &Target, old_lines: &HashSet<String>, missing: &[Missing], entries: &mut Vec<Entry>) {
        let sum = target.file();
        let shared: Arc<Path> = sum.as_path().into();
        let new = go_sum_lines(&self.sum).filter(|(bytes, _)| !old_lines.contains(&fields(bytes)));
        let (mut valid, mut malformed) = (0, 0);
        for (_, line) in new {
            let (count, max) = match line.content {
                SumContent::Hash(_) => (&mut valid, MAX_LINES),
                SumContent::Malformed { .. } | SumContent::Dropped(_) => (&mut malformed, MAX_FINDINGS),
            };
            *count += 1;
            if *count <= max {
                entries.push(entry(&shared, line));
            }
        }
        entries.extend(too_many(&sum, valid));
        entries.extend(more(&sum, Code::MalformedLine, malformed).map(Entry::Finding));
        let go_mod = target.go_mod.clone().unwrap_or_default();
        if let Some(Err(error)) = self.go_mod.as_deref().map(parse_go_mod) {
            let place = Place { file: go_mod.as_path().into(), line: Some(error.0) };
            entries.push(Entry::Finding(Finding::new(Code::MalformedLine, error.1).at(place)));
        }
        for Missing { line, module, .. } in missing.iter().take(MAX_FINDINGS) {
            let place = Place { file: go_mod.as_path().into(), line: Some(*line) };
            let sum = sum.file_name().unwrap_or_default().to_string_lossy();
            let message = format!("{module} is required, and {sum} has no line for its go.mod");
            entries.push(Entry::Finding(Finding::new(Code::MissingLine, message).at(place).about(module)));
        }
        entries.extend(more(&go_mod, Code::MissingLine, missing.len()).map(Entry::Finding));
    }

    /// The requirements of go.mod, after replacements, without a line. `go` needs the go.mod hash of every version that go.mod
    /// names (`cmd/go/internal/modload`, keepSums).
    fn missing(&self) -> Vec<Missing> {
        let Some(Ok(go_mod)) = self.go_mod.as_deref().map(parse_go_mod) else { return Vec::new() };
        let has = go_mods_in(&self.sum);
        let required = go_mod.resolved().filter_map(|(require, module)| {
            let (line, required) = (require.line, require.module.path.as_ref().to_owned());
            Some(Missing { line, required, module: module? })
        });
        required.filter(|one| !has.contains(&one.module)).collect()
    }
}

/// The module versions whose go.mod has a hash line.
fn go_mods_in(sum: &[u8]) -> HashSet<ModuleVersion> {
    let go_mod = |line: SumLine| match line.content {
        SumContent::Hash(hash) if hash.kind == Kind::Mod => Some(hash.module),
        _ => None,
    };
    go_sum_lines(sum).filter_map(|(_, line)| go_mod(line)).collect()
}

fn entry(sum: &Arc<Path>, line: SumLine) -> Entry {
    let place = Place { file: Arc::clone(sum), line: Some(line.number) };
    match line.content {
        SumContent::Hash(hash) => {
            Entry::Hash(FoundHash { place, module: hash.module, kind: hash.kind, hash: hash.hash })
        }
        SumContent::Malformed { text, why } => {
            let malformed = Finding::new(Code::MalformedLine, format!("not a hash line: {why}")).at(place);
            Entry::Finding(text.into_iter().fold(malformed, |malformed, text| malformed.fact("line", &text)))
        }
        SumContent::Dropped(module) => {
            let message = "the hash of an empty go.mod, which an old go wrote by mistake: no go.mod is empty";
            Entry::Finding(Finding::new(Code::DroppedLine, message).at(place).about(&module))
        }
    }
}

/// The go.mod, or the line and the message of its error.
fn parse_go_mod(bytes: &[u8]) -> Result<GoMod, (u32, String)> {
    GoMod::parse(&String::from_utf8_lossy(bytes)).map_err(|error| (error.line, error.to_string()))
}

/// A line as `go` reads it: its fields, with one space between them.
fn fields(line: &[u8]) -> String {
    String::from_utf8_lossy(line).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `None` if the file does not exist.
fn or_missing(read: Result<Option<Vec<u8>>, ReadError>) -> Result<Option<Vec<u8>>, ReadError> {
    match read {
        Err(ReadError::Unreadable(unreadable)) if unreadable.cause.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read,
    }
}

fn too_many(file: &Path, found: usize) -> Option<Entry> {
    let unread = found.checked_sub(MAX_LINES).filter(|unread| *unread > 0)?;
    let reason = format!("expected at most {MAX_LINES} new hash lines, found {found}: no module has that many");
    Some(Entry::Unchecked(Unaudited {
        place: file.into(),
        module: format!("its last {unread} lines"),
        reason,
        cause: None,
    }))
}

/// The folder of the workspace of a go.mod: that of the nearest go.work above it.
fn workspace(target: &Target) -> Option<PathBuf> {
    let folder = folder_of(target.go_mod.as_ref()?).canonicalize().ok()?;
    folder.ancestors().find(|folder| folder.join("go.work").is_file()).map(Path::to_owned)
}
