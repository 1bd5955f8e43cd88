//! The command tree: its grouped help, and suggestions for unknown commands.

use std::ffi::OsStr;

use clap::CommandFactory;
use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Args;
use crate::base::nearest::nearest;

/// The commands, as `--help` lists them.
const GROUPS: [(&str, &[&str]); 4] = [
    ("Serve and build", &["serve", "run", "env", "health"]),
    ("Check", &["audit", "doctor", "why", "verify", "hash"]),
    ("Data", &["report", "cache", "policy", "sumdb"]),
    ("Learn", &["demo", "completions", "man", "help"]),
];

/// The command line. clap lists subcommands in one group, so the top-level list is made here.
pub(in crate::cli) fn tree() -> clap::Command {
    let mut built = Args::command();
    built.build();
    let about = |name: &&str| built.find_subcommand(name).and_then(clap::Command::get_about).cloned();
    let line = |name: &&str| format!("  {name:<12} {}\n", about(name).unwrap_or_default());
    let group =
        |(title, names): &(&str, &[&str])| format!("{title}:\n{}\n", names.iter().map(line).collect::<String>());
    let list: String = GROUPS.iter().map(group).collect();
    without_empty_variables(Args::command())
        .help_template(format!("{{about}}\n\n{{usage-heading}} {{usage}}\n\n{list}Options:\n{{options}}{{after-help}}"))
}

/// An empty variable counts as unset, as in `go`: compose files and CI systems set variables that have no value to "".
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let reset = |arg: clap::Arg| {
        if arg.get_env().is_some_and(is_empty) { arg.env(Resettable::<clap::builder::OsStr>::Reset) } else { arg }
    };
    command.mut_args(reset).mut_subcommands(without_empty_variables)
}

/// The error for an unknown command: it suggests the full name of the most similar one.
pub(in crate::cli) fn unknown_command(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(found)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    let paths = paths(&Args::command(), "sumgate");
    let last = |path: &str| path.rsplit(' ').next().unwrap_or_default().to_owned();
    let names: Vec<String> = paths.iter().map(|path| last(path)).collect();
    let meant = nearest(found, names.iter().map(String::as_str));
    let meant = meant.and_then(|name| paths.iter().find(|path| last(path) == name));
    let hint = meant.map_or("see `sumgate --help`".to_owned(), |path| format!("did you mean `{path}`?"));
    Some(format!("expected a command, found `{found}`: {hint}"))
}

/// The error for a command of `run` without the `--` before it.
pub(in crate::cli) fn lacks_dashes(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(found)) = error.get(ContextKind::InvalidArg) else { return None };
    let is_word = error.kind() == ErrorKind::UnknownArgument && !found.starts_with('-');
    is_word.then(|| format!("expected `--` before the command, found `{found}`: write `sumgate run -- {found} ...`"))
}

/// The full names of all commands below the one named `before`.
fn paths(command: &clap::Command, before: &str) -> Vec<String> {
    let below = command.get_subcommands().flat_map(|command| {
        let path = format!("{before} {}", command.get_name());
        [vec![path.clone()], paths(command, &path)].concat()
    });
    below.collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn every_flag_has_help_and_no_two_collide() {
        tree().debug_assert();
    }

    #[test]
    fn the_help_lists_every_command_once_in_80_columns() {
        let help = tree().term_width(80).render_help().to_string();
        let (list, _) = help.split_once("Options:").unwrap();
        let mut built = Args::command();
        built.build();
        for command in built.get_subcommands() {
            let line = format!("  {:<12} {}\n", command.get_name(), command.get_about().unwrap());
            assert_eq!(list.matches(&line).count(), 1, "{line}{list}");
        }
        let lines = list.lines().filter(|line| line.starts_with("  "));
        assert_eq!(lines.count(), built.get_subcommands().count(), "{list}");
        assert!(help.lines().all(|line| line.len() <= 80), "{help}");
    }

    #[test]
    fn an_unknown_command_suggests_the_nearest_one() {
        for (arguments, meant) in [
            ("lookup", "`lookup`: did you mean `sumgate sumdb lookup`?"),
            ("pins list", "`pins`: did you mean `sumgate cache pins`?"),
            ("fetch -m go.sum", "`fetch`: did you mean `sumgate cache fetch`?"),
            ("export x", "`export`: did you mean `sumgate cache export`?"),
            ("import x", "`import`: did you mean `sumgate cache import`?"),
            ("keygen x", "`keygen`: did you mean `sumgate cache keygen`?"),
            ("verify-evidence x", "`verify-evidence`: did you mean `sumgate verify`?"),
            ("cache fetsh", "`fetsh`: did you mean `sumgate cache fetch`?"),
            ("xyzzy", "`xyzzy`: see `sumgate --help`"),
        ] {
            let arguments = format!("sumgate {arguments}");
            let error = tree().try_get_matches_from(arguments.split(' ')).unwrap_err();
            assert_eq!(unknown_command(&error).unwrap(), format!("expected a command, found {meant}"), "{arguments}");
        }
        let other = tree().try_get_matches_from(["sumgate", "serve", "--xyzzy"]).unwrap_err();
        assert_eq!(unknown_command(&other), None);
    }

    #[test]
    fn a_command_of_run_needs_dashes() {
        let said = |words: &[&str]| lacks_dashes(&tree().try_get_matches_from(words).unwrap_err());
        let expected = "expected `--` before the command, found `go`: write `sumgate run -- go ...`";
        assert_eq!(said(&["sumgate", "run", "go", "build", "./..."]).as_deref(), Some(expected));
        assert_eq!(said(&["sumgate", "run", "--xyzzy", "--", "go"]), None);
    }

    #[test]
    fn every_example_can_be_parsed_and_every_command_has_one() {
        fn examples(command: &clap::Command, found: &mut Vec<String>) {
            let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            let lines =
                help.split_once("Examples:\n").map(|(_, lines)| lines.lines().map(|line| line.trim().to_owned()));
            let before = found.len();
            found.extend(lines.into_iter().flatten());
            let is_group = command.has_subcommands();
            assert!(is_group || (1..=3).contains(&(found.len() - before)), "{} has no example", command.get_name());
            command.get_subcommands().for_each(|below| examples(below, found));
        }
        let mut found = Vec::new();
        examples(&tree(), &mut found);
        for example in found {
            assert!(tree().try_get_matches_from(example.split(' ')).is_ok(), "{example}");
        }
    }
}
