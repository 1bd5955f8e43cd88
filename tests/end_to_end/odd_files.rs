//! Makes odd go.mod, go.sum and go.work files.

use std::collections::BTreeMap;

use fastrand::Rng;

pub const GO_MOD: &str = "module example.org/app

go 1.21

require example.com/hello v1.1.0

require (
	example.com/Upper/CaseMod v1.2.3 // indirect
	example.com/dep/v2 v2.0.1 // indirect
)
";
pub const MAIN: &str = "package main\n\nimport \"example.com/hello\"\n\nfunc main() { println(hello.Text()) }\n";
const GO_WORK: &str = "go 1.21\n\nuse (\n\t./app\n\t./lib\n)\n";
const LIB: &str = "module example.org/lib\n\ngo 1.21\n";

/// Lines that are put into go.mod and go.work files, or in place of one.
const LINES: &[&str] = &[
    "module example.org/other",
    "module \"example.org/app\"",
    "module `example.org/app`",
    "module example.org/app/v2",
    "module app",
    "module go",
    "module a b",
    "go 1.21",
    "go 1.21.0",
    "go 1.20",
    "go 1.9",
    "go 1.021",
    "go v1.21",
    "go \"1.21\"",
    "go 1.21.x",
    "toolchain default",
    "toolchain 1.21",
    "godebug default=go1.21",
    "godebug panicnil=1",
    "godebug panicnil",
    "godebug nothing=1",
    "godebug (\n\tpanicnil=1\n)",
    "require example.com/hello v1.0.0",
    "require example.com/hello v1.1",
    "require example.com/hello master",
    "require example.com/hello v1.1.0 // indirect",
    "require example.com/hello",
    "require \"example.com/hello\" \"v1.1.0\"",
    "require example.com/hello/v2 v1.1.0",
    "require corplib v0.0.0",
    "require corplib v0.0.0\nreplace corplib => ../lib",
    "require example.com/legacy v2.0.0+incompatible // indirect",
    "require example.com/legacy v2.0.0 // indirect",
    "require example.org/lib v0.0.0",
    "require example.org/lib v0.0.0\nreplace example.org/lib => ../lib",
    "require example.org/lib/v1 v1.0.0",
    "require (",
    ")",
    "require ( )",
    "require ()",
    "require example.com/hello (\n\tv1.1.0\n)",
    "exclude example.com/hello v1.0.0",
    "exclude example.com/hello v1.1.0",
    "exclude example.com/hello v1",
    "exclude (\n\texample.com/hello v1.0.0\n\texample.com/dep/v2 v2.0.0\n)",
    "replace example.com/hello => example.com/hello v1.0.0",
    "replace example.com/hello v1.1.0 => example.com/hello v1.1.0",
    "replace example.com/hello v1.0.0 => ../nowhere",
    "replace example.com/hello => ../lib",
    "replace example.com/hello => lib",
    "replace example.com/hello => ../lib v1.0.0",
    "replace example.com/hello => example.com/hello@v1.0.0",
    "replace example.com/hello v1 => ../lib",
    "replace example.com/hello",
    "replace nobody.com/x => ../lib",
    "replace nobody.com/x => nobody v1.0.0",
    "replace nobody.com/x => nobody.com/x v2.0.0",
    "replace nobody.com/x => ../lib\nreplace nobody.com/x => ../other",
    "replace nobody.com/x => ..\\lib",
    "replace example.org/lib => ../lib",
    "retract v1.0.0",
    "retract v1",
    "retract [v1.0.0, v1.2.0] // bad",
    "retract [v1.0.0, v1.2.0",
    "retract [ v1.0.0 , v1.2.0 ]",
    "retract v1.0.0 v1.1.0",
    "retract (\n\tv1.0.0\n\t[v1.1.0, v1.2.0]\n)",
    "retract v2.0.0",
    "tool example.com/hello",
    "tool ./x",
    "tool a b",
    "ignore ./x",
    "ignore \"./x y\"",
    "ignore a b",
    "requires example.com/hello v1.1.0",
    "use ./lib",
    "use ../lib",
    "use ./app",
    "use ./nowhere",
    "use .",
    "use \"./lib\"",
    "use ./lib ./app",
    "use ./lib/../lib",
    "<<<<<<< HEAD",
    "=======",
    ">>>>>>> change",
    "// comment",
    "/* comment */",
    "\"",
    "`",
    "\u{feff}",
    "\u{a0}",
    "require example.com/hello v1.1.0 /* x */",
    "require\texample.com/hello\tv1.1.0\r",
    "(",
    "x (",
];
/// Lines of a go.sum.
const SUM_LINES: &[&str] = &[
    "",
    "   ",
    "example.com/hello v1.1.0",
    "example.com/hello v1.1.0 h1:AAAA",
    "example.com/hello v1.1.0 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "example.com/hello v1.1.0/go.mod h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "example.com/hello v1.1.0 h2:AAAA",
    "example.com/hello v1.1.0/go.mod h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=",
    "<<<<<<< HEAD",
    "=======",
    "x",
    "a b c",
    "a b c d",
    "// comment of a person",
    "\u{feff}",
    "\u{2003}",
];
/// Texts that are put between two characters.
const TEXTS: &[&str] = &[
    "\"",
    "`",
    "'",
    "(",
    ")",
    "[",
    "]",
    "{",
    ",",
    "//",
    "/*",
    "\u{feff}",
    "\t",
    "\r",
    " ",
    "\n",
    "=>",
    "\u{a0}",
    "\0",
    "é",
    "v",
    "0",
    "1",
    ".",
    "/",
    "\\",
    "+incompatible",
    "-",
    "@",
    "~1",
    "\u{b}",
    "\u{200b}",
];

