//! The configuration file: upstreams, private modules, and the table `[serve]` with flags of `sumgate serve` by their long names.
//!
//! The flags become defaults of the command line, so a flag and its environment variable take precedence. `run`, `cache fetch` and
//! `env` use those that they have, too: a module that is private for the mirror is private for them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::builder::Resettable;
use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::{Spanned, Value};

use super::args::tree;
use super::config::{self, PathSource};
use super::exit::Failure;
use crate::base::fault::Fault;
use crate::base::toml_file::{self, Diagnostics, unknown_key};
use crate::mirror::{BasePath, Hosts};
use crate::settings::Settings;
use crate::sumdb::Anchor;
use crate::upstream::ProxyList;

/// The flags that cannot be set in the file.
const ON_THE_COMMAND_LINE: [&str; 4] = ["check", "config", "help", "version"];
/// Flags with paths, which are relative to the folder of the file.
const PATHS: [&str; 4] = ["anchor", "data", "notify-secret", "policy"];

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    serve: BTreeMap<Spanned<String>, Spanned<Value>>,
    upstream: Option<IgnoredAny>,
}

/// The flags that say where the mirror is.
const ADDRESS: [&str; 2] = ["listen", "base-path"];

/// The flags that a command does not use from the file, which may be part of a checkout: a pull request must not choose the policy
/// of `run`, nor turn its rules off. `cache fetch` has no policy by default, so one in the file can only deny.
fn not_for(words: &[String]) -> &'static [&'static str] {
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["run"] => &["policy", "warn"],
        ["cache", "fetch"] => &["warn"],
        _ => &[],
    }
}

/// `command`, in which the flags are defaults of the command with the name `words` below it.
fn with_defaults(command: clap::Command, words: &[String], flags: &[&Flag]) -> clap::Command {
    let Some((word, below)) = words.split_first() else {
        return flags.iter().fold(command, |command, flag| flag.default_of(command));
    };
    command.mut_subcommand(word, |command| with_defaults(command, below, flags))
}

/// A flag with its values.
struct Flag {
    name: String,
    values: Vec<OsString>,
}

/// A configuration file, or none, which is the same as an empty one.
#[derive(Default)]
pub(super) struct ConfigFile {
    flags: Vec<Flag>,
    pub(super) settings: Settings,
}

impl ConfigFile {
    /// Reads a file. Reports all errors in it.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text = config::read_file("configuration", path, PathSource::Named)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        match (flags(&text, folder, |_| true), Settings::read(&text, folder)) {
            (Ok(flags), Ok(settings)) => Ok(Self { flags, settings }),
            (flags, settings) => {
                let wrong = [flags.err(), settings.err()].into_iter().flatten();
                let mut wrong: Vec<_> = wrong.flat_map(|wrong| wrong.0).collect();
                wrong.sort_by_key(|one| (one.line, one.column));
                // Both report that the file is not TOML.
                wrong.dedup();
                Err(Failure::new(Fault::Request, config::diagnostics_of(path, Diagnostics(wrong)).join("\n")))
            }
        }
    }

    /// Reads only where the mirror is. A mirror whose file became invalid answers with the settings of before, and its logins and
    /// policy need not be readable for a user who asks it.
    pub(super) fn read_address(path: &Path) -> Result<Self, Failure> {
        let text = config::read_file("configuration", path, PathSource::Named)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let flags = flags(&text, folder, |name| ADDRESS.contains(&name))
            .map_err(|wrong| Failure::new(Fault::Request, config::diagnostics_of(path, wrong).join("\n")))?;
        Ok(Self { flags, settings: Settings::default() })
    }

    /// `command`, in which the flags of the file are defaults of the command with the name `words` below it.
    pub(super) fn defaults_of(&self, command: clap::Command, words: &[String]) -> clap::Command {
        let unused = not_for(words);
        let flags: Vec<&Flag> = self.flags.iter().filter(|flag| !unused.contains(&flag.name.as_str())).collect();
        with_defaults(command, words, &flags)
    }

    /// The flags of the file that the command with this name has and does not use.
    pub(super) fn unused_by(&self, words: &[String]) -> impl Iterator<Item = &str> {
        let unused = not_for(words);
        self.flags.iter().map(|flag| flag.name.as_str()).filter(|name| unused.contains(name))
    }
}

