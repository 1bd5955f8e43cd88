//! What is remembered of one database under one key.
//!
//! ```text
//! sumdb/NAME+hhhhhhhh+KEYDIGEST/head      the trusted signed head, replaced by compare-and-swap only
//!                               heads     the sizes of trusted heads, and when they were seen; what of it counts: `sumdb/observed_sizes`
//!                               exported  the sizes of the heads that `export` carried away, one a line
//!                               anchor    the last anchor that was proved consistent with it
//!                               first-asked  when versions were first asked for that it did not have (`sumdb/first_asked`)
//!                               fork.txt  evidence that the database signed two histories; stays until removed by hand
//!                               tile/…    authenticated tiles, the widest seen of each (`tile,8,0,x001,234`)
//!                               record/…  records with their proofs (`a.example,x@v1.0.0`)
//! ```
//!
//! The digest of the whole verifier key is in the name: the 4-byte key hash alone could be met by another key, and a
//! changed key must never meet an old head. Tiles and records are checked again whenever they are read, so they need
//! no sync; head and evidence are synced.
//!
//! The head and what was first asked for are [`State`]. The others are files of this machine: each is written without a look at
//! what was there, with the durability that it needs; the owner of `heads` is checked on the open file; a tile is replaced by
//! a wider one, so it is no immutable blob; and `fork.txt` is for a person to find.

use std::io;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use tlog::limits::{MAX_NOTE_LEN, MAX_RECORD_LEN};

use super::StoreError;
use super::access::{Keeping, check_place, kind};
use super::durable::{self, Durability};
use super::open;
use super::owner::{Untrusted, check_folder, check_owner};
use super::state::local::LocalState;
use super::state::{State, Swap};
use crate::base::bounded::read_bounded;
use crate::base::tree::Tree;

/// Database names may contain `/`; a folder name must not.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_');

/// The folder of one database under one key.
#[derive(Clone, Debug)]
pub struct StateDir {
    dir: PathBuf,
    state: LocalState,
    keeping: Keeping,
    /// Why the times in it do not count, if they do not.
    untrusted: Option<Untrusted>,
}

impl StateDir {
    pub(super) fn open(
        root: &Path,
        name: &str,
        verifier_key: &str,
        trees: &[Tree],
        keeping: &Keeping,
    ) -> Result<Self, StoreError> {
        let digest = hex::encode(&Sha256::digest(verifier_key.as_bytes())[..8]);
        let key_hash = verifier_key.split('+').nth(1).unwrap_or_default();
        let name = utf8_percent_encode(name, NAME);
        let all = root.join("sumdb");
        let dir = all.join(format!("{name}+{key_hash}+{digest}"));
        let mut is_own = check_place(&dir, keeping.access, true)?;
        for name in FOLDERS {
            is_own &= check_place(&dir.join(name), keeping.access, true)?;
        }
        for name in FILES {
            is_own &= check_place(&dir.join(name), keeping.access, false)?;
        }
        let fork = dir.join(FORK);
        if let Some(found) = fork.symlink_metadata().ok().filter(|found| !found.is_file()) {
            return Err(not_evidence(&fork, kind(&found)));
        }
        let keeping = Keeping { writes: keeping.writes && is_own, ..keeping.clone() };
        if keeping.writes {
            durable::make_dir(&dir, keeping.modes)?;
        }
        let mut untrusted = None;
        for folder in [root, &all, &dir].into_iter().filter(|folder| folder.is_dir()) {
            let why = check_folder(folder, trees);
            let why = why.map_err(|cause| StoreError::new("look at the owner of", folder, cause))?;
            untrusted = untrusted.or(why);
        }
        let state = LocalState::new(dir.clone(), keeping.modes);
        Ok(Self { dir, state, keeping, untrusted })
    }

    /// The trusted head as it was stored: a signed note.
    pub fn head(&self) -> Result<Option<String>, StoreError> {
        self.state.get("head", MAX_NOTE_LEN).map(text)
    }

