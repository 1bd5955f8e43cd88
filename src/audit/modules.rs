//! Judges go.mod and go.work files: lines that `go` refuses, and requirements without a hash line.
//!
//! What was so at the base is not new: only the line that changed is reported.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::entry::{Entry, MAX_FINDINGS, more};
use super::error::{ReadError, ReadFile};
use super::imports::imports;
use super::missing::{Around, Lacks, Missing, missing};
use super::sums::Sums;
use super::vendor::Vendored;
use super::workspace::Workspaces;
use crate::base::tree::folder_of;
use crate::finding::{Code, Finding, Place};
use crate::go::environment::GoWorkSetting;
use gomodule::artifact::Kind;
use gomodule::gomod::{GoMod, GoModError, GoWork, Replacements};
use gomodule::gosum::{is_conflict_marker, is_utf16};
use gomodule::goversion::is_newer;

/// Why no build needs a line.
const VENDORED: &str = "a build takes packages from the vendor folder, and fails with -mod=readonly";
const REPLACEMENT: &str =
    "the folder replaces a module of another go.mod, where `go` does not read it; a build in the folder itself fails";
/// The first `go` line with which a build reads only the go.mod files of modules that it uses, and of the main module.
const PRUNED: &str = "1.17";
const UNUSED: &str = "no package of them is imported, so only commands such as `go list -m all` fail";

/// A state of the tree: now, or at the base.
pub(super) struct State<'a> {
    pub(super) workspaces: &'a Workspaces,
    pub(super) setting: &'a GoWorkSetting,
    pub(super) read: ReadFile<'a>,
}

/// A go.mod or go.work in one state.
#[derive(Clone, Copy)]
pub(super) struct ModFile<'a> {
    pub(super) path: &'a Path,
    /// Empty if there is none.
    pub(super) bytes: &'a [u8],
    /// The go.sum beside it.
    pub(super) sum: &'a [u8],
    /// Another module takes packages from the folder.
    pub(super) is_replacement: bool,
}

/// What is wrong with a file.
#[derive(Default)]
struct Faults {
    /// Lines that `go` refuses, each with the reason.
    invalid: Vec<(u32, String)>,
    /// Beyond the first of them.
    more_invalid: usize,
    missing: Vec<Missing>,
    /// Missing with GOWORK=off only.
    outside: Vec<Missing>,
    /// Missing, and no build needs them, for this reason.
    unneeded: Vec<Missing>,
    why_unneeded: &'static str,
}

/// The findings about a go.mod.
pub(super) fn of_go_mod(now: (ModFile, &State), then: Option<(ModFile, &State)>) -> Result<Vec<Entry>, ReadError> {
    let (file, state) = now;
    let mut faults = Faults::of_go_mod(file, state)?;
    if faults.is_none() {
        return Ok(Vec::new());
    }
    if let Some((old, state)) = then {
        faults.remove(&Faults::of_go_mod(old, state)?, file, old);
    }
    faults.keep_imported(file, now.1.read);
    Ok(faults.entries(file))
}

/// The findings about a go.work.
pub(super) fn of_go_work(now: (ModFile, &State), then: Option<(ModFile, &State)>) -> Result<Vec<Entry>, ReadError> {
    let (file, state) = now;
    let mut faults = Faults::of_go_work(file, state)?;
    if faults.is_none() {
        return Ok(Vec::new());
    }
    if let Some((old, state)) = then {
        faults.remove(&Faults::of_go_work(old, state)?, file, old);
    }
    Ok(faults.entries(file))
}

