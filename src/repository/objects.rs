//! The files of a commit, read through one `git cat-file --batch`.
//!
//! Only hashes are asked for: the way from the commit to the file is walked here. So no name of a file is part of the
//! questions, a file that was not there is told apart from an object that is missing, and links and submodules are what
//! the tree says.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::ChildStdout;

use super::error::{BaseError, quoted};
use super::git::{Git, TIME, words_of};
use super::object_name::has_name;
use crate::base::bounded;
use crate::base::limits::MAX_SUM;
use crate::base::process::{Dialogue, ProcessError};
use crate::base::text::{safe_path, safe_start};

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

/// Where a walk by the names in a commit ends.
enum End {
    Folder(PathBuf),
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
        let command = git.command(&["cat-file", "--batch"]);
        let started = Dialogue::start(command, TIME, answer);
        Ok(Self { git: started.map_err(|error| git.failed(error.to_string()))? })
    }

    /// The file that lies at `path`, seen from the top folder, in a commit; `None` if there is no file. Of a link it is where the
    /// link leads, as text; or, if links are followed, the file there: a link out of the commit is an error then. After an error
    /// nothing more can be asked.
    pub(super) fn file(
        &mut self,
        git: &Git,
        commit: &str,
        path: &Path,
        follows_links: bool,
    ) -> Result<Option<Vec<u8>>, BaseError> {
        match self.walk(git, commit, path, follows_links)? {
            End::File(hash) => self.object(git, path, &hash, "blob").map(Some),
            End::Folder(_) | End::Nothing(_) => Ok(None),
            End::Outside => Err(failed(git, path, "a link leads out of the tree there, or in circles".to_owned())),
        }
    }

    /// Where a folder lies in a commit, without links. What is no folder there stays as it is named.
    pub(super) fn folder(&mut self, git: &Git, commit: &str, path: &Path) -> Result<PathBuf, BaseError> {
        Ok(match self.walk(git, commit, path, true)? {
            End::Folder(place) | End::Nothing(place) => place,
            End::File(_) | End::Outside => path.to_owned(),
        })
    }

    fn walk(&mut self, git: &Git, commit: &str, path: &Path, follows_links: bool) -> Result<End, BaseError> {
        let root = self.root(git, commit, path)?;
        let (mut trees, mut place) = (vec![root], PathBuf::new());
        let mut parts: VecDeque<OsString> = path.iter().map(OsStr::to_owned).collect();
        let mut links = 0;
        while let Some(part) = parts.pop_front() {
            if part == ".." {
                trees.pop();
                place.pop();
            }
            let Some(tree) = trees.last() else { return Ok(End::Outside) };
            if matches!(part.as_bytes(), b"." | b"..") {
                continue;
            }
            let found = entry(tree, part.as_bytes(), commit.len() / 2);
            let found = found.map_err(|Damaged| failed(git, path, "a tree of the base is damaged".to_owned()))?;
            let (mode, hash) = found.map_or((&b""[..], String::new()), |(mode, hash)| (mode, hex::encode(hash)));
            match mode {
                b"40000" => trees.push(self.object(git, path, &hash, "tree")?),
                b"120000" if follows_links => {
                    links += 1;
                    let target = self.object(git, path, &hash, "blob")?;
                    if links > MAX_LINKS || target.starts_with(b"/") {
                        return Ok(End::Outside);
                    }
                    let target = PathBuf::from(OsString::from_vec(target));
                    target.iter().rev().for_each(|part| parts.push_front(part.to_owned()));
                    continue;
                }
                mode if parts.is_empty() && (mode.starts_with(b"100") || mode == b"120000") => {
                    return Ok(End::File(hash));
                }
                // Nothing, a file where a folder should be, or a submodule.
                _ => {
                    place.push(part);
                    place.extend(parts);
                    return Ok(End::Nothing(place));
                }
            }
            place.push(part);
        }
        Ok(End::Folder(place))
    }

    /// The top folder of a commit.
    fn root(&mut self, git: &Git, commit: &str, path: &Path) -> Result<Vec<u8>, BaseError> {
        let content = self.object(git, path, commit, "commit")?;
        let tree = content.strip_prefix(b"tree ").and_then(|rest| rest.get(..commit.len()));
        let tree = tree.map(String::from_utf8_lossy).filter(|tree| tree.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let tree = tree.ok_or_else(|| failed(git, path, "the commit is damaged: it names no tree".to_owned()))?;
        self.object(git, path, &tree, "tree")
    }

    /// An object, which has to be what its name says.
    fn object(&mut self, git: &Git, path: &Path, wanted: &str, expected: &str) -> Result<Vec<u8>, BaseError> {
        match self.git.ask(format!("{wanted}\n").as_bytes()) {
            Ok(Answer::Object { kind, content }) if kind == expected => {
                let is_right = has_name(wanted, &kind, &content);
                let words = || format!("the {kind} {wanted} is damaged: its content has another hash. Clone anew");
                is_right.then_some(content).ok_or_else(|| failed(git, path, words()))
            }
            Ok(Answer::Object { .. }) => Err(failed(git, path, format!("expected a {expected} at {wanted}"))),
            Ok(Answer::TooLarge { size, limit }) => {
                let path = safe_path(&git.work_tree.join(path));
                Err(BaseError::Unusable(format!("{path} at the base has {size} bytes; expected at most {limit}")))
            }
            Ok(Answer::Missing) => Err(missing(git, path, wanted, format!("the object {wanted} is missing"))),
            // A promised object that is not fetched ends the command.
            Err(ProcessError::Ended(said)) => Err(missing(git, path, wanted, words_of(&said))),
            Err(error) => Err(failed(git, path, format!("git cat-file: {error}"))),
        }
    }
}