impl Flag {
    /// `command`, in which this flag has a default, if it is one of the command.
    fn default_of(&self, command: clap::Command) -> clap::Command {
        let id = command.get_arguments().find(|arg| arg.get_long() == Some(&self.name)).map(|arg| arg.get_id().clone());
        match id {
            Some(id) => command.mut_arg(id, |arg| arg.default_values(self.values.clone())),
            None => command,
        }
    }
}

/// Parses those flags of `serve` in the text of a file in `folder` whose names are `wanted`.
fn flags(text: &str, folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<Flag>, Diagnostics> {
    let tree = tree()
        .mut_subcommand("serve", |serve| serve.mut_args(|arg| arg.env(Resettable::<clap::builder::OsStr>::Reset)));
    let serve =
        tree.find_subcommand("serve").map(|serve| serve.get_arguments().collect::<Vec<_>>()).unwrap_or_default();
    let known = |name: &&str| !ON_THE_COMMAND_LINE.contains(name);
    let names: Vec<&str> = serve.iter().filter_map(|arg| arg.get_long()).filter(known).collect();
    toml_file::read(text, "configuration", |reader, file: &File| {
        let mut flags = Vec::new();
        for (key, value) in file.serve.iter().filter(|(key, _)| wanted(key.get_ref())) {
            let name = key.get_ref().as_str();
            let arg = serve.iter().find(|arg| arg.get_long() == Some(name) && known(&name));
            let checked = match arg {
                None => Err((key.span(), unknown_key(name, &names))),
                Some(_) if name == "upstream" && file.upstream.is_some() => {
                    Err((key.span(), "upstreams given twice: here and as [[upstream]]".to_owned()))
                }
                Some(arg) => values(arg, value.get_ref(), folder)
                    .and_then(|values| check(&tree, name, arg, &values).map(|()| values))
                    .map_err(|message| (value.span(), message)),
            };
            match checked {
                Ok(values) => flags.push(Flag { name: name.to_owned(), values }),
                Err((at, message)) => reader.report(at.start, message),
            }
        }
        flags
    })
}

/// Converts a value of the file to command line arguments.
fn values(arg: &clap::Arg, value: &Value, folder: &Path) -> Result<Vec<OsString>, String> {
    let is_switch = !arg.get_action().takes_values();
    let name = arg.get_long().unwrap_or_default();
    let wrong = |found: &Value| format!("expected {}, found {}", expected(arg), kind(found));
    let text = |text: &str| match (name, text) {
        ("anchor", "none") => text.into(),
        _ if PATHS.contains(&name) => folder.join(text).into(),
        _ => OsString::from(text),
    };
    match value {
        Value::Boolean(set) if is_switch => Ok(vec![set.to_string().into()]),
        Value::String(one) if !is_switch => Ok(vec![text(one)]),
        Value::Array(many) if !is_switch => {
            many.iter().map(|one| one.as_str().map(text).ok_or_else(|| wrong(one))).collect()
        }
        other => Err(wrong(other)),
    }
}

/// What the value of a flag must be, with its default as an example.
fn expected(arg: &clap::Arg) -> String {
    if !arg.get_action().takes_values() {
        return "true or false".to_owned();
    }
    let example =
        arg.get_default_values().first().map(|value| value.to_string_lossy()).filter(|value| !value.is_empty());
    example.map_or("a string or a list of strings".to_owned(), |value| format!("a string, such as \"{value}\""))
}

/// The kind of a value, for messages.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date or time",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

/// Checks these values as the command line and the commands do.
fn check(tree: &clap::Command, name: &str, arg: &clap::Arg, values: &[OsString]) -> Result<(), String> {
    if !arg.get_action().takes_values() {
        return Ok(());
    }
    let flag =
        |value: &OsString| [OsString::from(format!("--{name}=")), value.clone()].into_iter().collect::<OsString>();
    let arguments = ["sumgate".into(), "serve".into()].into_iter().chain(values.iter().map(flag));
    match tree.clone().try_get_matches_from(arguments) {
        Ok(matches) => {
            // A value may be several: a list in one text.
            let serve = matches.subcommand_matches("serve");
            let raw = serve.and_then(|serve| serve.get_raw(arg.get_id().as_str()));
            meaning(name, raw.into_iter().flatten()).map_err(|failure| failure.to_string())
        }
        Err(error) => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            Err(line.trim_start_matches("error: ").to_owned())
        }
    }
}

