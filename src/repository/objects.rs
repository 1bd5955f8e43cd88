//! The files of a commit, read through one `git cat-file --batch`.
//!
//! git is asked for hashes only, and the path from the commit to the file is walked here. So requests contain no file names, a
//! file that the commit lacks differs from a missing object, and the trees themselves say what is a link or a submodule.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::ChildStdout;

use super::error::BaseError;
use super::git::{Git, TIMEOUT, message};
use super::object_name::has_name;
use crate::base::bounded;
use crate::base::limits::MAX_SUM;
use crate::base::process::{Dialogue, ProcessError, quoted};
use crate::base::text::{safe, safe_path, safe_start};

/// A folder with a million files has 40 MB.
const MAX_TREE: u64 = 64 << 20;
/// As the kernel follows them (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;
/// A hash has at most 64 digits, a kind 6 letters, a size 20 digits.
const MAX_HEADER: u64 = 256;
/// How much of a filter is shown, in characters. `blob:limit=1m` and the like are shorter.
const MAX_FILTER: usize = 100;

#[derive(Debug)]
enum Answer {
    Object { kind: String, content: Vec<u8> },
    TooLarge { size: u64, limit: u64 },
    Missing,
}

/// Where a walk through a commit ends.
enum WalkEnd {
    Folder(PathBuf),
    /// With the hash of its content.
    File(String),
    Nothing(PathBuf),
    /// A link leads out of the tree, or in circles.
    Outside,
}

#[derive(Debug)]
pub(super) struct Objects {
    git: Dialogue<Answer>,
}

impl Objects {
    pub(super) fn start(git: &Git) -> Result<Self, BaseError> {
        let started = Dialogue::start(git.command(&["cat-file", "--batch"]), TIMEOUT, read_answer);
        Ok(Self { git: started.map_err(|error| git.failed(error.to_string()))? })
    }

    /// The file at `path`, relative to the top folder, in a commit; `None` if there is no file. A link is read as text, or
    /// followed if `follows_links`: then a link out of the commit is an error. After an error nothing more can be asked.
    pub(super) fn file(
        &mut self,
        git: &Git,
        commit: &str,
        path: &Path,
        follows_links: bool,
    ) -> Result<Option<Vec<u8>>, BaseError> {
        match self.walk(git, commit, path, follows_links)? {
            WalkEnd::File(hash) => self.object(git, path, &hash, "blob").map(Some),
            WalkEnd::Folder(_) | WalkEnd::Nothing(_) => Ok(None),
            WalkEnd::Outside => Err(failed(git, path, "a link leads out of the tree, or in circles")),
        }
    }

    /// The path of a folder in a commit, with links resolved. A path that is not a folder there stays as it is.
    pub(super) fn folder(&mut self, git: &Git, commit: &str, path: &Path) -> Result<PathBuf, BaseError> {
        Ok(match self.walk(git, commit, path, true)? {
            WalkEnd::Folder(real) | WalkEnd::Nothing(real) => real,
            WalkEnd::File(_) | WalkEnd::Outside => path.to_owned(),
        })
    }

