//! Whose fault an error is, and whether a retry helps.
//!
//! Every error type has a method `fault()`. The HTTP status (`mirror/http/respond`) and the exit code (`cli/exit`) derive
//! from it only, so they always agree.

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request is malformed. A retry does not help.
    Request,
    /// The requested thing is reported or proved absent. A later retry may find it.
    Absent,
    /// This server does not serve the path. That says nothing about a module.
    NotServed,
    /// Wrong bytes, facts or rules forbid the release. A retry does not help until the cause is fixed.
    Refused,
    /// An upstream or a database is down, or its answer is invalid. A retry may help.
    Upstream,
    /// An upstream or a database did not answer in time. A retry may help.
    Timeout,
    /// Too many requests are under way. A retry after a pause helps.
    Busy,
    /// The checksum database signed two histories. Evidence is on disk; a retry does not help.
    Misbehaviour,
    /// This machine: disk full, no permission, a port in use, a bug. The operator must act.
    Host,
}

/// The error and its causes in one line: `a: b: c`. Omits a cause if the line already ends with its message, because many
/// libraries repeat their source.
pub fn in_full(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let message = cause.to_string();
        if !line.ends_with(&message) {
            line.push_str(&format!(": {message}"));
        }
        next = cause.source();
    }
    line
}