/// Checks values that the command line leaves to the commands. Files must be readable.
fn meaning<'v>(name: &str, values: impl Iterator<Item = &'v OsStr>) -> Result<(), Failure> {
    let paths: Vec<PathBuf> = values.map(PathBuf::from).collect();
    let texts: Vec<String> = paths.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    let text = texts.first().map_or("", String::as_str);
    match name {
        "private" | "nosumdb" => config::patterns(name, text).map(drop),
        "sumdb" => config::databases(&texts).map(drop),
        "host" => Hosts::named(&texts).map(drop).map_err(Failure::usage),
        "base-path" => BasePath::parse(text).map(drop).map_err(Failure::usage),
        "upstream" => ProxyList::parse(text).map(drop).map_err(Failure::usage),
        "policy" => config::read_file("policy", Path::new(text), PathSource::Named).map(drop),
        "anchor" => Anchor::read(&paths).map(drop).map_err(Failure::usage),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

    use super::*;

    fn wrong(text: &str) -> String {
        flags(text, Path::new("/etc"), |_| true).err().map(|wrong| wrong.to_string()).unwrap_or_default()
    }

    #[test]
    fn errors_have_a_position_and_the_nearest_name() {
        for (text, message) in [
            ("hold_for = \"1s\"", "2:1: unknown key `hold_for`: did you mean `hold-for`?"),
            ("check = true", "2:1: unknown key `check`: expected one of "),
            ("listen = \"8080\"", "2:10: invalid value '8080' for '--listen <ADDR:PORT>'"),
            ("listen = 8080", "2:10: expected a string, such as \"127.0.0.1:8080\", found an integer"),
            ("listen = [\"127.0.0.1:1\", \"127.0.0.1:2\"]", "2:10: the argument '--listen <ADDR:PORT>' cannot be used"),
            ("offline = \"yes\"", "2:11: expected true or false, found a string"),
            ("data = 1", "2:8: expected a string or a list of strings, found an integer"),
            ("trusted-proxy = [\"x\"]", "2:17: invalid value 'x' for '--trusted-proxy <CIDR>'"),
            (
                "upstream = \"https://a.example\"\n[[upstream]]\nurl = \"https://b.example\"",
                "2:1: upstreams given twice",
            ),
        ] {
            let told = wrong(&format!("[serve]\n{text}\n"));
            assert!(told.starts_with(message), "{text}: {told}");
        }
        assert!(wrong("serve = 1\n").starts_with("1:9: "), "{}", wrong("serve = 1\n"));
    }

    #[test]
    fn every_flag_can_be_set_in_the_file() {
        let text = "[serve]\nlisten = \"127.0.0.1:1\"\nbase-path = \"/go\"\nnosumdb = \"a.example\"\nprivate = \"b.example\"\n\
                    host = [\"c\", \"d\"]\nignore-case-on = [\"github.com\"]\ntrusted-proxy = \"10.0.0.0/8\"\ndata = \"data\"\nanchor = [\"head\", \"p\"]\n\
                    sumdb = \"sum.golang.org\"\npolicy = \"p\"\noffline = true\nshow-private = false\nshared = false\nwarn = true\n\
                    upstream = \"https://a.example\"\nfresh-for = \"1s\"\nstale-for = \"1s\"\nabsent-for = \"1s\"\n\
                    hold-for = \"1s\"\ndatabase-timeout = \"1s\"\nidle-for = \"1s\"\n\
                    events-file-size = \"1MiB\"\nevents-files = \"1\"\nnotify = \"https://a.example\"\nnotify-secret = \"p\"\n\
                    log-format = \"json\"\nmax-head-age = \"1h\"\n";
        let folder = tempfile::tempdir().unwrap();
        for name in ["head", "p"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let found = flags(text, folder.path(), |_| true).unwrap_or_else(|wrong| panic!("{wrong}"));
        let tree = tree();
        let serve = tree.find_subcommand("serve").unwrap();
        let all = serve.get_arguments().filter_map(clap::Arg::get_long);
        for name in all.filter(|name| !ON_THE_COMMAND_LINE.contains(name)) {
            assert!(text.contains(&format!("\n{name} = ")), "{name}");
        }
        let of = |name: &str| found.iter().find(|flag| flag.name == name).unwrap().values.clone();
        let path = |name: &str| folder.path().join(name).into_os_string();
        assert_eq!((of("data"), of("anchor")), (vec![path("data")], vec![path("head"), path("p")]));
    }
}