impl Faults {
    fn of_go_mod(file: ModFile, state: &State) -> Result<Self, ReadError> {
        let (go_mod, errors) = GoMod::read(file.bytes);
        let mut sums = Sums::default();
        sums.add(file.sum);
        let replacements = Replacements::of(&go_mod.replaces);
        let alone = Around { replacements: vec![&replacements], sums: &sums, workspace: None };
        let (outside, errors_alone) = missing(&go_mod, &alone);
        let is_go_mod = file.path.file_name().is_some_and(|name| name == "go.mod");
        let needs_workspace = is_go_mod && !(outside.is_empty() && errors_alone.is_empty());
        let workspace = if needs_workspace {
            state.workspaces.around(folder_of(file.path), state.setting, state.read)?
        } else {
            None
        };
        let (mut missing, more_errors, mut outside) = match &workspace {
            None => (outside, errors_alone, Vec::new()),
            Some(workspace) => {
                let (together, errors) = super::missing::missing(&go_mod, &workspace.as_around());
                let lines: HashSet<u32> = together.iter().map(|one| one.line).collect();
                let outside = outside.into_iter().filter(|one| one.is_line() && !lines.contains(&one.line)).collect();
                (together, errors, outside)
            }
        };
        if is_utf16(file.sum) {
            // No line of it counts, which is one finding.
            missing.retain(|one| !one.is_line());
            outside.clear();
        }
        let mut this = Self { missing, outside, ..Self::default() };
        if is_go_mod && !this.missing.is_empty() {
            let alone = Vendored::beside(file.path, go_mod.go.as_deref(), state.read);
            let vendored = if let Some(workspace) = &workspace { &workspace.vendored } else { &alone? };
            this.are_unneeded(VENDORED, |one| vendored.has(one));
        }
        if file.is_replacement && workspace.is_none() {
            this.are_unneeded(REPLACEMENT, |_| true);
        }
        this.more_invalid = errors.count - errors.first.len();
        this.invalid = said(errors.first.iter().chain(&more_errors), file);
        this.invalid.sort_by_key(|(line, _)| *line);
        Ok(this)
    }

    /// No build needs those of the missing lines that `is_unneeded` finds.
    fn are_unneeded(&mut self, why: &'static str, is_unneeded: impl Fn(&Missing) -> bool) {
        let (unneeded, missing) = std::mem::take(&mut self.missing).into_iter().partition(is_unneeded);
        self.missing = missing;
        if !unneeded.is_empty() {
            self.unneeded = unneeded;
            self.why_unneeded = why;
        }
    }

    fn of_go_work(file: ModFile, state: &State) -> Result<Self, ReadError> {
        let (_, errors) = GoWork::read(file.bytes);
        let workspace = state.workspaces.of(file.path, state.read)?;
        let more_invalid = errors.count - errors.first.len();
        let mut invalid = said(errors.first.iter(), file);
        invalid.extend(workspace.faults.iter().cloned());
        invalid.sort_by_key(|(line, _)| *line);
        Ok(Self { invalid, more_invalid, ..Self::default() })
    }

    fn is_none(&self) -> bool {
        self.invalid.is_empty() && self.missing.is_empty() && self.outside.is_empty() && self.unneeded.is_empty()
    }

    /// Removes what was so in an older state of the file.
    fn remove(&mut self, old: &Self, file: ModFile, old_file: ModFile) {
        let [lines, old_lines] = [file, old_file].map(|file| file.bytes.split(|byte| *byte == b'\n').collect());
        let known_lines: HashSet<(&[u8], &str)> =
            old.invalid.iter().map(|(line, why)| (text_of(&old_lines, *line), &**why)).collect();
        self.invalid.retain(|(line, why)| !known_lines.contains(&(text_of(&lines, *line), &**why)));
        self.more_invalid = self.more_invalid.saturating_sub(old.more_invalid);
        let keys = |missing: &[Missing]| missing.iter().cloned().map(Missing::key).collect::<HashSet<_>>();
        let missing = keys(&old.missing);
        let known = keys(&[&old.missing[..], &old.outside, &old.unneeded].concat());
        self.missing.retain(|one| !missing.contains(&one.clone().key()));
        self.outside.retain(|one| !known.contains(&one.clone().key()));
        self.unneeded.retain(|one| !known.contains(&one.clone().key()));
    }

    /// Removes the missing zips of modules from which no package is imported. The module of an import is the longest required
    /// path that the import begins with.
    fn keep_imported(&mut self, file: ModFile, read: ReadFile) {
        let missing = || self.missing.iter().chain(&self.outside);
        let is_go_mod = file.path.file_name().is_some_and(|name| name == "go.mod");
        if missing().next().is_none() || (!is_go_mod && !missing().any(Missing::is_zip)) {
            return;
        }
        let (go_mod, _) = GoMod::read(file.bytes);
        let paths: HashSet<&str> = go_mod.requires.iter().map(|require| require.path.as_str()).collect();
        let module_of = |import: &String| {
            let cuts = import.rmatch_indices('/').map(|(at, _)| &import[..at]);
            std::iter::once(&**import).chain(cuts).find_map(|path| paths.get(path).copied())
        };
        let folder = folder_of(file.path).canonicalize();
        let imports = folder.map(|folder| imports(&folder, &go_mod.ignores, read)).unwrap_or_default();
        let imported: HashSet<&str> = imports.iter().chain(&go_mod.tools).filter_map(module_of).collect();
        let is_imported = |one: &Missing| imported.contains(&*one.required);
        self.missing.retain(|one| !one.is_zip() || is_imported(one));
        self.outside.retain(|one| !one.is_zip() || is_imported(one));
        // The vendor folder lacks a requirement: `go` refuses it.
        let is_refused = self.why_unneeded == VENDORED;
        // The packages of the module itself are not taken from a requirement. An X.mod is often for `go run` of its requirements.
        let is_self = |one: &Missing| go_mod.module.as_ref() == Some(&one.required);
        let is_pruned = go_mod.go.as_deref().is_some_and(|go| !is_newer(PRUNED, go));
        if is_go_mod && is_pruned && !is_refused {
            self.are_unneeded(UNUSED, |one| is_self(one) || !is_imported(one));
        }
    }

