//! Targets for files of users, of `go` and of the mirror.

use gomodule::artifact::Kind;
use gomodule::dirhash::hash_go_mod;
use gomodule::gomod::{self, GoMod, GoWork};
use gomodule::gosum::{SumContent, parse_go_sum};
use sumgate::base::toml_file::{Diagnostics, MAX_FILE};
use sumgate::go::buildinfo::{BuildInfo, BuiltModule};
use sumgate::{fuzzing, policy};

/// A valid line prints as an equal one.
pub fn gosum(bytes: &[u8]) {
    let count = bytes.split(|byte| *byte == b'\n').count();
    let mut last = 0;
    for line in parse_go_sum(bytes) {
        let number = usize::try_from(line.number).expect("32 bits are no more than a word");
        assert!(last < number && number <= count);
        last = number;
        let (module, kind, hash) = match &line.content {
            SumContent::Hash(it) => (&it.module, it.kind, it.hash.to_string()),
            SumContent::Dropped(module) => (module, Kind::Mod, hash_go_mod(b"").to_string()),
            SumContent::Malformed { text, .. } => {
                assert!(text.as_ref().is_none_or(|text| text.chars().count() <= 200));
                continue;
            }
        };
        let suffix = if kind == Kind::Mod { "/go.mod" } else { "" };
        let again = parse_go_sum(format!("{} {}{suffix} {hash}", module.path, module.version).as_bytes());
        assert!(matches!(&again[..], [again] if again.content == line.content), "{line:?} became {again:?}");
    }
}

/// The readers of a go.mod agree with each other, and its directives print as equal ones.
pub fn gomod(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let count = text.split('\n').count();
    let in_text = |line: u32| (1..=count).contains(&usize::try_from(line).expect("32 bits are no more than a word"));
    let lines = gomod::toolchain_lines(text);
    assert!(lines.iter().all(|line| in_text(line.line)) && lines.is_sorted_by_key(|line| line.line));
    let retracted = gomod::retractions(text).expect("a seed is too small for so many");
    assert!(retracted.iter().all(|one| one.low.precedence(&one.high).is_gt() || one.covers(&one.low)));
    let (file, errors) = GoMod::read(bytes);
    assert!(errors.first.iter().all(|error| in_text(error.line)) && errors.first.len() <= errors.count);
    assert!(file.retractions.len() <= retracted.len() && file.requires.iter().all(|require| in_text(require.line)));
    if errors.count == 0 {
        assert!(file.retractions == retracted && gomod::names_a_module(text));
    }
    let words = file.requires.iter().map(|require| &require.path);
    if words
        .chain(file.replaces.iter().flat_map(|replace| [&replace.old.0, &replace.new.0]))
        .any(|word| is_unprintable(word))
    {
        return;
    }
    let pairs = |file: &GoMod| -> Vec<_> {
        let required =
            file.requires.iter().map(|one| (one.path.clone(), Some(one.version.clone()), String::new(), None));
        let replaced = file
            .replaces
            .iter()
            .map(|one| (one.old.0.clone(), one.old.1.clone(), one.new.0.clone(), one.new.1.clone()));
        required.chain(replaced).collect()
    };
    let version = |version: &Option<String>| version.clone().unwrap_or_default();
    let written = pairs(&file).into_iter().map(|(old, of_old, new, of_new)| match &*new {
        "" => format!("require \"{old}\" {}\n", version(&of_old)),
        new => format!("replace \"{old}\" {} => \"{new}\" {}\n", version(&of_old), version(&of_new)),
    });
    let (again, errors) = GoMod::read(format!("module a\n{}", written.collect::<String>()).as_bytes());
    assert_eq!((pairs(&again), errors.count), (pairs(&file), 0));
}

/// Whether a word cannot be written in `"` without escapes.
fn is_unprintable(word: &str) -> bool {
    word.contains(['"', '\\', '\n', '\r'])
}

