//! The flags of `sumgate serve` in the configuration file: the table `[serve]`, with the long names of the flags.
//!
//! They become defaults of the command line, so a flag and its environment variable take precedence.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use clap::builder::Resettable;
use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::{Spanned, Value};

use super::args::tree;
use super::config::{self, PathSource};
use super::exit::Failure;
use crate::base::fault::Fault;
use crate::base::toml_file::{self, Diagnostics, unknown_key};

/// The flags that cannot be set in the file.
const ON_THE_COMMAND_LINE: [&str; 4] = ["check", "config", "help", "version"];
/// Flags with paths, which are relative to the folder of the file.
const PATHS: [&str; 3] = ["anchor", "data", "policy"];

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    serve: BTreeMap<Spanned<String>, Spanned<Value>>,
    #[serde(default)]
    upstream: Vec<IgnoredAny>,
}

/// A flag with its values.
pub(super) struct Flag {
    id: clap::Id,
    values: Vec<OsString>,
}

/// The command line, with the flags of this file as defaults of `serve`.
pub(super) fn tree_with(path: &Path) -> Result<clap::Command, Failure> {
    let text = config::read_file("configuration", path, PathSource::Named)?;
    let flags = flags(&text, path.parent().unwrap_or(Path::new("")));
    let flags = flags.map_err(|wrong| Failure::new(Fault::Request, config::diagnostics_of(path, wrong).join("\n")))?;
    let with = |serve: clap::Command, flag: Flag| serve.mut_arg(flag.id, |arg| arg.default_values(flag.values));
    Ok(tree().mut_subcommand("serve", |serve| flags.into_iter().fold(serve, with)))
}

/// Parses the flags of `serve` in the text of a file in `folder`.
pub(super) fn flags(text: &str, folder: &Path) -> Result<Vec<Flag>, Diagnostics> {
    let tree = tree()
        .mut_subcommand("serve", |serve| serve.mut_args(|arg| arg.env(Resettable::<clap::builder::OsStr>::Reset)));
    let serve =
        tree.find_subcommand("serve").map(|serve| serve.get_arguments().collect::<Vec<_>>()).unwrap_or_default();
    let known = |name: &&str| !ON_THE_COMMAND_LINE.contains(name);
    let names: Vec<&str> = serve.iter().filter_map(|arg| arg.get_long()).filter(known).collect();
    toml_file::read(text, "configuration", |reader, file: &File| {
        let mut flags = Vec::new();
        for (key, value) in &file.serve {
            let name = key.get_ref().as_str();
            let arg = serve.iter().find(|arg| arg.get_long() == Some(name) && known(&name));
            let checked = match arg {
                None => Err((key.span(), unknown_key(name, &names))),
                Some(_) if name == "upstream" && !file.upstream.is_empty() => {
                    Err((key.span(), "upstreams given twice: here and as [[upstream]]".to_owned()))
                }
                Some(arg) => values(arg, value.get_ref(), folder)
                    .and_then(|values| check(&tree, name, arg, &values).map(|()| (arg, values)))
                    .map_err(|message| (value.span(), message)),
            };
            match checked {
                Ok((arg, values)) => flags.push(Flag { id: arg.get_id().clone(), values }),
                Err((at, message)) => reader.report(at.start, message),
            }
        }
        flags
    })
}

/// Converts a value of the file to command line arguments.
fn values(arg: &clap::Arg, value: &Value, folder: &Path) -> Result<Vec<OsString>, String> {
    let is_switch = !arg.get_action().takes_values();
    let expected = if is_switch { "true or false" } else { "a string or a list of strings" };
    let wrong = |found: &Value| format!("expected {expected}, found a value of type {}", found.type_str());
    let is_path = arg.get_long().is_some_and(|name| PATHS.contains(&name));
    let text = |text: &str| if is_path && text != "none" { folder.join(text).into() } else { OsString::from(text) };
    match value {
        Value::Boolean(set) if is_switch => Ok(vec![set.to_string().into()]),
        Value::String(one) if !is_switch => Ok(vec![text(one)]),
        Value::Array(many) if !is_switch => {
            many.iter().map(|one| one.as_str().map(text).ok_or_else(|| wrong(one))).collect()
        }
        other => Err(wrong(other)),
    }
}

/// Checks these values as the command line does.
fn check(tree: &clap::Command, name: &str, arg: &clap::Arg, values: &[OsString]) -> Result<(), String> {
    if !arg.get_action().takes_values() {
        return Ok(());
    }
    let flag =
        |value: &OsString| [OsString::from(format!("--{name}=")), value.clone()].into_iter().collect::<OsString>();
    let arguments = ["sumgate".into(), "serve".into()].into_iter().chain(values.iter().map(flag));
    match tree.clone().try_get_matches_from(arguments) {
        Ok(_) => Ok(()),
        Err(error) => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            Err(line.trim_start_matches("error: ").to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn wrong(text: &str) -> String {
        flags(text, Path::new("/etc")).err().map(|wrong| wrong.to_string()).unwrap_or_default()
    }

    #[test]
    fn errors_have_a_position_and_the_nearest_name() {
        for (text, message) in [
            ("hold_for = \"1s\"", "2:1: unknown key `hold_for`: did you mean `hold-for`?"),
            ("check = true", "2:1: unknown key `check`: expected one of "),
            ("listen = \"8080\"", "2:10: invalid value '8080' for '--listen <ADDR:PORT>'"),
            ("listen = 8080", "2:10: expected a string or a list of strings, found a value of type integer"),
            ("listen = [\"127.0.0.1:1\", \"127.0.0.1:2\"]", "2:10: the argument '--listen <ADDR:PORT>' cannot be used"),
            ("offline = \"yes\"", "2:11: expected true or false, found a value of type string"),
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
                    host = [\"c\", \"d\"]\ntrusted-proxy = \"10.0.0.0/8\"\ndata = \"data\"\nanchor = [\"none\", \"head\"]\n\
                    sumdb = \"sum.golang.org\"\npolicy = \"p\"\noffline = true\nshared = false\n\
                    upstream = \"https://a.example\"\nfresh-for = \"1s\"\nstale-for = \"1s\"\nabsent-for = \"1s\"\n\
                    hold-for = \"1s\"\nidle-for = \"1s\"\n";
        assert_eq!(wrong(text), "");
        let tree = tree();
        let serve = tree.find_subcommand("serve").unwrap();
        let all = serve.get_arguments().filter_map(clap::Arg::get_long);
        for name in all.filter(|name| !ON_THE_COMMAND_LINE.contains(name)) {
            assert!(text.contains(&format!("\n{name} = ")), "{name}");
        }
        let found = flags(text, Path::new("/etc")).unwrap();
        let of = |id: &str| found.iter().find(|flag| flag.id == id).unwrap().values.clone();
        assert_eq!((of("data"), of("anchor")), (vec!["/etc/data".into()], vec!["none".into(), "/etc/head".into()]));
    }
}
