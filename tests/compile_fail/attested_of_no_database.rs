//! E0624: only the client of a database makes an `Attested`.

pub fn attest(lines: sumgate::sumdb::RecordLines) -> sumgate::sumdb::Attested {
    sumgate::sumdb::Attested::new(lines, "sum.golang.org".into())
}
