//! The policies that apply: the one in force, and with `--base` also the one of the base.
//!
//! A pull request can change `sumgate.toml`. With a base, each version is judged by both policies, and a change that may loosen the
//! policy is a finding until a flag accepts it.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::args::PolicyArgs;
use super::bases::{Bases, stay_inside};
use super::config::{PathSource, find_policy, policy_in, read_file, read_policy};
use super::exit::Failure;
use super::out;
use crate::base::fault::{Fault, in_full};
use crate::base::text::safe_path;
use crate::base::toml_file::MAX_FILE;
use crate::base::tree::{folder_of, lexical, repository_by_words, work_tree, working_folder};
use crate::finding::{Code, Finding, PoliciesInForce};
use crate::policy::{Accepting, Decision, Facts, InForce, Policy, loosened, newly_accepted};
use crate::repository::{Base, BaseError};

const NAME: &str = "sumgate.toml";

/// The policies of a command.
#[derive(Clone, Debug, Default)]
pub(super) struct Policies {
    /// The file in force, as it is now.
    pub(super) now: Option<(PathBuf, Policy)>,
    /// The file that was in force at the base.
    pub(super) base: Option<(PathBuf, Policy)>,
    /// A finding if the policy may be looser than that of the base. With `--warn`, too.
    pub(super) findings: Vec<Finding>,
    /// The pull request may have written the current policy, and there is none at the base to compare it with: it accepts nothing.
    unreviewed: bool,
}

type BaseOrNow = Option<(PathBuf, Policy)>;

/// A policy at the base: its file, and its text if it can be read.
type BasePolicy = (PathBuf, Result<String, Unreadable>);

/// What was in force at the base.
enum Earlier {
    Policy(PathBuf, Result<String, Unreadable>),
    /// No policy; the one in force now is in a repository under audit.
    First,
    /// No policy of a repository under audit.
    None,
}

/// Why a policy at the base cannot be used.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error(transparent)]
    Base(#[from] BaseError),
    #[error("it has more than {MAX_FILE} bytes")]
    TooLarge,
    #[error("it is not UTF-8")]
    NotUtf8,
    #[error("{}", .0.join("; "))]
    Invalid(Vec<String>),
}

impl Policies {
    /// Finds and reads them. With `--warn` no rule denies, but a loosened policy is found all the same.
    pub(super) fn of(args: &PolicyArgs, bases: Option<&mut Bases>, paths: &[PathBuf]) -> Result<Self, Failure> {
        let written = Self::as_written(args, bases, paths)?;
        let warning = |one: BaseOrNow| one.map(|(path, policy)| (path, args.warn.applied_to(policy)));
        Ok(Self { now: warning(written.now), base: warning(written.base), ..written })
    }

    /// Finds and reads them. The policy at the base is read if `paths` are in the repository of the working folder. Without
    /// `bases`, an invalid policy is an error.
    fn as_written(args: &PolicyArgs, bases: Option<&mut Bases>, paths: &[PathBuf]) -> Result<Self, Failure> {
        if args.no_policy {
            return Ok(Self::default());
        }
        let how = if args.policy.is_some() { PathSource::Named } else { PathSource::Found };
        let file = args.policy.clone().or_else(find_policy);
        let read = |path: PathBuf| read_policy(&path, how).map(|policy| (path, policy));
        let earlier = match bases {
            Some(bases) => Earlier::of(args.policy.as_deref(), file.as_deref(), bases, paths)?,
            None => Earlier::None,
        };
        let (path, text) = match earlier {
            Earlier::Policy(path, text) => (path, text),
            Earlier::None => return Ok(Self { now: file.map(read).transpose()?, ..Self::default() }),
            Earlier::First => {
                let first = Self { now: file.map(read).transpose()?, ..Self::default() };
                return Ok(if args.accept_policy_change { first } else { first.unreviewed() });
            }
        };
        let now = file.clone().map(read).transpose();
        let then = text.and_then(|text| policy_in(&path, &text).map_err(Unreadable::Invalid));
        if args.accept_policy_change {
            let accepted = Self { now: now?, ..Self::default() };
            if !changes(&path, then.as_ref(), file.as_deref(), accepted.now.as_ref().map(|(_, policy)| policy))
                .is_empty()
            {
                out::message("the policy differs from that of the base; the change is accepted");
            }
            return Ok(accepted);
        }
        let (now, unreadable) = match now {
            Ok(now) => (now, None),
            Err(failure) => (None, Some(failure.to_string())),
        };
        let mut changes = changes(&path, then.as_ref(), file.as_deref(), now.as_ref().map(|(_, policy)| policy));
        if let Some(why) = unreadable {
            changes = vec![format!("it cannot be read: {}", why.lines().next().unwrap_or_default())];
        }
        let message = "the policy may allow what the policy at the base refuses";
        let loosened = (!changes.is_empty()).then(|| finding(file.as_ref().unwrap_or(&path), message, &changes));
        let findings = loosened.into_iter().collect();
        let unreviewed = then.is_err();
        Ok(Self { now, base: then.ok().map(|policy| (path, policy)), findings, unreviewed })
    }