/// The folders of a workspace print as equal ones.
pub fn gowork(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (found, errors) = GoWork::read(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    assert!(found.uses.is_empty() || gomod::may_be_a_workspace(text));
    assert!(errors.first.len() <= errors.count);
    if found.uses.iter().any(|used| is_unprintable(&used.folder)) {
        return;
    }
    let folders = |work: &GoWork| work.uses.iter().map(|used| used.folder.clone()).collect::<Vec<_>>();
    let written = folders(&found).into_iter().map(|folder| format!("use \"{folder}\"\n")).collect::<String>();
    let (again, errors) = GoWork::read(written.as_bytes());
    assert_eq!((folders(&again), errors.count), (folders(&found), 0));
}

/// Errors have a position in the file, and messages without control characters.
fn assert_positions(text: &str, errors: &Diagnostics) {
    let lines = u32::try_from(text.matches('\n').count() + 1).expect("a small text");
    assert!(!errors.0.is_empty());
    for one in &errors.0 {
        assert!((1..=lines).contains(&one.line) && one.column >= 1, "{errors}");
        assert!(!one.words.contains(char::is_control), "{errors}");
    }
}

/// Asserts that a policy is not looser than itself, and that a comment changes nothing.
pub fn policy(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match policy::parse(text) {
        Err(errors) => assert_positions(text, &errors),
        Ok(policy) if text.len() < MAX_FILE - 8 => {
            assert_eq!(policy::loosened(&policy, &policy), [""; 0]);
            assert_eq!(policy::parse(&format!("{text}\n# end\n")), Ok(policy));
        }
        Ok(_) => {}
    }
}

/// A comment does not change the settings.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match fuzzing::settings(text) {
        Err(errors) => assert_positions(text, &errors),
        Ok(settings) if text.len() < MAX_FILE - 8 => {
            assert_eq!(fuzzing::settings(&format!("{text}\n# end\n")), Ok(settings));
        }
        Ok(_) => {}
    }
}

/// Build information prints as equal build information.
pub fn buildinfo(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let info = BuildInfo::parse(text);
    let line = |kind: &str, module: &BuiltModule| {
        let h1 = module.h1.map(|h1| h1.to_string()).unwrap_or_default();
        format!("\t{kind}\t{}\t{}\t{h1}\n", module.path, module.version)
    };
    let modules = info.main.iter().map(|main| ("mod", main)).chain(info.dependencies.iter().map(|one| ("dep", one)));
    let written = modules.map(|(kind, module)| {
        let stands: String = module.replaced_by.iter().map(|stands| line("=>", stands)).collect();
        line(kind, module) + &stands
    });
    assert_eq!(BuildInfo::parse(&written.collect::<String>()), info);
}

/// A manifest prints as an equal one.
pub fn manifest(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(written) = fuzzing::manifest(text) {
        assert_eq!(fuzzing::manifest(&written), Some(written));
    }
}

/// A host never gets the login of another host or the default login.
pub fn netrc(bytes: &[u8]) {
    const HOST: &str = "a.example";
    const URL: &str = "https://a.example/team/x";
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some((login, password)) = fuzzing::netrc(text, URL) {
        for word in ["machine", &login, &password] {
            assert!(text.split_whitespace().any(|one| one == word), "{word:?} is not in the file");
        }
    }
    assert_eq!(fuzzing::netrc(&format!("default\n{text}"), URL), None);
    let first = fuzzing::netrc(&format!("machine {HOST}/team/x login me password mine\n{text}"), URL);
    assert_eq!(first, Some(("me".to_owned(), "mine".to_owned())));
}

/// The logins of a GOAUTH command print as an output with the same logins.
pub fn goauth(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(written) = fuzzing::goauth(text) {
        assert_eq!(fuzzing::goauth(&written), Some(written));
    }
}

/// The kept heads are in the order of time, and are all kept when read again.
pub fn heads(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // In 2026, between the known tree sizes, and at both ends of time.
    for now in [0, 1_770_000_000, 1_780_272_000, u64::from(u32::MAX)] {
        let kept = fuzzing::heads(text, now);
        let times = kept.lines().map(|line| line.split(' ').next().and_then(|time| time.parse::<u64>().ok()));
        assert!(times.is_sorted() && kept.lines().count() <= text.lines().count());
        assert_eq!(fuzzing::heads(&kept, now), kept);
    }
}

/// The kept times are lines of the file, and are all kept when read again.
pub fn first_asked(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let kept = fuzzing::first_asked(text);
    assert!(kept.lines().count() <= text.lines().count());
    assert_eq!(fuzzing::first_asked(&kept), kept);
}
