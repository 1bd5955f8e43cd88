//! Whose fault an error is, and whether a retry helps.
//!
//! Every error of the program answers `fault()`. The HTTP status (`mirror/http/respond`) and the exit code (`cli/exit`)
//! are derived from that answer alone, each in one place, so that the two can never disagree about one error.

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The caller asked for something malformed. A retry never helps.
    Request,
    /// The thing is reported or proved absent. A later retry may find it.
    Absent,
    /// It is nothing that is answered here, whoever else may have it. That says nothing about a module.
    NotServed,
    /// Bytes, facts or rules forbid the release. A retry helps only after somebody mended the cause.
    Refused,
    /// A server we depend on is down, or answered nonsense. A retry may help.
    Upstream,
    /// A server we depend on did not answer in time. A retry may help.
    Timeout,
    /// The checksum database signed two histories. Evidence is on disk; no retry helps.
    Misbehaviour,
    /// This machine: disk full, no permission, a port in use, a bug of ours. Its owner has to act.
    Host,
}

/// The whole chain of causes in one line, for a person: `a: b: c`.
///
/// A cause whose words the line already ends with is left out: many libraries repeat their source.
pub fn in_full(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !line.ends_with(&words) {
            line.push_str(": ");
            line.push_str(&words);
        }
        next = cause.source();
    }
    line
}
