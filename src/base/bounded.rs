//! Reads with a limit, so that the author of a file cannot choose how much memory it takes.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

/// Reads the first `max` bytes, or fewer.
pub fn first(from: impl Read, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads everything; `None` if there are more than `max` bytes.
pub fn read_bounded(from: impl Read, max: u64) -> io::Result<Option<Vec<u8>>> {
    let bytes = first(from, max.saturating_add(1))?;
    Ok((bytes.len() as u64 <= max).then_some(bytes))
}

/// Like [`read_bounded`], for UTF-8 text. A text that is too large is `None` even if it is not valid UTF-8.
pub fn text_bounded(from: impl Read, max: u64) -> io::Result<Option<String>> {
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "stream did not contain valid UTF-8");
    read_bounded(from, max)?.map(|bytes| String::from_utf8(bytes).map_err(not_text)).transpose()
}

/// Reads a file from its start, without moving its cursor.
pub fn from_start(file: &File) -> impl Read {
    struct FromStart<'f>(&'f File, u64);
    impl Read for FromStart<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let read = self.0.read_at(buffer, self.1)?;
            self.1 += read as u64;
            Ok(read)
        }
    }
    FromStart(file, 0)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_file_is_read_up_to_the_limit() {
        let read = |max| read_bounded(&b"12345"[..], max).unwrap();
        assert_eq!((read(5), read(4), read(u64::MAX)), (Some(b"12345".to_vec()), None, Some(b"12345".to_vec())));
        assert_eq!(first(&b"12345"[..], 4).unwrap(), b"1234");
    }

    #[test]
    fn a_text_that_is_too_large_is_not_reported_as_invalid() {
        let read = |bytes: &[u8], max| text_bounded(bytes, max);
        assert_eq!(read("aé".as_bytes(), 3).unwrap().unwrap(), "aé");
        // The limit cuts the text in the middle of a character.
        assert_eq!(read("a€€".as_bytes(), 4).unwrap(), None);
        assert_eq!(read(b"a\xff", 2).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
