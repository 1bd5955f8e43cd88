//! E0451: a verified note is not made by hand.

pub fn forge(honest: tlog::VerifiedNote) -> tlog::VerifiedNote {
    tlog::VerifiedNote { raw: String::new(), ..honest }
}
