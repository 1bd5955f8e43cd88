//! Recognizes programs by their first bytes.

use std::io;
use std::path::Path;

use crate::base::bounded::first;
use crate::base::tree::open_regular;

/// New programs that are examined. Each takes a run of `go version`, some 20 ms.
pub(super) const MAX_PROGRAMS: usize = 1000;
/// The first bytes of programs that a Go toolchain links: ELF, PE, Mach-O of each kind, WebAssembly, XCOFF.
const MAGICS: [&[u8]; 10] = [
    b"\x7fELF",
    b"MZ",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"\0asm",
    b"\x01\xdf\0",
    b"\x01\xf7\0",
];

/// Whether a file is regular and begins like a program.
pub(super) fn is_program(path: &Path) -> io::Result<bool> {
    let Some(file) = open_regular(path)? else { return Ok(false) };
    let first = first(file, 4)?;
    Ok(MAGICS.iter().any(|magic| first.starts_with(magic)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;

    use super::*;

    #[test]
    fn programs_begin_with_their_magic() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (first, is) in [(&b"\x7fELF\x02"[..], true), (b"MZ", true), (b"#!/bin/sh", false), (b"", false)] {
            fs::write(file.path(), first).unwrap();
            assert_eq!(is_program(file.path()).unwrap(), is, "{first:?}");
        }
    }
}
