//! E0308: a head that nobody signed is not trusted.

pub fn trust(head: tlog::Checkpoint) -> tlog::Timeline {
    tlog::Timeline::resume(head)
}