    fn entries(self, file: ModFile) -> Vec<Entry> {
        let place = |line| Place { file: file.path.into(), line: Some(line) };
        let sum = sum_beside(file.path);
        let sum = sum.file_name().unwrap_or_default().to_string_lossy();
        let (missing, sourceless): (Vec<_>, Vec<_>) = self.missing.into_iter().partition(Missing::is_line);
        let sourceless = sourceless.into_iter().filter_map(|one| match one.what {
            Lacks::Source(why) => Some((one.line, why)),
            Lacks::Line(..) => None,
        });
        let mut invalid: Vec<_> = self.invalid.into_iter().chain(sourceless).collect();
        invalid.sort_by_key(|(line, _)| *line);
        let (count, missing_count) = (invalid.len() + self.more_invalid, missing.len());
        let invalid = invalid.into_iter().take(MAX_FINDINGS);
        let invalid = invalid.map(|(line, why)| Finding::new(Code::InvalidGoMod, why).at(place(line)));
        let lines = missing.into_iter().filter_map(|one| match one.what {
            Lacks::Line(module, kind) => Some((one.line, module, kind)),
            Lacks::Source(_) => None,
        });
        let missing = lines.take(MAX_FINDINGS).map(|(line, module, kind)| {
            let message = match kind {
                Kind::Zip => format!("packages of {module} are imported, and {sum} has no line for its zip"),
                Kind::Mod | Kind::Info => format!("{module} is required, and {sum} has no line for its go.mod"),
            };
            Finding::new(Code::MissingLine, message).at(place(line)).about(&module)
        });
        let outside = self.outside.first().map(|first| {
            let message = format!(
                "{} of the requirements, such as {}, have no line in {sum}: a build works in the workspace, and fails with \
                 GOWORK=off",
                self.outside.len(),
                first.required
            );
            Finding::new(Code::MissingOutsideWorkspace, message).at(place(first.line))
        });
        let unneeded = self.unneeded.first().map(|first| {
            let (count, why, module) = (self.unneeded.len(), self.why_unneeded, &first.required);
            let message = format!("{count} of the requirements, such as {module}, have no line in {sum}: {why}");
            Finding::new(Code::MissingUnneeded, message).at(place(first.line))
        });
        let notes = outside.into_iter().chain(unneeded);
        let findings = invalid.chain(more(file.path, Code::InvalidGoMod, count)).chain(missing);
        findings.chain(more(file.path, Code::MissingLine, missing_count)).chain(notes).map(Entry::Finding).collect()
    }
}

/// The go.sum of a go.mod, or the X.sum of an X.mod.
pub(super) fn sum_beside(go_mod: &Path) -> PathBuf {
    go_mod.with_extension("sum")
}

/// The lines of these errors, and what is wrong with each.
fn said<'e>(errors: impl Iterator<Item = &'e GoModError>, file: ModFile) -> Vec<(u32, String)> {
    let mut lines = Vec::new();
    let said = |error: &GoModError| {
        if lines.is_empty() {
            lines = file.bytes.split(|byte| *byte == b'\n').collect();
        }
        let is_marker = is_conflict_marker(text_of(&lines, error.line));
        (error.line, if is_marker { "it is a conflict marker of git".to_owned() } else { error.to_string() })
    };
    errors.map(said).collect()
}

/// A line of a file, without white space around it.
fn text_of<'t>(lines: &Vec<&'t [u8]>, number: u32) -> &'t [u8] {
    let at = usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
    lines.get(at).map_or(&b""[..], |line| line.trim_ascii())
}