/// The files of a case by their paths.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A module, or a workspace of two, of which one file is odd.
pub fn case(rng: &mut Rng, sum: &str) -> Files {
    let mut files = Files::new();
    let mut add = |name: &str, text: &str| drop(files.insert(name.to_owned(), text.as_bytes().to_vec()));
    add("app/go.mod", GO_MOD);
    add("app/go.sum", sum);
    add("app/main.go", MAIN);
    add("lib/go.mod", LIB);
    add("lib/lib.go", "package lib\n");
    let odd = match rng.u32(0..10) {
        0..=4 => "app/go.mod",
        5..=6 => "app/go.sum",
        7..=8 => "go.work",
        _ => "lib/go.mod",
    };
    // Lines may be in the go.work.sum or in the other module.
    if odd == "go.work" || odd == "lib/go.mod" || rng.u32(0..6) == 0 {
        add("go.work", GO_WORK);
        if rng.bool() {
            let (ours, theirs): (Vec<&str>, Vec<&str>) = sum.lines().partition(|_| rng.u32(0..3) > 0);
            add("app/go.sum", &(ours.join("\n") + "\n"));
            add(["go.work.sum", "lib/go.sum"][rng.usize(0..2)], &(theirs.join("\n") + "\n"));
        }
    }
    let text = String::from_utf8(files[odd].clone()).unwrap();
    let lines = if odd == "app/go.sum" { SUM_LINES } else { LINES };
    files.insert(odd.to_owned(), changed(rng, text, lines));
    files
}

/// Changes a file one to three times.
fn changed(rng: &mut Rng, mut text: String, more: &[&str]) -> Vec<u8> {
    for _ in 0..[1, 1, 1, 2, 3][rng.usize(0..5)] {
        let mut lines: Vec<&str> = text.lines().collect();
        let at = rng.usize(0..lines.len().max(1));
        let line = more[rng.usize(0..more.len())];
        match rng.u32(0..12) {
            0..=3 => lines.insert(at.min(lines.len()), line),
            4..=5 => lines.push(line),
            6 if !lines.is_empty() => lines[at] = line,
            7 if !lines.is_empty() => drop(lines.remove(at)),
            8 if !lines.is_empty() => lines.push(lines[at]),
            9 => {
                let marks: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
                let at = marks[rng.usize(0..marks.len())];
                text.insert_str(at, TEXTS[rng.usize(0..TEXTS.len())]);
                continue;
            }
            10 => {
                let marks: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
                text.remove(marks[rng.usize(0..marks.len())]);
                continue;
            }
            _ => match rng.u32(0..4) {
                0 => return text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
                1 => return format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_be_bytes).collect(),
                2 => return format!("\u{feff}{text}").into_bytes(),
                _ => return text.replace('\n', "\r\n").into_bytes(),
            },
        }
        text = lines.join("\n") + "\n";
    }
    text.into_bytes()
}