    /// Replaces the head by `new` if `is_expected` says so of what is there, durably, across processes. Where things are only
    /// read, it is replaced for this process alone, which asks nobody for a newer one.
    pub(crate) fn swap_head(
        &self,
        is_expected: impl FnOnce(Option<&str>) -> bool,
        new: &str,
    ) -> Result<Swap<String>, StoreError> {
        if !self.keeping.writes {
            return Ok(Swap::Swapped);
        }
        let current = self.state.get("head", MAX_NOTE_LEN)?;
        let words = text(current.clone());
        if !is_expected(words.as_deref()) {
            return Ok(Swap::Conflict(words));
        }
        let swap = self.state.compare_and_swap("head", MAX_NOTE_LEN, current.as_deref(), new.as_bytes())?;
        Ok(match swap {
            Swap::Swapped => Swap::Swapped,
            Swap::Conflict(other) => Swap::Conflict(text(other)),
        })
    }

    /// The anchor that was last proved consistent with the head.
    pub(crate) fn anchor(&self) -> Result<Option<String>, StoreError> {
        self.state.get("anchor", MAX_NOTE_LEN).map(text)
    }

    /// Remembers that `anchor` was proved consistent with the head. One that is lost is compared again.
    pub(crate) fn set_anchor(&self, anchor: &str) {
        self.try_to_write("anchor", anchor, Durability::Synced);
    }

    /// The sizes and times of heads, as they were written down. Nothing proves the times, so they count only where no
    /// other than this user could write them; else it is said why they do not.
    pub(crate) fn heads(&self) -> Result<Result<String, Untrusted>, StoreError> {
        if let Some(why) = &self.untrusted {
            return Ok(Err(why.clone()));
        }
        let path = self.dir.join("heads");
        let failed = |cause| StoreError::new("read", &path, cause);
        let Some(file) = open::open(&path).map_err(failed)? else { return Ok(Ok(String::new())) };
        if let Some(why) = check_owner(&path, &file.metadata().map_err(failed)?) {
            return Ok(Err(why));
        }
        Ok(Ok(text(read_bounded(file, MAX_HEADS_LEN as u64).map_err(failed)?).unwrap_or_default()))
    }

    /// A message about the file of heads, with its place.
    pub(crate) fn about_heads(&self, message: &str) -> String {
        format!("{}: {message}", self.dir.join("heads").display())
    }

    /// Writes down the sizes and times of heads. One that is lost makes records look younger, never older.
    pub(crate) fn set_heads(&self, heads: &str) {
        self.try_to_write("heads", heads, Durability::Atomic);
    }

    /// The sizes of the trees whose heads were carried away, as they were written down.
    pub(crate) fn exported(&self) -> Result<Option<String>, StoreError> {
        self.state.get("exported", MAX_EXPORTED_LEN).map(text)
    }

    /// Writes down the sizes of the trees whose heads were carried away. Without one that is lost, a later export brings no
    /// tiles for whoever stands at that head, and they are told.
    pub(crate) fn set_exported(&self, sizes: &str) {
        self.try_to_write("exported", sizes, Durability::Atomic);
    }

    /// The versions that were asked for, as they were written down.
    pub(crate) fn first_asked(&self) -> Result<Option<String>, StoreError> {
        self.state.get("first-asked", MAX_FIRST_ASKED_LEN).map(text)
    }

    /// Writes a line down behind the others. One that is lost makes a version look younger after a restart.
    pub(crate) fn add_first_asked(&self, line: &str) {
        self.keeping.try_to(|| self.state.append("first-asked", line.as_bytes()));
    }

    pub(crate) fn set_first_asked(&self, lines: &str) {
        self.try_to_write("first-asked", lines, Durability::Atomic);
    }

    fn try_to_write(&self, name: &str, text: &str, durability: Durability) {
        self.keeping.try_to(|| durable::write(&self.dir.join(name), text.as_bytes(), durability, self.keeping.modes));
    }

