//! E0616: the text of a reply cannot be read before it is proved (CVE-2026-56864).

pub fn read(reply: tlog::LookupReply) -> String {
    reply.text
}
