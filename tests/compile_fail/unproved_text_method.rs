//! E0599: the text of a reply cannot be read before it is proved, by no method either.

pub fn read(reply: &tlog::LookupReply) -> &str {
    reply.text()
}
