//! Finds the flags in GOFLAGS that bring other code or other programs into a build.

use crate::finding::Code;

/// Flags that choose what is built or shown and bring in no code (`go help build`, `go help testflag`).
const PLAIN: &str = "
a p v x race msan asan cover covermode coverpkg coverprofile work json trimpath buildvcs buildmode tags mod modcacherw
count run skip bench benchtime benchmem short timeout failfast fullpath parallel cpu shuffle list vet installsuffix
linkshared pgo e test deps find fuzz fuzztime
";
/// Flags that replace files or programs of the build.
const OVERRIDES: [&str; 8] = ["toolexec", "overlay", "modfile", "exec", "vettool", "pkgdir", "compiler", "gccgoflags"];
/// Flags of the linker that set strings or omit debug data.
const PLAIN_OF_LINKER: [&str; 6] = ["s", "w", "X", "buildid", "compressdwarf", "v"];
/// Flags of the compiler about optimization and output.
const PLAIN_OF_COMPILER: [&str; 10] = ["N", "l", "m", "B", "e", "S", "c", "dwarf", "lang", "smallframes"];

/// The flags of GOFLAGS with a finding, each with its code.
pub(super) fn reported(goflags: &str) -> Vec<(String, Code)> {
    words(goflags).into_iter().filter_map(|flag| decide(&flag).map(|code| (flag, code))).collect()
}

/// The value of a flag; the last one counts.
pub(super) fn last(goflags: &str, name: &str) -> Option<String> {
    let words = words(goflags);
    let mut values = words.iter().map(|flag| split(flag)).filter(|(flag, _)| *flag == name);
    values.next_back().map(|(_, value)| value.to_owned())
}

fn decide(flag: &str) -> Option<Code> {
    let (name, value) = split(flag);
    match name {
        "ldflags" => decide_parts(value, &PLAIN_OF_LINKER, &["extld"]),
        "gcflags" | "asmflags" => decide_parts(value, &PLAIN_OF_COMPILER, &[]),
        name if PLAIN.split_whitespace().any(|plain| plain == name) => None,
        name if OVERRIDES.contains(&name) => Some(Code::BuildOverride),
        _ => Some(Code::BuildEnvironment),
    }
}

/// Decides about the flags within `-ldflags` and the like, after an optional package pattern.
fn decide_parts(value: &str, plain: &[&str], overrides: &[&str]) -> Option<Code> {
    let value = value.trim();
    let value = value.split_once('=').filter(|_| !value.starts_with('-')).map_or(value, |(_, rest)| rest);
    let mut code = None;
    let mut all = words(value).into_iter();
    while let Some(word) = all.next() {
        let (name, of_name) = split(&word);
        if overrides.contains(&name) {
            return Some(Code::BuildOverride);
        }
        // `-X a.b=c` is two words, and the second is not a flag. A dependency may rely on the variables of its package.
        let set =
            (name == "X").then(|| if word.contains('=') { of_name.into() } else { all.next().unwrap_or_default() });
        if !plain.contains(&name) || set.is_some_and(|set| !set.starts_with("main.")) {
            code = Some(Code::BuildEnvironment);
        }
    }
    code
}

fn split(flag: &str) -> (&str, &str) {
    let flag = flag.strip_prefix("--").or_else(|| flag.strip_prefix('-')).unwrap_or(flag);
    flag.split_once('=').unwrap_or((flag, ""))
}

/// The word separators of `go` (`isSpaceByte` of cmd/internal/quoted). Other white space is part of a word.
const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// Splits a list as `go` does: at white space; a word that starts with a quote ends at the next one.
fn words(list: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = list.trim_start_matches(SPACE);
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            quote @ ('\'' | '"') => rest[1..].split_once(quote).unwrap_or((&rest[1..], "")),
            _ => rest.split_once(SPACE).unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim_start_matches(SPACE);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flag_is_decided_separately() {
        let codes = |goflags: &str| {
            let all = reported(goflags);
            let has = |wanted| all.iter().any(|(_, code)| *code == wanted);
            (has(Code::BuildOverride), has(Code::BuildEnvironment))
        };
        for plain in [
            "",
            "-mod=mod -modcacherw -trimpath -buildvcs=false",
            "-tags=a,b --race -count=1",
            "'-ldflags=-s -w -X main.version=1.2.3' -v",
            "\"-ldflags=all=-s -X main.a=-extld\"",
            "'-gcflags=all=-N -l'",
            "'-ldflags=-X main.a=b -X=main.c=d'",
        ] {
            assert_eq!(codes(plain), (false, false), "{plain}");
        }
        for note in [
            "-o=/elsewhere",
            "'-ldflags=-linkmode external'",
            "-ldflags=-extldflags=-L.",
            "-gcflags=-importcfg=x",
            "-unknown",
            // Nothing is built, and an earlier output remains.
            "-n",
            "-ldflags=-X=runtime.modinfo=x",
            "'-ldflags=-X runtime.modinfo=x'",
            "-ldflags=-X=example.com/auth.key=x",
        ] {
            assert_eq!(codes(note), (false, true), "{note}");
        }
        for replacement in [
            "-toolexec=./x",
            "--overlay=o.json",
            "-modfile=x.mod",
            "'-ldflags=-s -extld=./x'",
            "'-ldflags=-X= -extld=./x'",
            "-vettool=x",
            "-exec x",
        ] {
            assert!(codes(replacement).0, "{replacement}");
        }
    }

    #[test]
    fn the_last_value_of_a_flag_counts() {
        assert_eq!(last("-mod=mod --mod=vendor -v", "mod").as_deref(), Some("vendor"));
        assert_eq!((last("-tags=a-mod=mod", "mod"), last("", "mod")), (None, None));
    }

    #[test]
    fn words_are_split_as_go_does() {
        assert_eq!(words(" -a  '-b c' \"-d e\"\t-f"), ["-a", "-b c", "-d e", "-f"]);
        assert_eq!(words("'-a b"), ["-a b"]);
        for other in ['\u{b}', '\u{c}', '\u{85}', '\u{a0}', '\u{2003}'] {
            let hidden = format!("-tags=a{other}'-tags= -toolexec=X -tags=b'");
            let split = [format!("-tags=a{other}'-tags="), "-toolexec=X".to_owned(), "-tags=b'".to_owned()];
            assert_eq!(words(&hidden), split, "{other:?}");
            assert!(reported(&hidden).iter().any(|(_, code)| *code == Code::BuildOverride), "{other:?}");
            let within = format!("\"-ldflags=-X=a.b=c{other}'-X=d.e= -extld=./x -X=f.g=h'\"");
            assert!(reported(&within).iter().any(|(_, code)| *code == Code::BuildOverride), "{other:?}");
        }
    }
}
