//! The stored state of one database under one key.
//!
//! ```text
//! sumdb/NAME+hhhhhhhh+KEYDIGEST/head      the trusted signed head, only replaced by compare-and-swap
//!                               heads     the sizes of trusted heads, and when they were seen (`sumdb/observed_sizes`)
//!                               exported  the sizes of exported heads, one per line
//!                               anchor    the last anchor that was proved consistent with the head
//!                               first-asked  the times of first requests for versions without a record (`sumdb/first_asked`)
//!                               fork.txt  evidence that the database signed two histories; only the operator removes it
//!                               tile/…    authenticated tiles, the widest seen of each (`tile,8,0,x001,234`)
//!                               record/…  records with their proofs (`a.example,x@v1.0.0`)
//!                               tiles, records  many of them together, a line each (`line_file`)
//! ```
//!
//! The digest of the whole verifier key is in the name, because a changed key must never meet an old head, and another key may
//! have the same 4-byte key hash. Tiles and records are authenticated at every read, so they need no sync; head and evidence
//! are synced.
//!
//! `head` and `first-asked` are [`State`]. The others are local files, overwritten with the durability that each needs: the owner
//! of `heads` is checked on the open file, a wider tile replaces a narrower one, so it is not an immutable blob, and `fork.txt`
//! is for the operator to read.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use tempfile::Builder;
use tlog::limits::{MAX_NOTE_LEN, MAX_RECORD_LEN};

use super::StoreError;
use super::access::{StoreOptions, check_entry, kind};
use super::durable::{self, Durability};
use super::line_file::LineFile;
use super::open;
use super::owner::{Untrusted, check_author, check_folder};
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
    options: StoreOptions,
    /// Why the times in it are not trusted, if so.
    untrusted: Option<Untrusted>,
    tiles: LineFile,
    records: LineFile,
}

impl StateDir {
    pub(super) fn open(
        root: &Path,
        name: &str,
        verifier_key: &str,
        trees: &[Tree],
        options: &StoreOptions,
    ) -> Result<Self, StoreError> {
        let digest = hex::encode(&Sha256::digest(verifier_key.as_bytes())[..8]);
        let key_hash = verifier_key.split('+').nth(1).unwrap_or_default();
        let name = utf8_percent_encode(name, NAME);
        let all = root.join("sumdb");
        let dir = all.join(format!("{name}+{key_hash}+{digest}"));
        let mut is_own = check_entry(&dir, options.access, true)?;
        for name in FOLDERS {
            is_own &= check_entry(&dir.join(name), options.access, true)?;
        }
        for name in FILES {
            is_own &= check_entry(&dir.join(name), options.access, false)?;
        }
        let fork = dir.join(FORK);
        if let Some(found) = fork.symlink_metadata().ok().filter(|found| !found.is_file()) {
            return Err(not_evidence(&fork, kind(&found)));
        }
        let options = StoreOptions { writes: options.writes && is_own, ..options.clone() };
        if options.writes {
            durable::make_dir(&dir, options.modes)?;
        }
        let mut untrusted = None;
        for folder in [root, &all, &dir].into_iter().filter(|folder| folder.is_dir()) {
            let why = check_folder(folder, trees);
            let why = why.map_err(|cause| StoreError::new("look at the owner of", folder, cause))?;
            untrusted = untrusted.or(why);
        }
        let state = LocalState::new(dir.clone(), options.modes);
        let [tiles, records] = [TILES, RECORDS].map(|name| LineFile::new(dir.join(name), options.modes));
        Ok(Self { dir, state, options, untrusted, tiles, records })
    }

    /// The stored trusted head: a signed note.
    pub fn head(&self) -> Result<Option<String>, StoreError> {
        self.state.get("head", MAX_NOTE_LEN).map(text)
    }

    /// Replaces the head by `new` if `is_expected` accepts the current one, durably and across processes. A read-only store reports
    /// success without a write: the new head is valid for this process only.
    pub(crate) fn swap_head(
        &self,
        is_expected: impl FnOnce(Option<&str>) -> bool,
        new: &str,
    ) -> Result<Swap<String>, StoreError> {
        if !self.options.writes {
            return Ok(Swap::Swapped);
        }
        let current = self.state.get("head", MAX_NOTE_LEN)?;
        let note = text(current.clone());
        if !is_expected(note.as_deref()) {
            return Ok(Swap::Conflict(note));
        }
        let swap = self.state.compare_and_swap("head", MAX_NOTE_LEN, current.as_deref(), new.as_bytes())?;
        Ok(match swap {
            Swap::Swapped => Swap::Swapped,
            Swap::Conflict(other) => Swap::Conflict(text(other)),
        })
    }

