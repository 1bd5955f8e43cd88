//! The page of a module version: what the log has, what the policy decides, what is stored, and the proof.

use maud::{Markup, html};

use super::layout::{State, bytes, copied, number, page, state};
use super::picture::picture;
use super::view::View;
use crate::base::fault::Fault;
use crate::mirror::{FileHere, LogAnswer, Look, ProvedAnswer};
use crate::policy::{Verdict, decided_in_words, in_words, rule_in_words};
use crate::sumdb::Inclusion;
use gomodule::artifact::Kind;
use gomodule::module::{ModulePath, ModuleVersion, Version};

/// The name of the policy for a reader: its path is the operator's.
pub(super) const POLICY: &str = "policy";

pub(super) fn module(view: &View, look: &Look) -> Markup {
    let title = look.module.to_string();
    let main = html! {
        h1.module { (look.module.path) wbr; span.version { "@" (look.module.version) } }
        (verdict(look))
        @if let LogAnswer::Proved(proved) = &look.log { (record(proved)) }
        (policy(look.policy.as_ref()))
        (files(&look.files))
        @if let LogAnswer::Proved(proved) = &look.log { (proof(proved)) }
    };
    page(view, "", &title, &title, &main)
}

/// What a link on another page gets, as long as nothing of the version is stored.
pub(super) fn not_looked_up(view: &View, module: &ModuleVersion) -> Markup {
    let title = module.to_string();
    let main = html! {
        h1.module { (module.path) wbr; span.version { "@" (module.version) } }
        p.lead { "You come from another page, and nothing of this version is stored here." }
        p { "A look at it asks the checksum database for its record: " a href=(view.module(&title)) { "look at " (title) } "." }
    };
    page(view, "", &title, &title, &main)
}

/// The stored versions of the modules on the way to a path.
pub(super) fn versions(view: &View, path: &str, found: &[(ModulePath, Vec<Version>)]) -> Markup {
    /// A reader looks at the newest ones; the list of the mirror has all.
    const MAX_SHOWN: usize = 50;
    let main = html! {
        h1.module { (path) }
        @if found.is_empty() {
            p.lead { "No version of it is stored here." }
            p { "Add a version: " code { (path) "@v1.2.3" } ". " code { "go list -m -versions " (path) } " prints those that exist." }
        } @else {
            p.lead { "Stored here. Choose a version to see its proof." }
        }
        @for (module, versions) in found {
            section {
                h2.plain { (module) }
                ul.versions {
                    @for version in versions.iter().take(MAX_SHOWN) {
                        li { a href=(view.module(&format!("{module}@{version}"))) { (version) } }
                    }
                }
                @if versions.len() > MAX_SHOWN { p.note { (versions.len() - MAX_SHOWN) " older ones are not listed." } }
            }
        }
    };
    page(view, "", path, path, &main)
}

/// The answer in one line.
fn verdict(look: &Look) -> Markup {
    let denial = look.policy.as_ref().and_then(|verdict| verdict.denial.as_ref());
    let (kind, text, more) = match (&look.log, denial) {
        (_, Some(denial)) => (
            State::Bad,
            "Refused by the policy".to_owned(),
            format!("Rule {}: {}. Use another version, or ask the owner of the policy.", denial.rule, denial.reason),
        ),
        (LogAnswer::Proved(proved), None) => (
            State::Good,
            "Proved".to_owned(),
            format!("Record {} of {}.", number(proved.record.proven().id().get()), proved.record.database()),
        ),
        (LogAnswer::Exempt, None) => (
            State::Doubtful,
            "Exempt".to_owned(),
            "No database is asked about it. Its files are pinned at their first download.".to_owned(),
        ),
        (LogAnswer::Failed(Fault::Absent, why), None) => (State::Bad, "No record".to_owned(), why.clone()),
        (LogAnswer::Failed(Fault::Refused, why), None) => (State::Bad, "Refused".to_owned(), why.clone()),
        (LogAnswer::Failed(_, why), None) => (State::Doubtful, "Not known now".to_owned(), why.clone()),
    };
    html! { p.lead { (state(kind, &text)) ". " (more) } }
}

