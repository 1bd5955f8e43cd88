//! The words after `--base`: which one commit they name, or what is wrong with them and what to do.

use super::error::BaseError;
use super::git::Git;
use crate::base::text::{safe, safe_path};

/// How a ref is looked for by a short name, in git's order (`gitrevisions`); the name itself stands between.
const RULES: [(&str, &str); 5] =
    [("refs/", ""), ("refs/tags/", ""), ("refs/heads/", ""), ("refs/remotes/", ""), ("refs/remotes/", "/HEAD")];
/// git takes no fewer digits for the start of a hash.
const MIN_HASH: usize = 4;
/// SHA-1 and SHA-256.
const HASHES: [usize; 2] = [40, 64];

pub(super) fn resolve(git: &Git, revision: &str) -> Result<String, BaseError> {
    check(revision)?;
    let ends = [revision.find(['~', '^']), revision.find("@{")];
    let (name, suffix) = revision.split_at(ends.into_iter().flatten().min().unwrap_or(revision.len()));
    let wanted = match name {
        "" | "@" => revision.to_owned(),
        // In full: nothing else is looked for where it is absent.
        name if name == "HEAD" || name.starts_with("refs/") => {
            if !exists(git, name)? {
                return Err(unknown(git, revision, "there is no ref of this name")?);
            }
            revision.to_owned()
        }
        name => match (candidates(git, name)?.as_slice(), suffix.starts_with("@{")) {
            ([], _) if name.starts_with('-') => {
                return Err(unknown(git, revision, "no short name begins with -")?);
            }
            // The reflog and the branch it follows are found by the short name only.
            ([], _) | ([_], true) => revision.to_owned(),
            ([full], false) => format!("{full}{suffix}"),
            (several, _) => {
                let last = several.last().map_or("", String::as_str);
                return Err(BaseError::Unusable(format!(
                    "--base {revision:?} is ambiguous: {name:?} is {}. Name the one that you mean in full, such as --base {last}",
                    several.join(" and ")
                )));
            }
        },
    };
    // What a tag leads to.
    let hash = match git.line(&["rev-parse", "--verify", &format!("{wanted}^{{}}")])? {
        // Nobody proves what an object has that is not a commit and leads to one.
        Ok(hash) if is_hash(&hash) && is_hash(&revision.to_lowercase()) && hash != revision.to_lowercase() => {
            return Err(unusable(revision, &format!("expected a commit, found a tag of {hash}. Name that commit")));
        }
        Ok(hash) if is_hash(&hash) => hash,
        Ok(_) => return Err(unusable(revision, "expected one commit. Name one, such as origin/main")),
        Err(said) => return Err(unknown(git, revision, &said)?),
    };
    match git.line(&["cat-file", "-t", &hash])? {
        Ok(kind) if kind == "commit" => Ok(hash),
        Ok(kind) => {
            let kind = safe(&kind);
            Err(unusable(revision, &format!("expected a commit, found a {kind}. Name a commit, such as origin/main")))
        }
        Err(said) => Err(git.failed(said)),
    }
}

/// What can be told from the words alone.
fn check(revision: &str) -> Result<(), BaseError> {
    let why = if revision.trim().is_empty() {
        "expected a revision, found nothing: the variable that it comes from is empty here, such as GITHUB_BASE_REF on a \
         push. Where there is no base, leave --base out: every line is audited"
    } else if HASHES.contains(&revision.len()) && revision.bytes().all(|byte| byte == b'0') {
        "a hash of zeros stands for no commit: the branch is new. Leave --base out, or name the branch that this one will \
         be merged into, such as origin/main"
    } else if without_times(revision).contains("..") {
        "expected one commit, found a range. For what a branch added since it left another, `a...b`, name the commit where \
         they part: --base \"$(git merge-base a b)\""
    } else if without_times(revision).contains(':') || revision.contains("^{/") {
        "expected a commit, found a file, a folder, or words to search for. Name the commit alone, such as origin/main"
    } else if revision.starts_with('^') {
        "expected a commit, found one to leave out. Name it without the ^"
    } else {
        return Ok(());
    };
    Err(unusable(revision, why))
}

/// Without what stands in `@{…}`: times have colons.
fn without_times(revision: &str) -> String {
    let mut parts = revision.split("@{");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |rest, part| rest + part.split_once('}').map_or(part, |(_, behind)| behind))
}

fn unusable(revision: &str, why: &str) -> BaseError {
    BaseError::Unusable(format!("--base {revision:?} cannot be used: {why}"))
}

/// Everything that a short name may stand for. With one more than the first that git finds, a tag `origin/main` would stand
/// for the branch of that name.
fn candidates(git: &Git, name: &str) -> Result<Vec<String>, BaseError> {
    let mut found = Vec::new();
    for (before, after) in RULES {
        let full = format!("{before}{name}{after}");
        if exists(git, &full)? {
            found.push(full);
        }
    }
    // FETCH_HEAD and the like lie beside HEAD, and git looks there first.
    if !found.is_empty() && name.ends_with("_HEAD") && git.has(name) {
        found.insert(0, name.to_owned());
    }
    let may_be_hash = name.len() >= MIN_HASH && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if may_be_hash && !found.is_empty() {
        let objects = git.run(&["rev-parse", &format!("--disambiguate={name}")])?;
        let objects = String::from_utf8_lossy(&objects.stdout).into_owned();
        // A hash in full is never taken for a name.
        if objects.lines().any(|hash| hash.eq_ignore_ascii_case(name)) {
            return Ok(Vec::new());
        }
        found.extend(objects.lines().filter(|hash| is_hash(hash)).take(1).map(str::to_owned));
    }
    Ok(found)
}

/// Whether there is a ref of this full name.
fn exists(git: &Git, full: &str) -> Result<bool, BaseError> {
    let output = git.run(&["show-ref", "--verify", "--quiet", "--", full])?;
    match output.status.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        _ => Err(git.failed(super::git::words_of(&output.stderr))),
    }
}

/// A revision that is not there: in a shallow clone that may be all that is wrong.
fn unknown(git: &Git, revision: &str, words: &str) -> Result<BaseError, BaseError> {
    let is_shallow = git.line(&["rev-parse", "--is-shallow-repository"])?.is_ok_and(|answer| answer == "true");
    let remedy = if is_shallow {
        "This is a shallow clone, which has only the newest commits: fetch the base too (actions/checkout: fetch-depth: 0; \
         GitLab: GIT_DEPTH: 0; by hand: git fetch --unshallow)"
    } else {
        "This clone is not shallow: check the name (git branch --all, git tag), and fetch it if it is new (git fetch)"
    };
    let folder = safe_path(&git.work_tree);
    Ok(BaseError::Unusable(format!("git knows no revision {revision:?} in {folder}: {words}. {remedy}")))
}

fn is_hash(text: &str) -> bool {
    HASHES.contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
