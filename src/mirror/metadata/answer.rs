//! Whether a body answers a request at all, rather than being a page that asks for a login; and what of it is passed on.

use bytes::Bytes;

use super::info::{Info, InfoError};
use super::words::plain_list;
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
    #[error("its .info names {0}, but {1} was asked for")]
    Other(Version, Version),
    #[error("its version list is not text")]
    NotText,
    #[error("its version list has a line that starts with {0:?}")]
    Line(String),
    #[error("its .mod has no line that names a module")]
    NoModule,
}

/// The answer in the form in which it is kept and passed on. A zip is for its hash to judge.
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
            let is_it = info.version == module.version;
            if is_it { Ok(info.text()) } else { Err(AnswerError::Other(info.version, module.version.clone())) }
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