fn record(proved: &ProvedAnswer) -> Markup {
    let record = &proved.record;
    let hash = |kind| {
        html! {
            @if let Some(h1) = record.h1(kind) { (copied(&h1.to_string())) } @else { "the record has none" }
        }
    };
    html! {
        section aria-labelledby="record" {
            h2 #record { "Record" }
            dl {
                dt { "Zip" } dd { (hash(Kind::Zip)) }
                dt { "go.mod" } dd { (hash(Kind::Mod)) }
                dt { "Number" } dd { (number(record.proven().id().get())) " of " (record.database()) }
                dt { "Age" }
                dd {
                    @if let Some(age) = proved.age { "in the log for at least " (in_words(age)) }
                    @else { "not known: this mirror has not observed the log long enough" }
                }
            }
        }
    }
}

fn policy(verdict: Option<&Verdict>) -> Markup {
    html! {
        section aria-labelledby="policy" {
            h2 #policy { "Policy" }
            @match verdict {
                None => p { "There is no policy." },
                Some(verdict) => {
                    p { (decided_in_words(verdict, POLICY)) }
                    @if !verdict.steps.is_empty() {
                        details {
                            summary { "Each rule" }
                            dl { @for step in &verdict.steps { dt { (step.rule.name()) } dd { (rule_in_words(step, POLICY)) } } }
                        }
                    }
                },
            }
        }
    }
}

fn files(files: &[FileHere]) -> Markup {
    html! {
        section aria-labelledby="stored" {
            h2 #stored { "Stored here" }
            dl {
                @for file in files {
                    dt { @if file.kind == Kind::Zip { "Zip" } @else { "go.mod" } }
                    dd {
                        @match &file.bytes {
                            Ok(Some(length)) => (bytes(*length)),
                            Ok(None) => "not stored",
                            Err(why) => { "cannot be read: " (why) }
                        }
                        @if let Some(upstream) = &file.upstream { ", from " (upstream) }
                        @if let Some(pin) = &file.pinned { div { "pinned on first use: " (copied(&pin.to_string())) } }
                    }
                }
            }
            p.note { "A stored file is hashed before it is served." }
        }
    }
}

fn proof(proved: &ProvedAnswer) -> Markup {
    html! {
        section aria-labelledby="proof" {
            h2 #proof { "Proof" }
            @match &proved.inclusion {
                Err(why) => p { "The proof cannot be shown: " (why) },
                Ok(inclusion) => (shown(proved, inclusion)),
            }
        }
    }
}

fn shown(proved: &ProvedAnswer, inclusion: &Inclusion) -> Markup {
    let siblings = inclusion.steps.len();
    html! {
        p {
            "The record is in the tree that " (inclusion.signer) " signed: its hash and " (siblings)
            @if siblings == 1 { " other hash" } @else { " other hashes" } " give the signed root."
        }
        ul.legend {
            li { svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true" {
                g.node.checked { circle cx="7" cy="7" r="5" {} path.tick d="M4 7l2 2 3.4-4" {} } } " computed by this mirror" }
            li { svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true" {
                g.node.given { circle cx="7" cy="7" r="4" {} } } " sibling, from the log" }
        }
        figure.proof tabindex="0" aria-label="Inclusion proof" { (picture(inclusion)) }
        details {
            summary { "Check it yourself" }
            p { "The leaf is SHA-256 of a zero byte and the text of the record, which ends with a line break:" }
            pre #record-text { (proved.record.proven().text()) }
            p {
                "Every node above is SHA-256 of a byte 1, the left hash and the right hash. Hashes are shown in base64. In a terminal: "
            }
            pre { (copied(&format!("sumgate why {}", proved.record.module()))) }
        }
    }
}