    fn walk(&mut self, git: &Git, commit: &str, path: &Path, follows_links: bool) -> Result<WalkEnd, BaseError> {
        let root = self.root(git, commit, path)?;
        let (mut trees, mut real) = (vec![root], PathBuf::new());
        let mut parts: VecDeque<OsString> = path.iter().map(OsStr::to_owned).collect();
        let mut links = 0;
        while let Some(part) = parts.pop_front() {
            if part == ".." {
                trees.pop();
                real.pop();
            }
            let Some(tree) = trees.last() else { return Ok(WalkEnd::Outside) };
            if matches!(part.as_bytes(), b"." | b"..") {
                continue;
            }
            let found = tree_entry(tree, part.as_bytes(), commit.len() / 2);
            let found = found.map_err(|Damaged| failed(git, path, "a tree of the base is damaged"))?;
            let (mode, hash) = found.map_or((&b""[..], String::new()), |(mode, hash)| (mode, hex::encode(hash)));
            match mode {
                b"40000" => trees.push(self.object(git, path, &hash, "tree")?),
                b"120000" if follows_links => {
                    links += 1;
                    let target = self.object(git, path, &hash, "blob")?;
                    if links > MAX_LINKS || target.starts_with(b"/") {
                        return Ok(WalkEnd::Outside);
                    }
                    let target = PathBuf::from(OsString::from_vec(target));
                    target.iter().rev().for_each(|part| parts.push_front(part.to_owned()));
                    continue;
                }
                mode if parts.is_empty() && (mode.starts_with(b"100") || mode == b"120000") => {
                    return Ok(WalkEnd::File(hash));
                }
                // Nothing, a file instead of a folder, or a submodule.
                _ => {
                    real.push(part);
                    real.extend(parts);
                    return Ok(WalkEnd::Nothing(real));
                }
            }
            real.push(part);
        }
        Ok(WalkEnd::Folder(real))
    }

    /// The top folder of a commit.
    fn root(&mut self, git: &Git, commit: &str, path: &Path) -> Result<Vec<u8>, BaseError> {
        let content = self.object(git, path, commit, "commit")?;
        let tree = content.strip_prefix(b"tree ").and_then(|rest| rest.get(..commit.len()));
        let tree = tree.map(String::from_utf8_lossy).filter(|tree| tree.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let tree = tree.ok_or_else(|| failed(git, path, "the commit is damaged: it names no tree"))?;
        self.object(git, path, &tree, "tree")
    }

    /// An object, whose content must have the hash `wanted`.
    fn object(&mut self, git: &Git, path: &Path, wanted: &str, expected: &str) -> Result<Vec<u8>, BaseError> {
        match self.git.ask(format!("{wanted}\n").as_bytes()) {
            Ok(Answer::Object { kind, content }) if kind == expected => {
                let is_right = has_name(wanted, &kind, &content);
                let why = || format!("the {kind} {wanted} is damaged: its content has another hash. Clone again");
                is_right.then_some(content).ok_or_else(|| failed(git, path, &why()))
            }
            Ok(Answer::Object { kind, .. }) => {
                Err(failed(git, path, &format!("expected a {expected} at {wanted}, found a {}", safe(&kind))))
            }
            Ok(Answer::TooLarge { size, limit }) => {
                let path = safe_path(&git.work_tree.join(path));
                Err(BaseError::Unusable(format!("{path} at the base has {size} bytes; expected at most {limit}")))
            }
            Ok(Answer::Missing) => Err(missing(git, path, wanted, &format!("the object {wanted} is missing"))),
            // git ends if a partial clone lacks the object.
            Err(ProcessError::Ended(stderr)) => Err(missing(git, path, wanted, &message(&stderr))),
            Err(error) => Err(failed(git, path, &format!("git cat-file: {error}"))),
        }
    }
}

/// Reads an answer: `HASH SP KIND SP SIZE LF CONTENT LF`, or `NAME SP missing LF`.
fn read_answer(from: &mut BufReader<ChildStdout>) -> io::Result<Answer> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "expected a hash, a kind and a size");
    let mut header = Vec::new();
    if from.take(MAX_HEADER).read_until(b'\n', &mut header)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let header = String::from_utf8(header).map_err(|_| invalid())?;
    let header = header.strip_suffix('\n').ok_or_else(invalid)?;
    if header.ends_with(" missing") {
        return Ok(Answer::Missing);
    }
    let [_, kind, size] = header.split(' ').collect::<Vec<_>>()[..] else { return Err(invalid()) };
    let size: u64 = size.parse().map_err(|_| invalid())?;
    let limit = if kind == "tree" { MAX_TREE } else { MAX_SUM };
    if size > limit {
        // The content is not read, so nothing more can be asked.
        return Ok(Answer::TooLarge { size, limit });
    }
    let mut content = bounded::first(from, size + 1)?;
    // Without the final newline the content was cut off.
    match content.pop() {
        Some(b'\n') if content.len() as u64 == size => Ok(Answer::Object { kind: kind.to_owned(), content }),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Damaged;

/// Mode and hash.
type TreeEntry<'t> = (&'t [u8], &'t [u8]);

/// The entry of a name in a tree, which is a sequence of `MODE SP NAME NUL HASH`. A hash has `length` bytes.
fn tree_entry<'t>(mut tree: &'t [u8], wanted: &[u8], length: usize) -> Result<Option<TreeEntry<'t>>, Damaged> {
    while !tree.is_empty() {
        let (mode, rest) = split_once(tree, b' ').ok_or(Damaged)?;
        let (name, rest) = split_once(rest, 0).ok_or(Damaged)?;
        let (hash, rest) = rest.split_at_checked(length).ok_or(Damaged)?;
        if name == wanted {
            return Ok(Some((mode, hash)));
        }
        tree = rest;
    }
    Ok(None)
}

fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == at)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

fn failed(git: &Git, path: &Path, why: &str) -> BaseError {
    BaseError::Git(git.work_tree.join(path), why.to_owned())
}

/// The error for a missing object. A partial clone lacks objects by design.
fn missing(git: &Git, path: &Path, wanted: &str, why: &str) -> BaseError {
    let Some((remote, filter)) = promisor(git) else { return failed(git, path, why) };
    BaseError::Unusable(format!(
        "cannot read {} at the base: this is a partial clone ({filter}), and it lacks the object {wanted}. Programs of the \
         repository are not run to fetch it. Clone without a filter, or fetch what is missing:\n\n    \
         git -C {} fetch --refetch --no-filter {remote}",
        safe_path(&git.work_tree.join(path)),
        quoted(&safe_path(&git.work_tree))
    ))
}

/// The remote of a partial clone, and its filter.
fn promisor(git: &Git) -> Option<(String, String)> {
    let pattern = r"^(remote\..*\.(promisor|partialclonefilter)|extensions\.partialclone)$";
    let output = git.run(&["config", "--null", "--includes", "--local", "--get-regexp", pattern]).ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let settings: Vec<(&str, &str)> = text.split('\0').filter_map(|entry| entry.split_once('\n')).collect();
    let promisors = settings.iter().filter(|(_, value)| *value != "false");
    let mut promisors = promisors.filter_map(|(name, _)| name.strip_prefix("remote.")?.strip_suffix(".promisor"));
    let value_of = |wanted: &str| settings.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    let remote = promisors.next().or_else(|| value_of("extensions.partialclone"))?;
    let filter = value_of(&format!("remote.{remote}.partialclonefilter"));
    let filter = filter.map_or("some objects were left out".to_owned(), |filter| format!("filter: {filter}"));
    // Both are untrusted, and one becomes part of a command.
    let is_word = remote.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c)) && !remote.starts_with('-');
    let remote = if is_word { remote } else { "REMOTE" };
    Some((remote.to_owned(), safe_start(&filter, MAX_FILTER)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_read_and_damaged_ones_are_errors() {
        let tree = b"100644 a\0HASH40000 a b\0hash120000 c\nd\0LINK";
        let of = |name: &[u8]| tree_entry(tree, name, 4);
        assert_eq!(of(b"a"), Ok(Some((&b"100644"[..], &b"HASH"[..]))));
        assert_eq!(of(b"a b"), Ok(Some((&b"40000"[..], &b"hash"[..]))));
        assert_eq!(of(b"c\nd"), Ok(Some((&b"120000"[..], &b"LINK"[..]))));
        assert_eq!(of(b"d"), Ok(None));
        let whole = [0, 13, 27, tree.len()];
        for cut in 0..=tree.len() {
            let expected = if whole.contains(&cut) { Ok(None) } else { Err(Damaged) };
            assert_eq!(tree_entry(&tree[..cut], b"d", 4), expected, "{cut}");
        }
    }
}
