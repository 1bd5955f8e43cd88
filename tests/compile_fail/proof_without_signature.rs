//! E0308: tiles prove nothing under a head that nobody signed: anybody can make a tree.

pub fn prove(reply: tlog::LookupReply, tiles: &tlog::AuthenticTiles, head: &tlog::TreeHead) {
    let _ = reply.prove(tiles, head);
}
