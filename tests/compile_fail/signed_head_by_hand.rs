//! E0451: a signed head is not made by hand.

pub fn forge(checkpoint: tlog::Checkpoint, key: tlog::VerifierKey) -> tlog::SignedCheckpoint {
    tlog::SignedCheckpoint { checkpoint, note: String::new(), key }
}
