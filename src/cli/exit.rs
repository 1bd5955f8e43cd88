//! Exit codes, and the one place where a fault becomes one.

use std::fmt;
use std::process::ExitCode;
use std::sync::Arc;

use crate::airgap::AirgapError;
use crate::base::fault::{Fault, in_full};
use crate::release::ReleaseError;
use crate::store::StoreError;
use crate::sumdb::SumdbError;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: success.
    Success,
    /// 1: a problem was found in what was checked.
    Findings,
    /// 2: not finished: invalid arguments, no network, no disk.
    NotFinished,
    /// 3: the checksum database misbehaved, and the evidence was written.
    Misbehaviour,
    /// The exit code of a command that was run.
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
    /// The worst of `exits`: misbehaviour, then not finished, then findings.
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
            Fault::Request | Fault::Upstream | Fault::Timeout | Fault::Busy | Fault::Host => Self::NotFinished,
            Fault::Misbehaviour => Self::Misbehaviour,
        }
    }
}

/// Why a command failed: whose fault it is, and a message.
#[derive(Debug)]
pub struct Failure {
    fault: Fault,
    message: String,
}

impl Failure {
    /// A failure with this message.
    pub fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self { fault, message: message.into() }
    }

    /// Invalid arguments.
    pub(crate) fn usage(error: impl std::error::Error) -> Self {
        Self::new(Fault::Request, in_full(&error))
    }

    /// An operation failed on this machine; `doing` says which.
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
        f.write_str(&self.message)
    }
}

/// The errors of other rooms that have a fault.
macro_rules! from_errors {
    ($($error:ty),*) => { $(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(error.fault(), in_full(&error))
            }
        }
    )* };
}
from_errors!(AirgapError, ReleaseError, StoreError, SumdbError, Arc<SumdbError>);

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
        let unfinished = [Fault::Request, Fault::Upstream, Fault::Timeout, Fault::Busy, Fault::Host];
        assert_eq!(unfinished.map(Exit::from), [Exit::NotFinished; 5]);
        assert_eq!(Exit::from(Fault::Misbehaviour), Exit::Misbehaviour);
    }
}