/// Reads an answer: `HASH SP KIND SP SIZE LF CONTENT LF`, or `NAME SP missing LF`.
fn answer(from: &mut BufReader<ChildStdout>) -> io::Result<Answer> {
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
        // The rest is in the way of the next answer; nobody asks for one.
        return Ok(Answer::TooLarge { size, limit });
    }
    let mut content = bounded::first(from, size + 1)?;
    // The newline behind it: without it the content was cut off.
    match content.pop() {
        Some(b'\n') if content.len() as u64 == size => Ok(Answer::Object { kind: kind.to_owned(), content }),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

type Entry<'t> = (&'t [u8], &'t [u8]);

#[derive(Debug, PartialEq, Eq)]
struct Damaged;

/// What a tree has under a name, if anything. A hash has `length` bytes.
fn entry<'t>(mut tree: &'t [u8], wanted: &[u8], length: usize) -> Result<Option<Entry<'t>>, Damaged> {
    while !tree.is_empty() {
        let (name, entry, rest) = first(tree, length).ok_or(Damaged)?;
        if name == wanted {
            return Ok(Some(entry));
        }
        tree = rest;
    }
    Ok(None)
}

/// The name of the first entry of a tree, `MODE SP NAME NUL HASH`, the entry, and what comes after it.
fn first(tree: &[u8], length: usize) -> Option<(&[u8], Entry<'_>, &[u8])> {
    let space = tree.iter().position(|byte| *byte == b' ')?;
    let (mode, rest) = (&tree[..space], &tree[space + 1..]);
    let end = rest.iter().position(|byte| *byte == 0)?;
    let (hash, after) = rest[end + 1..].split_at_checked(length)?;
    Some((&rest[..end], (mode, hash), after))
}

fn failed(git: &Git, path: &Path, words: String) -> BaseError {
    BaseError::Git(git.work_tree.join(path), words)
}

/// An object is not there: in a partial clone that is how it is meant.
fn missing(git: &Git, path: &Path, wanted: &str, words: String) -> BaseError {
    let Some((remote, filter)) = promisor(git) else { return failed(git, path, words) };
    BaseError::Unusable(format!(
        "cannot read {} at the base: this is a partial clone ({filter}), and it lacks the object {wanted}. Programs of the \
         repository are not run to fetch it. Clone without a filter, or fetch what is missing:\n\n    \
         git -C {} fetch --refetch --no-filter {remote}",
        safe_path(&git.work_tree.join(path)),
        quoted(&git.work_tree)
    ))
}

/// The remote that a partial clone comes from, and what it leaves out.
fn promisor(git: &Git) -> Option<(String, String)> {
    let pattern = r"^(remote\..*\.(promisor|partialclonefilter)|extensions\.partialclone)$";
    let output = git.run(&["config", "--null", "--includes", "--local", "--get-regexp", pattern]).ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let settings: Vec<(&str, &str)> = text.split('\0').filter_map(|entry| entry.split_once('\n')).collect();
    let remotes = settings.iter().filter(|(_, value)| *value != "false");
    let remotes = remotes.filter_map(|(name, _)| name.strip_prefix("remote.")?.strip_suffix(".promisor"));
    let older = settings.iter().find(|(name, _)| *name == "extensions.partialclone").map(|(_, value)| *value);
    let remote = remotes.into_iter().next().or(older)?;
    let filter = settings.iter().find(|(name, _)| *name == format!("remote.{remote}.partialclonefilter"));
    let filter = filter.map_or("some objects were left out".to_owned(), |(_, filter)| format!("filter: {filter}"));
    // Both are written by whoever wrote the settings, and one becomes a word of a command.
    let is_word = remote.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c)) && !remote.starts_with('-');
    let remote = if is_word { remote } else { "REMOTE" };
    Some((remote.to_owned(), safe_start(&filter, MAX_FILTER)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_read_and_damaged_ones_are_told() {
        let tree = b"100644 a\0HASH40000 a b\0hash120000 c\nd\0LINK";
        let of = |name: &[u8]| entry(tree, name, 4);
        assert_eq!(of(b"a"), Ok(Some((&b"100644"[..], &b"HASH"[..]))));
        assert_eq!(of(b"a b"), Ok(Some((&b"40000"[..], &b"hash"[..]))));
        assert_eq!(of(b"c\nd"), Ok(Some((&b"120000"[..], &b"LINK"[..]))));
        assert_eq!(of(b"d"), Ok(None));
        let whole = [0, 13, 27, tree.len()];
        for cut in 0..=tree.len() {
            let expected = if whole.contains(&cut) { Ok(None) } else { Err(Damaged) };
            assert_eq!(entry(&tree[..cut], b"d", 4), expected, "{cut}");
        }
    }
}
