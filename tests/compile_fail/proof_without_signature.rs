//! E0308: tiles prove nothing under an unsigned head: anyone can make a tree.

pub fn prove(reply: tlog::LookupReply, tiles: &tlog::AuthenticTiles, head: &tlog::TreeHead) {
    let _ = reply.prove(tiles, head);
}
