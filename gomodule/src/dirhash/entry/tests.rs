//! Deflate streams that some inflaters read and `go` refuses. A zip with one of them must not be released: no `go` can unpack it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use flate2::{Decompress, FlushDecompress, Status};

/// Bits in the order of deflate: the first one is the lowest of the first byte.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    len: usize,
}

impl Bits {
    fn bit(&mut self, bit: bool) {
        if self.len.is_multiple_of(8) {
            self.bytes.push(0);
        }
        *self.bytes.last_mut().unwrap() |= u8::from(bit) << (self.len % 8);
        self.len += 1;
    }

    /// A number, its lowest bit first.
    fn number(mut self, value: u32, bits: u32) -> Self {
        (0..bits).for_each(|nth| self.bit(value >> nth & 1 == 1));
        self
    }

    /// A Huffman code: zeros and ones as they are in the stream.
    fn code(mut self, code: &str) -> Self {
        code.bytes().for_each(|bit| self.bit(bit == b'1'));
        self
    }

    /// The code for `zeros` unused symbols, of at least 11.
    fn unused(self, mut zeros: u32) -> Self {
        let mut bits = self;
        while zeros > 0 {
            let run = if zeros > 138 + 10 {
                138
            } else if zeros > 138 {
                zeros - 11
            } else {
                zeros
            };
            bits = bits.code("0").number(run - 11, 7);
            zeros -= run;
        }
        bits
    }
}

/// A last block whose header declares so many literal and distance symbols, which contains the letter "a". The symbols are `a`
/// and the end of the block, and the distance symbol 0; all others are unused.
fn declaring(literals: u32, distances: u32) -> Vec<u8> {
    let header = Bits::default().number(1, 1).number(2, 2).number(literals - 257, 5).number(distances - 1, 5);
    // The lengths of the codes for lengths, in their order 16, 17, 18, 0, 8, …, 1, 15: 1 bit for 18, 2 bits for 0 and 1.
    let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1];
    let header = header.number(u32::try_from(order.len()).unwrap() - 4, 4);
    let length = |symbol| match symbol {
        18 => 1,
        0 | 1 => 2,
        _ => 0,
    };
    let header = order.iter().fold(header, |header, symbol| header.number(length(*symbol), 3));
    let (none, one) = ("10", "11");
    let letters = header.unused(97).code(one).unused(256 - 98).code(one);
    let letters = (257..literals).fold(letters, |letters, _| letters.code(none));
    let distances = (1..distances).fold(letters.code(one), |bits, _| bits.code(none));
    distances.code("0").code("1").bytes
}

/// A last block with the codes that deflate itself defines: these codes, and the end of the block.
fn fixed(codes: &[&str]) -> Vec<u8> {
    let start = Bits::default().number(1, 1).number(1, 2);
    codes.iter().fold(start, |bits, code| bits.code(code)).code("0000000").bytes
}

/// What the inflater makes of a stream: `None` if it refuses it.
fn inflated(stream: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(1024);
    let status = Decompress::new(false).decompress_vec(stream, &mut plain, FlushDecompress::Finish);
    (status.ok()? == Status::StreamEnd).then_some(plain)
}

#[test]
fn symbols_that_deflate_does_not_have_are_refused() {
    // The same streams with the most symbols that are allowed are fine.
    assert_eq!(inflated(&declaring(286, 30)).as_deref(), Some(&b"a"[..]));
    for (literals, distances) in [(287, 1), (288, 1), (257, 31), (257, 32), (288, 32)] {
        assert_eq!(inflated(&declaring(literals, distances)), None, "{literals} literals, {distances} distances");
    }
    let a = "10010001";
    let (length_3, distance_1) = ("0000001", "00000");
    assert_eq!(inflated(&fixed(&[a, length_3, distance_1])).as_deref(), Some(&b"aaaa"[..]));
    for symbol in ["11000110", "11000111"] {
        assert_eq!(inflated(&fixed(&[a, symbol, distance_1])), None, "the length symbols 286 and 287");
    }
    for distance in ["11110", "11111"] {
        assert_eq!(inflated(&fixed(&[a, length_3, distance])), None, "the distance symbols 30 and 31");
    }
}
