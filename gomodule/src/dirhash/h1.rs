//! The h1 hash and the file list it is computed from.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// An h1 hash. As text: `h1:` and standard base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct H1([u8; 32]);

/// The text is not `h1:` and the canonical base64 of 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected h1: and 44 characters of canonical base64")]
pub struct H1Error;

impl H1 {
    /// Parses `h1:BASE64`.
    pub fn parse(text: &str) -> Result<Self, H1Error> {
        let base64 = text.strip_prefix("h1:").filter(|base64| base64.len() == 44).ok_or(H1Error)?;
        let bytes = STANDARD.decode(base64).map_err(|_| H1Error)?;
        bytes.try_into().map(Self).map_err(|_| H1Error)
    }

    /// The bytes of the hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for H1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "h1:{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for H1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A list of files with their hashes, in any order.
#[derive(Clone, Debug, Default)]
pub struct FileList {
    files: Vec<(String, [u8; 32])>,
}

impl FileList {
    /// Adds a file. The caller must ensure that `name` has no newline.
    pub fn add(&mut self, name: String, sha256: [u8; 32]) {
        self.files.push((name, sha256));
    }

    /// The h1 of the list.
    pub fn h1(mut self) -> H1 {
        self.files.sort_unstable();
        h1_of_sorted(self.files.iter().map(|(name, sha256)| (name.as_str(), sha256)))
    }
}

/// The h1 of files sorted bytewise by name.
pub(super) fn h1_of_sorted<'f>(files: impl Iterator<Item = (&'f str, &'f [u8; 32])>) -> H1 {
    let mut hash = Sha256::new();
    let mut line = Vec::new();
    for (name, sha256) in files {
        let mut hex = [0; 64];
        // The lengths fit, so this cannot fail.
        let _ = hex::encode_to_slice(sha256, &mut hex);
        line.clear();
        for part in [&hex[..], b"  ", name.as_bytes(), b"\n"] {
            line.extend_from_slice(part);
        }
        hash.update(&line);
    }
    H1(hash.finalize().into())
}

/// The h1 of a go.mod file.
///
/// ```
/// let empty = gomodule::dirhash::hash_go_mod(b"");
/// assert_eq!(empty.to_string(), "h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=");
/// ```
pub fn hash_go_mod(bytes: &[u8]) -> H1 {
    let mut list = FileList::default();
    list.add("go.mod".to_owned(), Sha256::digest(bytes).into());
    list.h1()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_text_parses() {
        let text = "h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=";
        assert_eq!(H1::parse(text).map(|h1| h1.to_string()), Ok(text.to_owned()));
        assert!(H1::parse("h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydZ=").is_err(), "trailing bits");
        assert!(H1::parse("h2:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=").is_err());
        assert!(H1::parse("h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY").is_err());
    }
}
