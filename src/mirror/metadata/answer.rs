//! Whether a body is a valid answer to a request, rather than a login page, and the form in which it is passed on.

use bytes::Bytes;

use super::client_text::plain_list;
use super::info::{Info, InfoError};
use gomodule::artifact::{Artifact, Kind};
use gomodule::gomod;
use gomodule::module::{ModuleVersion, ModuleVersionError, Version};
use gomodule::proxy_request::Request;

#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error(transparent)]
    Info(#[from] InfoError),
    #[error(transparent)]
    Module(#[from] ModuleVersionError),
    #[error("its .info: expected version {expected}, found {found}")]
    Version { expected: Version, found: Version },
    #[error("its version list is not UTF-8 text")]
    NotText,
    #[error("its version list: expected lines that start with a version, found {0:?}")]
    Line(String),
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

/// A list in plain characters, if each line begins with a version. An HTML page does not.
fn list(body: &[u8]) -> Result<Bytes, AnswerError> {
    let text = std::str::from_utf8(body).map_err(|_| AnswerError::NotText)?;
    let mut firsts = text.lines().filter_map(|line| line.split_whitespace().next());
    match firsts.find(|first| !first.starts_with('v')) {
        Some(bad) => Err(AnswerError::Line(bad.chars().take(40).collect())),
        None => Ok(Bytes::from(plain_list(text))),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_list_is_versions_and_may_be_empty() {
        assert!(list(b"").unwrap().is_empty());
        assert_eq!(list(b"v1.0.0\nv1.1.0-rc.1\n").unwrap(), &b"v1.0.0\nv1.1.0-rc.1\n"[..]);
        assert!(list(b"<!DOCTYPE html>\n").is_err());
    }
}