    /// Where evidence of a fork lies, or would lie.
    pub(crate) fn fork_path(&self) -> PathBuf {
        self.dir.join(FORK)
    }

    /// Where evidence of a fork lies, if there is some. It is a regular file, also one that this user may not read.
    pub(crate) fn fork(&self) -> Option<PathBuf> {
        Some(self.fork_path()).filter(|path| path.symlink_metadata().is_ok_and(|found| found.is_file()))
    }

    /// Writes evidence of a fork, unless some is there already: the first is enough. What is no regular file is no evidence, and
    /// makes room. Returns its path.
    pub(crate) fn write_fork(&self, evidence: &str) -> Result<PathBuf, StoreError> {
        if let Some(path) = self.fork() {
            return Ok(path);
        }
        let path = self.fork_path();
        if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            return Err(not_evidence(&path, "a folder"));
        }
        durable::write(&path, evidence.as_bytes(), Durability::Synced, self.keeping.modes)?;
        Ok(path)
    }

    /// A tile's bytes as stored under its name (`tile/8/0/x001/234`, no width), to be authenticated by the caller.
    pub(crate) fn tile(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(&flat("tile", name), MAX_TILE_LEN)
    }

    pub(crate) fn set_tile(&self, name: &str, bytes: &[u8]) {
        self.keeping.try_to(|| self.write_authenticated(&self.dir.join(flat("tile", name)), bytes));
    }

    /// A record with its proof, under the escaped `path@version`, to be checked by the caller.
    pub(crate) fn record(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(&flat("record", name), MAX_BUNDLE_LEN)
    }

    /// Whether there is a record whose name begins so. One whose name is too long for a file system cannot be told by its
    /// beginning, so each of these may be one.
    pub(crate) fn has_record(&self, start: &str) -> Result<bool, StoreError> {
        let start = start.replace('/', ",");
        let may_be_long = start.len() + MAX_VERSION > MAX_NAME;
        let dir = self.dir.join("record");
        let failed = |cause| StoreError::new("read", &dir, cause);
        for entry in open::entries(&dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if name.to_str().is_some_and(|name| name.starts_with(&start) || (may_be_long && !name.contains('@'))) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn set_record(&self, name: &str, bundle: &str) {
        self.keeping.try_to(|| self.write_authenticated(&self.dir.join(flat("record", name)), bundle.as_bytes()));
    }

    fn write_authenticated(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let write = || durable::write(path, bytes, Durability::Authenticated, self.keeping.modes);
        match write() {
            // The first in its folder.
            Err(error) if error.cause.kind() == io::ErrorKind::NotFound => {
                let dir = path.parent().unwrap_or(&self.dir);
                durable::make_dir(dir, self.keeping.modes)?;
                write()
            }
            written => written,
        }
    }

    /// Reads a file of the folder; one that is too large is as good as absent, for it cannot be right.
    fn read(&self, name: &str, limit: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.dir.join(name);
        open::read(&path, limit).map_err(|cause| StoreError::new("read", &path, cause))
    }
}

/// In the place of evidence lies something that this program did not put there.
fn not_evidence(path: &Path, found: &str) -> StoreError {
    let words = format!(
        "expected a file with the evidence of a fork, or nothing, found {found}: this program did not put it there, and evidence \
         may have been taken away: look into who did it, then remove it"
    );
    StoreError::new("use", path, io::Error::other(words))
}

/// Folders in the folder of a database.
const FOLDERS: [&str; 2] = ["tile", "record"];
/// Files in it.
const FILES: [&str; 7] = ["head", "head.lock", "heads", "anchor", "exported", "first-asked", FORK];
/// Evidence of a fork.
const FORK: &str = "fork.txt";

/// Names in one folder of their own: a folder costs as much to make as a file, and an audit makes hundreds. No module path and
/// no tile has a `,`. A name that file systems do not take goes by its hash.
fn flat(folder: &str, name: &str) -> String {
    let name = name.replace('/', ",");
    if name.len() <= MAX_NAME {
        return format!("{folder}/{name}");
    }
    format!("{folder}/{}", hex::encode(Sha256::digest(name.as_bytes())))
}

/// The longest version, with upper case escaped (`module/version`).
const MAX_VERSION: usize = 240;
/// 255 bytes nearly everywhere (NAME_MAX); a temporary name is shorter.
const MAX_NAME: usize = 255;
/// 40,000 lines of a time and a size: as many that count as wait for the clock (`sumdb/ages`).
const MAX_HEADS_LEN: usize = 1 << 20;
/// 20,000 lines of a time and a module version, of which the longest has some hundred bytes. What is longer was written by
/// others, and is as good as absent.
const MAX_FIRST_ASKED_LEN: usize = 8 << 20;
/// 256 lines of a size (`sumdb/proof_set`).
const MAX_EXPORTED_LEN: usize = 8 << 10;
/// 256 hashes of 32 bytes: the widest tile of height 8.
const MAX_TILE_LEN: usize = 256 * 32;
/// A record and a signed note at their own bounds, base64 and at most 62 proof hashes between them.
const MAX_BUNDLE_LEN: usize = 2 * (MAX_NOTE_LEN + MAX_RECORD_LEN);

/// A head that is not UTF-8 is kept as damaged text, so that opening it fails loudly rather than as "no head yet".
fn text(bytes: Option<Vec<u8>>) -> Option<String> {
    bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;

    use rustix::fs::{FileType, Mode};

    use super::*;
    use crate::base::clock::Clock;
    use crate::store::Access;
    use crate::store::durable::Modes;
    use crate::store::losses::Losses;

    fn state(all: &Path, name: &str, key: &str) -> StateDir {
        let keeping = Keeping {
            modes: Modes::Private,
            access: Access::Write,
            writes: true,
            losses: Losses::default(),
            clock: Clock::System,
        };
        StateDir::open(all, name, key, &[], &keeping).unwrap()
    }

    #[test]
    fn of_two_swaps_from_one_head_only_the_first_wins() {
        let all = tempfile::tempdir().unwrap();
        let (one, two) = (state(all.path(), "a.example", "k"), state(all.path(), "a.example", "k"));
        assert_eq!(one.swap_head(|now| now.is_none(), "first").unwrap(), Swap::Swapped);
        assert_eq!(two.swap_head(|now| now.is_none(), "other").unwrap(), Swap::Conflict(Some("first".to_owned())));
        assert_eq!(two.swap_head(|now| now == Some("first"), "second").unwrap(), Swap::Swapped);
        assert_eq!(one.head().unwrap().as_deref(), Some("second"));
    }

    #[test]
    fn where_things_are_only_read_a_head_is_swapped_for_this_process_alone() {
        let all = tempfile::tempdir().unwrap();
        state(all.path(), "a.example", "k").swap_head(|_| true, "first").unwrap();
        let keeping = Keeping {
            modes: Modes::Private,
            access: Access::Read,
            writes: false,
            losses: Losses::default(),
            clock: Clock::System,
        };
        let reads = StateDir::open(all.path(), "a.example", "k", &[], &keeping).unwrap();
        assert_eq!(reads.swap_head(|now| now == Some("first"), "second").unwrap(), Swap::Swapped);
        assert_eq!(reads.head().unwrap().as_deref(), Some("first"));
    }

    #[test]
    fn records_of_any_name_are_kept_apart() {
        let all = tempfile::tempdir().unwrap();
        let state = state(all.path(), "a.example", "k");
        let long = |last: char| format!("a.example/{}/{last}@v1.0.0", vec!["element"; 60].join("/"));
        let names = ["a.example/x/y@v1.0.0", "a.example/x@v1.0.0", &long('a'), &long('b')];
        for name in names {
            assert_eq!(state.record(name).unwrap(), None);
            state.set_record(name, name);
        }
        for name in names {
            assert_eq!(state.record(name).unwrap(), Some(name.as_bytes().to_vec()));
        }
    }

    #[test]
    fn heads_are_read_only_from_a_file_of_this_user() {
        let all = tempfile::tempdir().unwrap();
        let state = state(all.path(), "a.example", "k");
        let heads = || state.heads().unwrap();
        assert_eq!(heads(), Ok(String::new()));
        state.set_heads("1 2\n");
        assert_eq!(heads(), Ok("1 2\n".to_owned()));
        // A link, to whatever it leads, and a file that is too large were not written by this program.
        fs::rename(state.dir.join("heads"), all.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(all.path().join("elsewhere"), state.dir.join("heads")).unwrap();
        assert_eq!(heads(), Ok(String::new()));
        state.set_heads(&"1 2\n".repeat(MAX_HEADS_LEN / 4 + 1));
        assert_eq!(heads(), Ok(String::new()));
    }

    #[test]
    fn what_is_torn_is_replaced() {
        let all = tempfile::tempdir().unwrap();
        let state = state(all.path(), "a.example", "k");
        for written in ["who", "whole", "whole, and wider"] {
            state.set_tile("tile/8/0/000", written.as_bytes());
            assert_eq!(state.tile("tile/8/0/000").unwrap(), Some(written.as_bytes().to_vec()));
        }
    }

    #[test]
    fn a_changed_key_never_meets_an_old_head() {
        let all = tempfile::tempdir().unwrap();
        state(all.path(), "a.example/db", "a.example/db+00000001+AA").swap_head(|now| now.is_none(), "old").unwrap();
        // The same name and the same 4-byte hash, another key.
        let changed = state(all.path(), "a.example/db", "a.example/db+00000001+BB");
        assert_eq!(changed.head().unwrap(), None);
    }

    #[test]
    fn the_first_evidence_stays() {
        let all = tempfile::tempdir().unwrap();
        let state = state(all.path(), "a.example", "k");
        state.write_fork("first").unwrap();
        let path = state.write_fork("second").unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "first");
    }

    #[test]
    fn evidence_is_a_regular_file_and_goes_over_anything_else() {
        let all = tempfile::tempdir().unwrap();
        let state = state(all.path(), "a.example", "k");
        let (path, elsewhere) = (state.fork_path(), all.path().join("elsewhere"));
        fs::write(&elsewhere, "precious").unwrap();
        let pipe = |path: &Path| rustix::fs::mknodat(rustix::fs::CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
        let link = |path: &Path| std::os::unix::fs::symlink(&elsewhere, path).unwrap();
        for plant in [&pipe as &dyn Fn(&Path), &link] {
            plant(&path);
            assert_eq!(state.fork(), None);
            assert_eq!(fs::read_to_string(state.write_fork("evidence").unwrap()).unwrap(), "evidence");
            assert_eq!(state.fork(), Some(path.clone()));
            fs::remove_file(&path).unwrap();
        }
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "precious");
        fs::create_dir(&path).unwrap();
        assert_eq!(state.fork(), None);
        let error = state.write_fork("evidence").unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()) && error.contains("found a folder"), "{error}");
    }

    #[test]
    fn what_is_no_evidence_in_its_place_is_told_at_the_start() {
        let all = tempfile::tempdir().unwrap();
        let path = state(all.path(), "a.example", "k").fork_path();
        let open = || {
            let keeping = Keeping {
                modes: Modes::Private,
                access: Access::Read,
                writes: true,
                losses: Losses::default(),
                clock: Clock::System,
            };
            StateDir::open(all.path(), "a.example", "k", &[], &keeping).map_err(|error| error.to_string())
        };
        rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
        let told = |what: &str| {
            let error = open().unwrap_err();
            assert!(error.contains(path.to_str().unwrap()) && error.contains(what), "{error}");
        };
        told("found a pipe");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        told("found a folder");
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "evidence").unwrap();
        assert_eq!(open().unwrap().fork(), Some(path.clone()));
    }
}
