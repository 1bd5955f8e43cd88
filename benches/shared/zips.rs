//! Module zips to hash.

use std::io::{Cursor, Write};

use sumgate::module::ModuleVersion;
use zip::write::SimpleFileOptions;

/// Text that compresses about as source code does: two lines of three are like one that came shortly before.
pub(crate) fn module_zip(module: &ModuleVersion, files: usize, lines: usize) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let mut seed = 1_u64;
    let mut random = |below: usize| {
        // Marsaglia's xorshift: the same zip on every machine.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed >> 33).unwrap() % below
    };
    let words: Vec<String> = (0..3000).map(|_| format!("{:x}", random(1 << 24) >> (4 * random(5)))).collect();
    let mut past: Vec<String> = vec![String::new(); 40];
    zip.start_file(format!("{module}/go.mod"), SimpleFileOptions::default()).unwrap();
    writeln!(zip, "module {}", module.path).unwrap();
    for nth in 1..files {
        zip.start_file(format!("{module}/p{}/f{nth}.go", nth % 100), SimpleFileOptions::default()).unwrap();
        for _ in 0..lines {
            let at = random(past.len());
            if random(3) == 0 || past[at].is_empty() {
                let length = random(9) + 7;
                let line: Vec<&str> = (0..length)
                    .map(|_| {
                        let most = random(words.len()) + 1;
                        words[random(most)].as_str()
                    })
                    .collect();
                past[at] = line.join(" ");
            }
            writeln!(zip, "\t{}", past[at]).unwrap();
        }
    }
    zip.finish().unwrap().into_inner()
}
