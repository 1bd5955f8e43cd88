//! The list of contents of an export, `SHA256SUMS`: written last, so that an export without it is not whole.
//!
//! ```text
//! HEX  example.com/hello/@v/v1.0.0.mod     as `sha256sum` writes it; sorted
//! # h1:…                                   the h1 of these lines, as of a go.sum: the list itself is whole
//! ```
//!
//! The lines are those that an h1 of the folder is made of (`gomodule::dirhash`), and `sha256sum -c` ignores the last one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::layout::{MAX_LIST, MAX_NAME};
use gomodule::dirhash::{FileList, H1};

/// Files are read in pieces of this size.
const CHUNK: usize = 64 << 10;

/// The files of an export with their SHA-256.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ContentList {
    pub(super) files: BTreeMap<String, [u8; 32]>,
}

/// Why a text is not a list of contents.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ContentListError {
    #[error("line {0} is not \"SHA256  NAME\"")]
    Line(usize),
    #[error("ends without the h1 of its lines: it is cut off")]
    CutOff,
    #[error("has lines with {found}, and its last line says {expected}")]
    OtherTotal { expected: H1, found: H1 },
}

impl ContentList {
    pub(super) fn text(&self) -> String {
        let lines: String =
            self.files.iter().map(|(name, sha256)| format!("{}  {name}\n", hex::encode(sha256))).collect();
        format!("{lines}# {}\n", self.h1())
    }

    pub(super) fn parse(text: &str) -> Result<Self, ContentListError> {
        let body = text.strip_suffix('\n').ok_or(ContentListError::CutOff)?;
        let (lines, total) = body.rsplit_once('\n').unwrap_or(("", body));
        let total = total.strip_prefix("# ").and_then(|h1| H1::parse(h1).ok()).ok_or(ContentListError::CutOff)?;
        let mut list = Self::default();
        for (nth, line) in lines.lines().enumerate() {
            let file = line.split_once("  ").and_then(|(hash, name)| {
                let mut sha256 = [0; 32];
                hex::decode_to_slice(hash, &mut sha256).ok()?;
                Some((name.to_owned(), sha256)).filter(|_| name.len() <= MAX_NAME)
            });
            let (name, sha256) = file.ok_or(ContentListError::Line(nth + 1))?;
            list.files.insert(name, sha256);
        }
        let found = list.h1();
        if found == total { Ok(list) } else { Err(ContentListError::OtherTotal { expected: total, found }) }
    }

    fn h1(&self) -> H1 {
        let mut list = FileList::default();
        self.files.iter().for_each(|(name, sha256)| list.add(name.clone(), *sha256));
        list.h1()
    }

    /// Whether the list can be read again.
    pub(super) fn fits(&self) -> bool {
        self.text().len() as u64 <= MAX_LIST
    }
}

/// Hashes what is read through it.
pub(super) struct Hashed<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Hashed<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, hash: Sha256::new() }
    }

    pub(super) fn sha256(self) -> [u8; 32] {
        self.hash.finalize().into()
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}

/// The SHA-256 of a file.
pub(super) fn sha256_of(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = Hashed::new(File::open(path)?);
    let mut chunk = vec![0; CHUNK];
    while file.read(&mut chunk)? > 0 {}
    Ok(file.sha256())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn no_part_of_a_list_is_a_list() {
        let mut list = ContentList::default();
        list.files.insert("a.com/b/@v/v1.0.0.mod".to_owned(), Sha256::digest(b"1").into());
        list.files.insert("a.com/b/@v/v1.0.0.zip".to_owned(), Sha256::digest(b"2").into());
        let text = list.text();
        assert_eq!(ContentList::parse(&text), Ok(list.clone()));
        for end in 0..text.len() {
            assert!(ContentList::parse(&text[..end]).is_err(), "{:?}", &text[..end]);
        }
        let lines: Vec<&str> = text.lines().collect();
        assert!(matches!(
            ContentList::parse(&format!("{}\n{}\n", lines[0], lines[2])).unwrap_err(),
            ContentListError::OtherTotal { .. }
        ));
        assert_eq!(ContentList::parse(&text.replacen("  ", " ", 1)), Err(ContentListError::Line(1)));
        assert!(ContentList::parse(&text.replacen(".mod", ".info", 1)).is_err());
        assert_eq!(ContentList::parse(&ContentList::default().text()), Ok(ContentList::default()));
    }
}
