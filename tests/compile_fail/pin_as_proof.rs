//! E0308: a pinned hash is not a proved one.

pub fn forge(h1: gomodule::dirhash::H1) -> sumgate::release::Basis {
    sumgate::release::Basis::Proven(h1)
}
