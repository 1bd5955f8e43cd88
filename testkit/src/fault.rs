//! How the embedded origin can misbehave, path by path. Data, not code, so that a test reads like a list of facts.

use std::time::Duration;

use bytes::Bytes;

/// What is done to the honest answer for a path.
#[derive(Clone, Debug)]
pub enum Fault {
    /// After a while this fault, or the honest answer.
    Delay(Duration, Option<Box<Self>>),
    /// The honest answer, so many bytes in a second.
    Trickle(usize),
    /// The announced length is right, but after so many bytes nothing follows until the origin is told to go on.
    Stall(usize),
    /// A status, with the seconds after which it wants to be asked again.
    RetryAfter(u16, u64),
    /// A redirect to this address.
    Redirect(String),
    /// The connection is closed without an answer.
    Reset,
    /// This fault so many times, then honest.
    Times(u32, Box<Self>),
    /// Another body, with status 200.
    Body(Bytes),
    /// The honest body with this Content-Encoding; it is compressed if that is gzip.
    Coding(&'static str),
    /// A status with a text.
    Status(u16, &'static str),
    /// One bit of the honest body, at this byte, is another.
    FlipBit(usize),
    /// Only so many bytes of the honest body, and the length of those.
    Cut(usize),
    /// The announced length is right, but the connection breaks off after so many bytes.
    Break(usize),
    /// No answer until the origin is told to go on.
    Hold,
}