    /// The last anchor that was proved consistent with the head.
    pub(crate) fn anchor(&self) -> Result<Option<String>, StoreError> {
        self.state.get("anchor", MAX_NOTE_LEN).map(text)
    }

    /// Stores an anchor that was proved consistent with the head. If the write fails, it is proved again.
    pub(crate) fn set_anchor(&self, anchor: &str) {
        self.try_to_write("anchor", anchor, Durability::Synced);
    }

    /// The stored sizes and times of heads. Nothing proves the times, so they are trusted only if no other user could write them.
    pub(crate) fn heads(&self) -> Result<Result<String, Untrusted>, StoreError> {
        if let Some(why) = &self.untrusted {
            return Ok(Err(why.clone()));
        }
        let path = self.dir.join("heads");
        let failed = |cause| StoreError::new("read", &path, cause);
        let Some(file) = open::open(&path).map_err(failed)? else { return Ok(Ok(String::new())) };
        if let Some(why) = check_author(&path, &file.metadata().map_err(failed)?) {
            return Ok(Err(why));
        }
        Ok(Ok(text(read_bounded(file, MAX_HEADS_LEN as u64).map_err(failed)?).unwrap_or_default()))
    }

    /// A message about the file of heads, with its place.
    pub(crate) fn about_heads(&self, message: &str) -> String {
        format!("{}: {message}", self.dir.join("heads").display())
    }

    /// Stores the sizes and times of heads. If the write fails, records look younger, never older.
    pub(crate) fn set_heads(&self, heads: &str) {
        self.try_to_write("heads", heads, Durability::Atomic);
    }

    /// The stored sizes of exported heads.
    pub(crate) fn exported(&self) -> Result<Option<String>, StoreError> {
        self.state.get("exported", MAX_EXPORTED_LEN).map(text)
    }

    /// Stores the sizes of exported heads. If the write fails, a later export lacks the tiles for an installation at that head, and
    /// its import says so.
    pub(crate) fn set_exported(&self, sizes: &str) {
        self.try_to_write("exported", sizes, Durability::Atomic);
    }

    /// The stored lines of first requests.
    pub(crate) fn first_asked(&self) -> Result<Option<String>, StoreError> {
        self.state.get("first-asked", MAX_FIRST_ASKED_LEN).map(text)
    }

    /// Appends a line. If the write fails, a version looks younger after a restart.
    pub(crate) fn add_first_asked(&self, line: &str) {
        self.options.try_to(|| self.state.append("first-asked", line.as_bytes()));
    }

    pub(crate) fn set_first_asked(&self, lines: &str) {
        self.try_to_write("first-asked", lines, Durability::Atomic);
    }

    fn try_to_write(&self, name: &str, text: &str, durability: Durability) {
        self.options.try_to(|| durable::write(&self.dir.join(name), text.as_bytes(), durability, self.options.modes));
    }

    /// The path for evidence of a fork.
    pub(crate) fn fork_path(&self) -> PathBuf {
        self.dir.join(FORK)
    }

    /// The path of existing evidence of a fork: a regular file, perhaps not readable.
    pub(crate) fn fork(&self) -> Option<PathBuf> {
        Some(self.fork_path()).filter(|path| path.symlink_metadata().is_ok_and(|found| found.is_file()))
    }

