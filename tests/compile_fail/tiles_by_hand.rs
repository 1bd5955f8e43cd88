//! E0451: authentic tiles are not made by hand.

pub fn forge(honest: tlog::AuthenticTiles) -> tlog::AuthenticTiles {
    tlog::AuthenticTiles { bytes: Vec::new(), ..honest }
}
