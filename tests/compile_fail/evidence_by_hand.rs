//! E0451: evidence of a fork is not made by hand.

pub fn forge(honest: tlog::ForkEvidence) -> tlog::ForkEvidence {
    tlog::ForkEvidence { fork: None, ..honest }
}
