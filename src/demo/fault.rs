//! How the embedded origin can misbehave, path by path. Data, not code, so that a test reads like a list of facts.

use bytes::Bytes;

/// What is done to the honest answer for a path.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Another body, with status 200.
    Body(Bytes),
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