    /// The first policy of a repository, from a pull request: it can only be stricter than none, but for what it accepts.
    fn unreviewed(self) -> Self {
        let accepts = |(file, policy): &(PathBuf, Policy)| {
            let changes = newly_accepted(&Policy::default(), policy);
            (!changes.is_empty()).then(|| finding(file, "the policy is new, and accepts findings", &changes))
        };
        let findings = self.now.as_ref().and_then(accepts).into_iter().collect();
        Self { findings, unreviewed: true, ..self }
    }

    /// What the policies accept today.
    pub(super) fn accepting(&self) -> Accepting {
        let Some((file, _)) = &self.now else { return Accepting::default() };
        let mut deciding = self.deciding();
        if self.unreviewed {
            deciding.base = Some(Policy::default());
        }
        Accepting::new(file, deciding, crate::policy::day(SystemTime::now()))
    }

    /// The files in force, for reports.
    pub(super) fn in_force(&self) -> PoliciesInForce {
        let name = |one: &Option<(PathBuf, Policy)>| one.as_ref().map(|(path, _)| path.clone());
        let policy = |one: &'_ BaseOrNow| one.as_ref().map(|(_, policy)| policy.clone());
        let warn = match (policy(&self.now), policy(&self.base)) {
            (Some(now), Some(base)) => now.warning_only_beside(&base),
            (now, base) => now.or(base).and_then(|policy| policy.warning_only()),
        };
        PoliciesInForce { now: name(&self.now), base: name(&self.base), warn }
    }

    /// Findings for modules that are in a cache already, and that the policies deny or warn of. Makes no requests.
    pub(super) fn decided(&self, known: &[Facts]) -> Vec<Finding> {
        let today = crate::policy::day(SystemTime::now());
        let verdict = |policy: &BaseOrNow, facts: &Facts| {
            policy.as_ref().map(|(_, policy)| crate::policy::judge(policy, facts, today))
        };
        let one = |facts: &Facts| {
            let decision = Decision::of(verdict(&self.now, facts), verdict(&self.base, facts));
            let kept = format!("{} in the kept caches", facts.module);
            let denied = decision.denial.map(|denial| (Code::PolicyDenied, format!("{kept} is {denial}")));
            let warned =
                decision.warnings.iter().map(|one| (Code::PolicyWarning, format!("{kept} {}", one.as_warning())));
            let both = denied.into_iter().chain(warned);
            both.map(|(code, message)| Finding::new(code, message).about(&facts.module)).collect::<Vec<_>>()
        };
        known.iter().flat_map(one).collect()
    }

    /// The policies without their files.
    pub(super) fn deciding(&self) -> InForce {
        let policy = |one: &Option<(PathBuf, Policy)>| one.as_ref().map(|(_, policy)| policy.clone());
        InForce { now: policy(&self.now), base: policy(&self.base) }
    }

    /// The policies, of both kinds.
    pub(super) fn all(&self) -> Vec<Policy> {
        [&self.now, &self.base].into_iter().flatten().map(|(_, policy)| policy.clone()).collect()
    }
}

impl Earlier {
    /// `named` is a policy that the user names, `file` the one in force.
    fn of(named: Option<&Path>, file: Option<&Path>, bases: &mut Bases, paths: &[PathBuf]) -> Result<Self, Failure> {
        if let Some((path, text)) = policy_at_base(named, bases, paths)? {
            return Ok(Self::Policy(path, text));
        }
        let Some(file) = file else { return Ok(Self::None) };
        // The working folder may lie elsewhere, and the file may be, or lead to, one of a repository under audit.
        let real = |path: &Path| path.canonicalize().ok();
        let named = file.file_name().and_then(|name| Some(real(folder_of(file))?.join(name)));
        let by_words = working_folder().ok().map(|words| lexical(&words.join(file)));
        let places: Vec<PathBuf> = [named, by_words, real(file)].into_iter().flatten().collect();
        for path in paths {
            let top = Base::work_tree_of(path).map_err(Failure::usage)?;
            if let Some(inside) = places.iter().find_map(|place| place.strip_prefix(&top).ok()) {
                let then = at_base(file, inside, bases.at(path)?);
                return Ok(then.map_or(Self::First, |(path, text)| Self::Policy(path, text)));
            }
        }
        Ok(Self::None)
    }
}

