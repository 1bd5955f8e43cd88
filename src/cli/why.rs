//! `sumgate why M@V`: explains a version: record, age, policy decision, stored and pinned files, and the proof.

use std::path::Path;
use std::time::SystemTime;

use super::args::WhyArgs;
use super::exit::{Exit, Failure};
use super::lookup::{Asked, Prover, proved};
use super::proof_drawing::drawing;
use super::runtime::Runtime;
use super::{hash, out, pins, policy, progress};
use crate::audit::Audit;
use crate::base::fault::in_full;
use crate::base::text::safe;
use crate::policy::{Facts, Policy, day, in_words, judge};
use crate::store::Store;
use crate::sumdb::{Answer, Databases, Inclusion};
use gomodule::artifact::{Artifact, Kind};
use gomodule::dirhash::H1;
use gomodule::module::ModuleVersion;

/// The files of a version that have a hash.
const KINDS: [Kind; 2] = [Kind::Mod, Kind::Zip];

pub(super) fn run(args: &WhyArgs) -> Result<Exit, Failure> {
    let module = &args.module;
    let in_force = policy::in_force(args.policy.as_ref())?;
    let prover = Prover::of(&args.proof, in_force.as_ref().map(|(_, policy)| policy))?;
    let asked = prover.ask(module)?;
    let answer = if let Asked::Answer(answer) = &asked { Some(answer) } else { None };
    let Prover { store, databases, exempt } = prover;
    // The audit derives the facts for the policy from an answer.
    let audit = Audit { databases, exempt, at_once: 1, policy: None, base_policy: None, now: SystemTime::now() };
    let mut answers = Answers { module, exits: Vec::new(), text: format!("{module}\n") };
    answers.log(&asked);
    answers.age(&audit, answer);
    answers.policy(in_force.as_ref().map(|(path, policy)| (path.as_path(), policy)), &audit, answer);
    answers.here(&store, answer)?;
    answers.proof(&audit.databases, answer)?;
    out::deliver(&answers.text)?;
    Ok(Exit::worst(answers.exits))
}

/// The sections of the output, one after the other.
struct Answers<'a> {
    module: &'a ModuleVersion,
    exits: Vec<Exit>,
    text: String,
}

impl Answers<'_> {
    /// Adds a section: its name before the first line, further lines below.
    fn say(&mut self, name: &str, lines: &[String]) {
        for (nth, line) in lines.iter().enumerate() {
            let name = if nth == 0 { name } else { "" };
            self.text.push_str(&format!("  {name:<7} {}\n", safe(line)));
        }
    }

    fn log(&mut self, asked: &Asked) {
        let lines = match asked {
            Asked::Kept(pinned) => vec![
                format!("not looked up in the database: {} is pinned here, as a private module is", pinned.path),
                "name it with --nosumdb PATTERNS; if it is public now, forget its pins:".to_owned(),
                pinned.to_forget(),
            ],
            Asked::Exempt => {
                vec!["exempt: not looked up in the database (GONOSUMDB, GOPRIVATE or --nosumdb)".to_owned()]
            }
            Asked::Answer(Ok(record)) => {
                let hashes = record.proven().text().lines().map(str::to_owned);
                std::iter::once(proved(record)).chain(hashes).collect()
            }
            Asked::Answer(Err(error)) => {
                self.exits.push(error.fault().into());
                vec![in_full(&**error)]
            }
        };
        self.say("log", &lines);
    }

    fn age(&mut self, audit: &Audit, answer: Option<&Answer>) {
        let Some(Ok(record)) = answer else { return };
        let message = match audit.known_age(record) {
            Some(age) => format!("in the log for at least {}", in_words(age)),
            None => "unknown: this installation has not observed the log long enough".to_owned(),
        };
        self.say("age", &[message]);
    }

    fn policy(&mut self, in_force: Option<(&Path, &Policy)>, audit: &Audit, answer: Option<&Answer>) {
        let Some((path, policy)) = in_force else {
            return self.say("policy", &["none: there is no sumgate.toml at or above the working folder".to_owned()]);
        };
        let facts = audit.facts(policy, self.module, answer).unwrap_or_else(|| Facts::of(self.module.clone()));
        let (exit, message) = policy::decided(path, &judge(policy, &facts, day(audit.now)));
        self.exits.push(exit);
        self.say("policy", &[message]);
    }

    /// Stored and pinned files. Stored files must match the proved hash, or else the pinned one.
    fn here(&mut self, store: &Store, answer: Option<&Answer>) -> Result<(), Failure> {
        let (mut stored, mut pinned) = (Vec::new(), Vec::new());
        for kind in KINDS {
            let artifact = Artifact { module: self.module.clone(), kind };
            let pin = store.pins().of(&artifact)?;
            let expected = match answer {
                Some(Ok(record)) => record.h1(kind),
                _ => pin,
            };
            if let Some(line) = self.stored(store, &artifact, expected)? {
                stored.push(line);
            }
            pinned.extend(pin.map(|h1| pins::line(&(artifact, h1)).trim_end().to_owned()));
        }
        for (name, mut lines) in [("stored", stored), ("pinned", pinned)] {
            if lines.is_empty() {
                lines.push("nothing".to_owned());
            }
            self.say(name, &lines);
        }
        Ok(())
    }

    /// Draws the inclusion proof.
    fn proof(&mut self, databases: &Databases, answer: Option<&Answer>) -> Result<(), Failure> {
        let Some(Ok(record)) = answer else { return Ok(()) };
        let _line = progress::show("fetching the inclusion proof");
        let lines = match Runtime::start()?.block_on(Inclusion::among(databases, record)) {
            Some(Ok(proof)) => drawing(&proof),
            Some(Err(error)) => vec![format!("cannot be shown: {}", in_full(&*error))],
            None => return Ok(()),
        };
        self.say("proof", &lines);
        Ok(())
    }

    fn stored(&mut self, store: &Store, artifact: &Artifact, expected: Option<H1>) -> Result<Option<String>, Failure> {
        let Some(file) = store.tree().open_artifact(artifact)? else { return Ok(None) };
        let place = store.root().join("proxy").join(artifact.path());
        let hashed = match artifact.kind {
            Kind::Zip => hash::zip(&place, &file, self.module),
            Kind::Mod | Kind::Info => hash::go_mod(&place, file),
        };
        let (shown, is_right) = match hashed {
            Ok(h1) => (h1.to_string(), expected.is_none_or(|expected| expected == h1)),
            Err(failure) => (failure.to_string(), false),
        };
        let wrong = if is_right { "" } else { " (not the expected hash: the mirror will fetch it again)" };
        if !is_right {
            self.exits.push(Exit::Findings);
        }
        Ok(Some(format!("{} {shown}{wrong}", place.display())))
    }
}
