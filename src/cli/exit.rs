//! The one place where a fault becomes an exit code.

use std::fmt;
use std::process::ExitCode;
use std::sync::Arc;

use crate::base::fault::{Fault, in_full};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done, and nothing is wrong.
    Success,
    /// 1: done, and something is wrong with what was looked at.
    Findings,
    /// 2: not done: bad arguments, no network, no disk.
    NotFinished,
    /// 3: the checksum database misbehaved, and the evidence was written.
    Misbehaviour,
    /// The code of a command that was run.
    Command(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Findings => 1,
            Exit::NotFinished => 2,
            Exit::Misbehaviour => 3,
            Exit::Command(code) => code,
        })
    }
}

impl Exit {
    /// The worst of `exits`: misbehaviour before what was not done, that before findings.
    pub(super) fn worst(exits: impl IntoIterator<Item = impl Into<Self>>) -> Self {
        let exits: Vec<Self> = exits.into_iter().map(Into::into).collect();
        let worst =
            [Self::Misbehaviour, Self::NotFinished, Self::Findings].into_iter().find(|exit| exits.contains(exit));
        worst.unwrap_or(Self::Success)
    }
}

impl From<Fault> for Exit {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Absent | Fault::NotServed | Fault::Refused => Self::Findings,
            Fault::Request | Fault::Upstream | Fault::Timeout | Fault::Host => Self::NotFinished,
            Fault::Misbehaviour => Self::Misbehaviour,
        }
    }
}

/// Why a command did not end well: whose fault, and in words.
#[derive(Debug)]
pub struct Failure {
    fault: Fault,
    words: String,
}

impl Failure {
    /// A failure with words of its own.
    pub fn new(fault: Fault, words: impl Into<String>) -> Self {
        Self { fault, words: words.into() }
    }

    /// The words the user typed cannot be used.
    pub(crate) fn usage(error: impl std::error::Error) -> Self {
        Self::new(Fault::Request, in_full(&error))
    }

    /// This machine did not do what was asked of it.
    pub(crate) fn host(doing: &str, error: &dyn std::error::Error) -> Self {
        Self::new(Fault::Host, format!("cannot {doing}: {}", in_full(error)))
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        self.fault.into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl From<crate::store::StoreError> for Failure {
    fn from(error: crate::store::StoreError) -> Self {
        Self::new(error.fault(), in_full(&error))
    }
}

impl From<crate::sumdb::SumdbError> for Failure {
    fn from(error: crate::sumdb::SumdbError) -> Self {
        Self::new(error.fault(), in_full(&error))
    }
}

impl From<Arc<crate::sumdb::SumdbError>> for Failure {
    fn from(error: Arc<crate::sumdb::SumdbError>) -> Self {
        Self::new(error.fault(), in_full(&*error))
    }
}

impl From<crate::airgap::AirgapError> for Failure {
    fn from(error: crate::airgap::AirgapError) -> Self {
        Self::new(error.fault(), in_full(&error))
    }
}

impl From<crate::mirror::StartError> for Failure {
    fn from(error: crate::mirror::StartError) -> Self {
        Self::new(Fault::Host, in_full(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_its_exit_code() {
        assert_eq!([Fault::Absent, Fault::NotServed, Fault::Refused].map(Exit::from), [Exit::Findings; 3]);
        let unfinished = [Fault::Request, Fault::Upstream, Fault::Timeout, Fault::Host];
        assert_eq!(unfinished.map(Exit::from), [Exit::NotFinished; 4]);
        assert_eq!(Exit::from(Fault::Misbehaviour), Exit::Misbehaviour);
    }
}