/// What may be looser now: another file, no file, or other rules.
fn changes(path: &Path, then: Result<&Policy, &Unreadable>, file: Option<&Path>, now: Option<&Policy>) -> Vec<String> {
    match (file, then, now) {
        (None, ..) => vec![format!("no policy is in force, but {} was", path.display())],
        (Some(file), ..) if !is_same(file, path) => {
            vec![format!("{} is in force, but {} was", file.display(), path.display())]
        }
        (_, Err(why), _) => vec![format!("it cannot be read at the base: {}", in_full(why))],
        (_, Ok(then), Some(now)) => loosened(then, now),
        // The caller reports why the policy cannot be read.
        (_, Ok(_), None) => Vec::new(),
    }
}

/// Whether two paths name the same file, which need not exist.
fn is_same(one: &Path, other: &Path) -> bool {
    let folder = |path: &Path| folder_of(path).canonicalize().ok();
    one == other || (one.file_name() == other.file_name() && folder(one).is_some_and(|one| Some(one) == folder(other)))
}

fn finding(file: &Path, message: &str, changes: &[String]) -> Finding {
    let facts = changes.iter().map(|change| ("change", change)).collect();
    Finding { facts, ..Finding::new(Code::PolicyLoosened, message).at(file) }
}

/// The policy that was in force at the base: the result of the same search there. Paths are resolved by their names alone, so that
/// links in the tree have no effect. A pull request cannot change files outside repositories; they are read as they are.
fn policy_at_base(named: Option<&Path>, bases: &mut Bases, paths: &[PathBuf]) -> Result<Option<BasePolicy>, Failure> {
    let failed = |error| Failure::host("find the working folder", &error);
    let here = Path::new(".").canonicalize().map_err(failed)?;
    let words = working_folder().map_err(failed)?;
    let (top_words, words) = match repository_by_words(&words) {
        Some(top) => (top, words),
        None => match work_tree(&here) {
            Some(top) => (top.to_owned(), here.clone()),
            None => return Ok(None),
        },
    };
    let top = top_words.canonicalize().map_err(failed)?;
    stay_inside(Path::new("."))?;
    if work_tree(&here) != Some(&*top) {
        let (here, top) = (safe_path(&here), safe_path(&top));
        let words = format!(
            "the working folder is a link in the repository {top} to {here}, in another repository, so its content at the \
             base is unknown. Change to the folder itself, and start again"
        );
        return Err(Failure::new(Fault::Request, words));
    }
    // A repository that is not audited is not that of the pull request.
    if !paths.iter().any(|path| Base::work_tree_of(path).is_ok_and(|audited| audited == top)) {
        return Ok(None);
    }
    let base = bases.at(&top)?;
    if let Some(path) = named {
        let Ok(inside) = lexical(&words.join(path)).strip_prefix(&top_words).map(Path::to_owned) else {
            return Ok(None);
        };
        return Ok(at_base(path, &inside, base));
    }
    let inside = words.strip_prefix(&top_words).unwrap_or(Path::new(""));
    let folder = base.folder(inside).map_err(Failure::usage)?;
    for folder in top.join(folder).ancestors() {
        let path = folder.join(NAME);
        // Relative if it is in the working folder.
        let shown = path.strip_prefix(&here).unwrap_or(&path);
        if let Some(top) = by_names(folder, &top) {
            let inside = path.strip_prefix(top).unwrap_or(&path);
            if let Some(found) = at_base(shown, inside, bases.at(top)?) {
                return Ok(Some(found));
            }
        } else if path.symlink_metadata().is_ok() {
            let text = read_file("policy", &path, PathSource::Named)?;
            return Ok(Some((path, Ok(text))));
        }
    }
    Ok(None)
}

/// The repository of a folder. Folders in `top` belong to `top`, whatever is there now.
fn by_names<'a>(folder: &'a Path, top: &'a Path) -> Option<&'a Path> {
    if folder.starts_with(top) { Some(top) } else { work_tree(folder) }
}

/// The file at `inside` in a repository as it was at the base.
fn at_base(shown: &Path, inside: &Path, base: &Base) -> Option<BasePolicy> {
    let text = base.file(inside).map_err(Unreadable::from).transpose()?.and_then(text);
    Some((shown.to_owned(), text))
}

fn text(bytes: Vec<u8>) -> Result<String, Unreadable> {
    if bytes.len() > MAX_FILE {
        return Err(Unreadable::TooLarge);
    }
    String::from_utf8(bytes).map_err(|_| Unreadable::NotUtf8)
}
