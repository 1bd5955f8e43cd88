//! The ways in which the test origin can misbehave for a path.

use std::time::Duration;

use bytes::Bytes;

/// A fault, which replaces or changes the correct answer for a path.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Waits, then answers with this fault or correctly.
    Delay(Duration, Option<Box<Self>>),
    /// Answers 401 to a request without a login; else answers with this fault or correctly.
    NeedsLogin(Option<Box<Self>>),
    /// Sends the correct answer at this rate, in bytes per second.
    Trickle(usize),
    /// Stops the body after this many bytes until [`crate::Origin::behave`]. `Content-Length` is that of the whole body.
    Stall(usize),
    /// Answers with this status, and `Retry-After` in seconds.
    RetryAfter(u16, u64),
    /// Redirects to this URL.
    Redirect(String),
    /// Closes the connection without an answer.
    Reset,
    /// Has this fault this many times, then answers correctly.
    Times(u32, Box<Self>),
    /// Answers correctly, with this Content-Encoding; the body is compressed if it is gzip.
    Coding(&'static str),
    /// Answers with status 200 and this body.
    Body(Bytes),
    /// Answers with this status and text.
    Status(u16, &'static str),
    /// Flips a bit of the body in this byte.
    FlipBit(usize),
    /// Truncates the body to this length. `Content-Length` is that of the truncated body.
    Cut(usize),
    /// Closes the connection after this many bytes of the body. `Content-Length` is that of the whole body.
    Break(usize),
    /// Closes the connection after this many bytes of the body, and answers a request for the rest with that of another body,
    /// as a cache that ignores `If-Range`; with the entity tag of the other body, or with that of the first.
    OtherRest(usize, OtherTag),
    /// Waits until [`crate::Origin::behave`], then answers correctly.
    Hold,
}

/// The entity tag of the rest of another body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherTag {
    /// That of the body that it is from.
    Own,
    /// That of the first body.
    OfTheFirst,
}