    /// Writes evidence of a fork, unless there is some already, and returns its path. Anything but a regular file or a folder is
    /// replaced. A read-only store writes it into the folder of temporary files.
    pub(crate) fn write_fork(&self, evidence: &str) -> Result<PathBuf, StoreError> {
        if let Some(path) = self.fork() {
            return Ok(path);
        }
        let path = self.fork_path();
        if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            return Err(not_evidence(&path, "a folder"));
        }
        if !self.options.writes {
            let failed = |cause| StoreError::new("write a file about", &path, cause);
            let mut file = Builder::new().prefix("sumgate-fork-").suffix(".txt").tempfile().map_err(failed)?;
            file.write_all(evidence.as_bytes()).map_err(failed)?;
            return Ok(file.keep().map_err(|error| failed(error.error))?.1);
        }
        durable::write(&path, evidence.as_bytes(), Durability::Synced, self.options.modes)?;
        Ok(path)
    }

    /// The stored bytes of a tile, by its name without the width (`tile/8/0/x001/234`), if they are `enough`. The caller
    /// authenticates them.
    pub(crate) fn tile(&self, name: &str, enough: impl Fn(&[u8]) -> bool) -> Result<Option<Vec<u8>>, StoreError> {
        match self.tile_among_many(name)?.filter(|bytes| enough(bytes)) {
            Some(bytes) => Ok(Some(bytes)),
            None => Ok(self.read(&flat("tile", name), MAX_TILE_LEN)?.filter(|bytes| enough(bytes))),
        }
    }

    pub(crate) fn set_tile(&self, name: &str, bytes: &[u8]) {
        self.try_to_write_authenticated(&flat("tile", name), bytes);
    }

    /// Stores tiles by their names without the width. A reader looks at the lines first, so a tile with a wrong line replaces it
    /// by a line; if there is no room, the file is removed: all in it can be requested again.
    pub(crate) fn set_tiles(&self, tiles: &[(String, Bytes)]) {
        let lines = || tiles.iter().map(|(name, bytes)| (name.clone(), STANDARD.encode(bytes)));
        let is_hidden = |(name, bytes): &(String, Bytes)| {
            // A narrower line hides nothing.
            let line = self.tile_among_many(name).ok().flatten();
            line.is_some_and(|line| !bytes.starts_with(&line))
        };
        let any_hidden = || tiles.iter().any(is_hidden);
        if self.set_together(&self.tiles, any_hidden, lines) {
            return;
        }
        if any_hidden() {
            self.options.try_to(|| self.tiles.remove());
        }
        for (name, bytes) in tiles {
            self.set_tile(name, bytes);
        }
    }

    fn tile_among_many(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let bytes = self.tiles.get(name)?.and_then(|text| STANDARD.decode(text).ok());
        Ok(bytes.filter(|bytes| bytes.len() <= MAX_TILE_LEN))
    }

    /// What `open` verifies and returns of a record with its proof, by the escaped `path@version`. A record among many comes
    /// before one that was stored alone.
    pub(crate) fn record<T>(
        &self,
        name: &str,
        mut open: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        let mut bundle = self.records.get(name)?.filter(|bundle| bundle.len() <= MAX_BUNDLE_LEN);
        bundle.iter_mut().flatten().filter(|byte| **byte == b'\t').for_each(|byte| *byte = b'\n');
        if let Some(opened) = bundle.and_then(|bundle| open(&bundle)) {
            return Ok(Some(opened));
        }
        Ok(self.read(&flat("record", name), MAX_BUNDLE_LEN)?.and_then(|bundle| open(&bundle)))
    }

    /// Whether there is a record whose name begins with `start`. A long name is stored as its hash, so each of those may match.
    pub(crate) fn has_record(&self, start: &str) -> Result<bool, StoreError> {
        let may_be_long = start.len() + MAX_VERSION > MAX_NAME;
        Ok(self.has_named_record(start)? || (may_be_long && self.any_record(|name| !name.contains('@'))?))
    }

    /// Whether there is a record whose name begins with `start` and is not stored as its hash.
    pub(crate) fn has_named_record(&self, start: &str) -> Result<bool, StoreError> {
        if self.records.has(|name| name.starts_with(start))? {
            return Ok(true);
        }
        let start = start.replace('/', ",");
        self.any_record(|name| name.starts_with(&start))
    }

    fn any_record(&self, is_it: impl Fn(&str) -> bool) -> Result<bool, StoreError> {
        let dir = self.dir.join("record");
        let failed = |cause| StoreError::new("read", &dir, cause);
        for entry in open::entries(&dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if name.to_str().is_some_and(&is_it) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn set_record(&self, name: &str, bundle: &str) {
        self.try_to_write_authenticated(&flat("record", name), bundle.as_bytes());
    }

    /// Stores records with their proofs.
    pub(crate) fn set_records(&self, records: &[(String, String)]) {
        // Neither a signed note nor base64 has a tab, so the line ends come back as they were.
        let lines = || records.iter().map(|(name, bundle)| (name.clone(), bundle.replace('\n', "\t")));
        if !self.set_together(&self.records, || false, lines) {
            for (name, bundle) in records {
                self.set_record(name, bundle);
            }
        }
    }

    /// Appends authenticated values to a file, if they are many or must be there. Returns whether they are stored: there may be no
    /// more room.
    fn set_together<L: ExactSizeIterator<Item = (String, String)>>(
        &self,
        together: &LineFile,
        must_be: impl FnOnce() -> bool,
        lines: impl FnOnce() -> L,
    ) -> bool {
        let lines = lines();
        let mut is_stored = false;
        if lines.len() >= MANY || must_be() {
            self.options.try_to(|| together.append(lines).map(|had_room| is_stored = had_room));
        }
        is_stored
    }

    fn try_to_write_authenticated(&self, name: &str, bytes: &[u8]) {
        let (path, modes) = (self.dir.join(name), self.options.modes);
        let write = || durable::write(&path, bytes, Durability::Authenticated, modes);
        self.options.try_to(|| match write() {
            // The first file in its folder.
            Err(error) if error.cause.kind() == io::ErrorKind::NotFound => {
                durable::make_dir(path.parent().unwrap_or(&self.dir), modes)?;
                write()
            }
            written => written,
        });
    }

    /// Reads a file of the folder. A file over the limit cannot be valid, and is treated as missing.
    fn read(&self, name: &str, limit: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.dir.join(name);
        open::read(&path, limit).map_err(|cause| StoreError::new("read", &path, cause))
    }
}

/// Something that this program did not make has the name of the evidence.
fn not_evidence(path: &Path, found: &str) -> StoreError {
    let words = format!(
        "expected a file with the evidence of a fork, or nothing, found {found}: another program made it, and may have \
         removed evidence: find out which one, then remove it"
    );
    StoreError::new("use", path, io::Error::other(words))
}

/// The folders of a database.
const FOLDERS: [&str; 2] = ["tile", "record"];
/// The files of a database.
const FILES: [&str; 9] = ["head", "head.lock", "heads", "anchor", "exported", "first-asked", TILES, RECORDS, FORK];
/// Tiles, and records with their proofs, that were stored together.
const TILES: &str = "tiles";
const RECORDS: &str = "records";
/// Fewer values than this are stored as files: those of one lookup, which a mirror reads one by one.
const MANY: usize = 16;
/// Evidence of a fork.
const FORK: &str = "fork.txt";

/// The path of a tile or record, all in one folder: a folder costs as much to make as a file, and an audit makes hundreds. No
/// module path and no tile has a `,`. A name that is too long for file systems becomes its hash.
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
/// 40,000 lines of a time and a size (`sumdb/ages`).
const MAX_HEADS_LEN: usize = 1 << 20;
/// 20,000 lines of a time and a module version, with a few hundred bytes at most. A longer file is treated as missing.
const MAX_FIRST_ASKED_LEN: usize = 8 << 20;
/// 256 lines of a size (`sumdb/proof_set`).
const MAX_EXPORTED_LEN: usize = 8 << 10;
/// 256 hashes of 32 bytes: the widest tile of height 8.
const MAX_TILE_LEN: usize = 256 * 32;
/// A record and a signed note at their own limits, in base64, and at most 62 proof hashes.
const MAX_BUNDLE_LEN: usize = 2 * (MAX_NOTE_LEN + MAX_RECORD_LEN);

/// A head that is not UTF-8 becomes damaged text, so that it is reported as invalid, not treated as missing.
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
    use crate::store::write_failures::WriteFailures;

    fn state(all: &Path, name: &str, key: &str) -> StateDir {
        let options = StoreOptions {
            modes: Modes::Private,
            access: Access::Write,
            writes: true,
            write_failures: WriteFailures::default(),
            clock: Clock::System,
        };
        StateDir::open(all, name, key, &[], &options).unwrap()
    }

    #[test]
    fn of_two_swaps_from_one_head_only_the_first_succeeds() {
        let all = tempfile::tempdir().unwrap();
        let (one, two) = (state(all.path(), "a.example", "k"), state(all.path(), "a.example", "k"));
        assert_eq!(one.swap_head(|now| now.is_none(), "first").unwrap(), Swap::Swapped);
        assert_eq!(two.swap_head(|now| now.is_none(), "other").unwrap(), Swap::Conflict(Some("first".to_owned())));
        assert_eq!(two.swap_head(|now| now == Some("first"), "second").unwrap(), Swap::Swapped);
        assert_eq!(one.head().unwrap().as_deref(), Some("second"));
    }

    #[test]
    fn a_read_only_store_does_not_write_a_swapped_head() {
        let all = tempfile::tempdir().unwrap();
        state(all.path(), "a.example", "k").swap_head(|_| true, "first").unwrap();
        let options = StoreOptions {
            modes: Modes::Private,
            access: Access::Read,
            writes: false,
            write_failures: WriteFailures::default(),
            clock: Clock::System,
        };
        let reads = StateDir::open(all.path(), "a.example", "k", &[], &options).unwrap();
        assert_eq!(reads.swap_head(|now| now == Some("first"), "second").unwrap(), Swap::Swapped);
        assert_eq!(reads.head().unwrap().as_deref(), Some("first"));
    }

    #[test]
    fn records_with_names_of_any_length_are_distinct() {
        let all = tempfile::tempdir().unwrap();
        let state = state(all.path(), "a.example", "k");
        let long = |last: char| format!("a.example/{}/{last}@v1.0.0", vec!["element"; 60].join("/"));
        let names = ["a.example/x/y@v1.0.0", "a.example/x@v1.0.0", &long('a'), &long('b')];
        for name in names {
            assert_eq!(state.record(name, |bundle| Some(bundle.to_vec())).unwrap(), None);
            state.set_record(name, name);
        }
        for name in names {
            assert_eq!(state.record(name, |bundle| Some(bundle.to_vec())).unwrap(), Some(name.as_bytes().to_vec()));
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
        // This program writes no link and no file over the limit.
        fs::rename(state.dir.join("heads"), all.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(all.path().join("elsewhere"), state.dir.join("heads")).unwrap();
        assert_eq!(heads(), Ok(String::new()));
        state.set_heads(&"1 2\n".repeat(MAX_HEADS_LEN / 4 + 1));
        assert_eq!(heads(), Ok(String::new()));
    }

    #[test]
    fn a_torn_tile_is_replaced() {
        let all = tempfile::tempdir().unwrap();
        let state = state(all.path(), "a.example", "k");
        for written in ["who", "whole", "whole, and wider"] {
            state.set_tile("tile/8/0/000", written.as_bytes());
            assert_eq!(state.tile("tile/8/0/000", |_| true).unwrap(), Some(written.as_bytes().to_vec()));
        }
    }

    #[test]
    fn a_wrong_line_does_not_hide_the_tile_that_is_stored_after_it() {
        for has_room in [true, false] {
            let all = tempfile::tempdir().unwrap();
            let state = state(all.path(), "a.example", "k");
            let name = |nth: usize| format!("tile/8/0/{nth:03}");
            let stored = |nth: usize| state.tile(&name(nth), |_| true).unwrap();
            let set =
                |nth: usize, bytes: &'static str| state.set_tiles(&[(name(nth), Bytes::from_static(bytes.as_bytes()))]);
            let tiles: Vec<_> = (0..MANY).map(|nth| (name(nth), Bytes::from_static(b"wrong"))).collect();
            state.set_tiles(&tiles);
            let file = state.dir.join(TILES);
            let len = || file.metadata().map_or(0, |found| found.len());
            let before = len();
            // A wider tile that begins with the line is a file of its own.
            set(1, "wrong, and wider");
            assert_eq!(len(), before);
            if !has_room {
                fs::File::options().write(true).open(&file).unwrap().set_len(64 << 20).unwrap();
            }
            set(0, "right");
            assert_eq!(stored(0).as_deref(), Some(&b"right"[..]));
            assert_eq!(len() > before, has_room);
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
    fn evidence_is_a_regular_file_and_replaces_a_link_or_a_pipe() {
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
    fn anything_but_a_file_in_place_of_evidence_is_reported_when_opened() {
        let all = tempfile::tempdir().unwrap();
        let path = state(all.path(), "a.example", "k").fork_path();
        let open = || {
            let options = StoreOptions {
                modes: Modes::Private,
                access: Access::Read,
                writes: true,
                write_failures: WriteFailures::default(),
                clock: Clock::System,
            };
            StateDir::open(all.path(), "a.example", "k", &[], &options).map_err(|error| error.to_string())
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
