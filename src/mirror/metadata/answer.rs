//! Whether a body is a valid answer to a request, rather than a login page, and the form in which it is passed on.

use bytes::Bytes;

use super::client_text::plain_list;
use super::info::{Info, InfoError};
use crate::base::text::{one_line, page};
use gomodule::artifact::{Artifact, Kind};
use gomodule::gomod;
use gomodule::module::{ModuleVersion, ModuleVersionError, Version};
use gomodule::proxy_request::Request;

/// Limit of a quoted page: its first tags.
const MAX_QUOTED: usize = 40;

#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error(transparent)]
    Info(#[from] InfoError),
    #[error(transparent)]
    Module(#[from] ModuleVersionError),
    #[error("its .info: expected version {expected}, found {found}")]
    Version { expected: Version, found: Version },
    #[error("its version list: expected lines that start with a version, found an HTML page: {0:?}")]
    Page(String),
    #[error("its .mod has no module directive")]
    NoModule,
}

/// The answer in the form in which it is kept and passed on. A zip is checked by its hash alone.
pub(crate) fn answer(request: &Request, body: Vec<u8>) -> Result<Bytes, AnswerError> {
    match request {
        Request::List(_) => list(&body),
        Request::Latest(path) | Request::Query(path, _) => {
            let info = Info::read(&body)?;
            ModuleVersion::new(path.clone(), info.version.clone())?;
            Ok(info.text())
        }
        Request::File(Artifact { kind: Kind::Info, module }) => {
            let info = Info::read(&body)?;
            if info.version == module.version {
                return Ok(info.text());
            }
            Err(AnswerError::Version { expected: module.version.clone(), found: info.version })
        }
        Request::File(Artifact { kind: Kind::Mod, .. }) => {
            let names_a_module = gomod::names_a_module(&String::from_utf8_lossy(&body));
            names_a_module.then(|| body.into()).ok_or(AnswerError::NoModule)
        }
        Request::File(Artifact { kind: Kind::Zip, .. }) => Ok(body.into()),
    }
}

/// The lines that `go` reads. It skips all others, so that an HTML page would be a module without versions; here it is an error.
fn list(body: &[u8]) -> Result<Bytes, AnswerError> {
    let text = String::from_utf8_lossy(body);
    let kept = plain_list(&text);
    match page(&text).filter(|_| kept.is_empty()) {
        Some(page) => Err(AnswerError::Page(one_line(page, MAX_QUOTED))),
        None => Ok(kept.into()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_list_is_versions_and_may_be_empty() {
        assert!(list(b"").unwrap().is_empty());
        assert_eq!(list(b"v1.0.0\nv1.1.0-rc.1").unwrap(), &b"v1.0.0\nv1.1.0-rc.1\n"[..]);
        for page in [&b"<!DOCTYPE html>\n"[..], b"\n <html>", b"\xef\xbb\xbf<html>", b"\xff\xfe<\0h\0"] {
            assert!(matches!(list(page), Err(AnswerError::Page(_))), "{page:?}");
        }
    }

    #[test]
    fn lines_that_are_no_versions_are_skipped() {
        let odd = b"# versions\r\nv1.0.0 2024-01-02T03:04:05Z\r\n\r\nlatest\n1.0.1\nv01.0.0\nv1.0.1\xff\n\xffv1.0.2\nv1.1.0 \xff\n v2\n";
        let kept = "v1.0.0 2024-01-02T03:04:05Z\nv1.1.0 \u{fffd}\nv2\n";
        assert_eq!(list(odd).unwrap(), kept.as_bytes());
        assert_eq!(list(kept.as_bytes()).unwrap(), kept.as_bytes());
        for nothing in [&b"no versions\n"[..], b"{\"message\": \"x\"}", b"\xff\xfe1\0"] {
            assert!(list(nothing).unwrap().is_empty(), "{nothing:?}");
        }
        assert_eq!(list(b"<pre>\nv1.0.0\n</pre>\n").unwrap(), &b"v1.0.0\n"[..]);
    }
}
