//! The value of `--base`: the commit that it names, or why it is refused and what to do.

use super::error::BaseError;
use super::git::{Git, message};
use crate::base::text::{safe, safe_path};

/// The full names of refs that a short name may mean, in git's order (`gitrevisions`): the parts before and after it.
const RULES: [(&str, &str); 5] =
    [("refs/", ""), ("refs/tags/", ""), ("refs/heads/", ""), ("refs/remotes/", ""), ("refs/remotes/", "/HEAD")];
/// git needs at least this many digits of a hash.
const MIN_HASH: usize = 4;
/// The digits of SHA-1 and SHA-256.
const HASHES: [usize; 2] = [40, 64];

pub(super) fn resolve(git: &Git, revision: &str) -> Result<String, BaseError> {
    check(revision)?;
    let ends = [revision.find(['~', '^']), revision.find("@{")];
    let (name, suffix) = revision.split_at(ends.into_iter().flatten().min().unwrap_or(revision.len()));
    let wanted = match name {
        "" | "@" => revision.to_owned(),
        // A full name: without such a ref, git must not look for others.
        name if name == "HEAD" || name.starts_with("refs/") => {
            if !exists(git, name)? {
                return Err(unknown(git, revision, "there is no ref of this name")?);
            }
            revision.to_owned()
        }
        name => match (candidates(git, name)?.as_slice(), suffix.starts_with("@{")) {
            ([], _) if name.starts_with('-') => {
                return Err(unknown(git, revision, "a short name cannot begin with -")?);
            }
            // git resolves `@{1}` and `@{upstream}` by the short name only.
            ([], _) | ([_], true) => revision.to_owned(),
            ([full], false) => format!("{full}{suffix}"),
            (several, _) => {
                let last = several.last().map_or("", String::as_str);
                return Err(BaseError::Unusable(format!(
                    "--base {revision:?} is ambiguous: {name:?} is {}. Write the full name, such as --base {last}",
                    several.join(" and ")
                )));
            }
        },
    };
    // Of a tag, the object that it names.
    let hash = match git.line(&["rev-parse", "--verify", &format!("{wanted}^{{}}")])? {
        // The hash of a tag does not prove which commit the tag names.
        Ok(hash) if is_hash(&hash) && is_hash(&revision.to_lowercase()) && hash != revision.to_lowercase() => {
            return Err(unusable(revision, &format!("expected a commit, found a tag of {hash}. Name that commit")));
        }
        Ok(hash) if is_hash(&hash) => hash,
        Ok(_) => return Err(unusable(revision, "expected one commit. Name one, such as origin/main")),
        Err(message) => return Err(unknown(git, revision, &message)?),
    };
    match git.line(&["cat-file", "-t", &hash])? {
        Ok(kind) if kind == "commit" => Ok(hash),
        Ok(kind) => {
            let kind = safe(&kind);
            Err(unusable(revision, &format!("expected a commit, found a {kind}. Name a commit, such as origin/main")))
        }
        Err(message) => Err(git.failed(message)),
    }
}

/// The errors that need no repository.
fn check(revision: &str) -> Result<(), BaseError> {
    let why = if revision.trim().is_empty() {
        "expected a revision, found an empty value: the variable that it comes from is empty, such as GITHUB_BASE_REF on a \
         push. Without a base, omit --base: every line is audited"
    } else if HASHES.contains(&revision.len()) && revision.bytes().all(|byte| byte == b'0') {
        "a hash of zeros is not a commit: the branch is new. Omit --base, or name the branch that this one will be merged \
         into, such as origin/main"
    } else if without_times(revision).contains("..") {
        "expected one commit, found a range. For the changes of a branch since it left another, `a...b`, name the commit \
         where it left: --base \"$(git merge-base a b)\""
    } else if without_times(revision).contains(':') || revision.contains("^{/") {
        "expected a commit, found a file, a folder, or a text to search for. Name only the commit, such as origin/main"
    } else if revision.starts_with('^') {
        "expected a commit, found an excluded one. Name it without the ^"
    } else {
        return Ok(());
    };
    Err(unusable(revision, why))
}

/// Without the text in `@{…}`: times have colons.
fn without_times(revision: &str) -> String {
    let mut parts = revision.split("@{");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |rest, part| rest + part.split_once('}').map_or(part, |(_, after)| after))
}

fn unusable(revision: &str, why: &str) -> BaseError {
    BaseError::Unusable(format!("--base {revision:?} cannot be used: {why}"))
}

/// Everything that a short name may mean. git takes the first: so a tag `origin/main` would hide the branch of that name.
fn candidates(git: &Git, name: &str) -> Result<Vec<String>, BaseError> {
    let mut found = Vec::new();
    for (before, after) in RULES {
        let full = format!("{before}{name}{after}");
        if exists(git, &full)? {
            found.push(full);
        }
    }
    // FETCH_HEAD and the like are files beside HEAD, where git looks first.
    if !found.is_empty() && name.ends_with("_HEAD") && git.folder.join(name).symlink_metadata().is_ok() {
        found.insert(0, name.to_owned());
    }
    let may_be_hash = name.len() >= MIN_HASH && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if may_be_hash && !found.is_empty() {
        let objects = git.run(&["rev-parse", &format!("--disambiguate={name}")])?;
        let objects = String::from_utf8_lossy(&objects.stdout).into_owned();
        // A full hash is never a name.
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
        _ => Err(git.failed(message(&output.stderr))),
    }
}

/// The error for a missing revision. A shallow clone may merely lack it.
fn unknown(git: &Git, revision: &str, why: &str) -> Result<BaseError, BaseError> {
    let is_shallow = git.line(&["rev-parse", "--is-shallow-repository"])?.is_ok_and(|answer| answer == "true");
    let remedy = if is_shallow {
        "This is a shallow clone, which has only the newest commits: fetch the base too (actions/checkout: fetch-depth: 0; \
         GitLab: GIT_DEPTH: 0; by hand: git fetch --unshallow)"
    } else {
        "This clone is not shallow: check the name (git branch --all, git tag), and fetch it if it is new (git fetch)"
    };
    let folder = safe_path(&git.work_tree);
    Ok(BaseError::Unusable(format!("git knows no revision {revision:?} in {folder}: {why}. {remedy}")))
}

fn is_hash(text: &str) -> bool {
    HASHES.contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
