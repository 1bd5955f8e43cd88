//! E0308: tiles prove nothing before they are authenticated.

pub fn prove(reply: tlog::LookupReply, tiles: &[Vec<u8>], head: &tlog::SignedCheckpoint) {
    let _ = reply.prove(tiles, head);
}
