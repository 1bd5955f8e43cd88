//! E0451: that something is absent needs evidence.

pub fn forge() -> sumgate::mirror::Absent {
    sumgate::mirror::Absent { reason: String::new() }
}
