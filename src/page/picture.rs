//! The picture of an inclusion proof as SVG, from the leaf at the bottom to the root at the top.
//!
//! Each node has its hash in full, as text that can be selected. Filled nodes were computed by this mirror; hollow ones are the
//! siblings from the log. There are no inline styles: the content security policy forbids them.

use maud::{Markup, html};
use tlog::{Hash, ProofStep, Side};

use super::layout::number;
use crate::sumdb::Inclusion;

/// The width of the drawing: that of a small phone, in which 44 characters of a hash fit.
const WIDTH: u32 = 344;
/// The x of left and right nodes, and of the text.
const LEFT: u32 = 9;
const RIGHT: u32 = 31;
const TEXT: u32 = 48;
/// The height of a line with a hash, and the space between two levels.
const LINE: u32 = 17;
const GAP: u32 = 13;
const TOP: u32 = 14;

/// Where a node is.
#[derive(Clone, Copy, Debug)]
struct Spot {
    x: u32,
    y: u32,
}

/// The place of each step of a drawing, from the top.
struct Rows<'p> {
    proof: &'p Inclusion,
    /// From the root down.
    steps: Vec<&'p ProofStep>,
}

impl Rows<'_> {
    /// The y of the sibling of a step; the node beside it is on the next line.
    fn top(nth: usize) -> u32 {
        TOP + LINE * 2 + GAP + u32::try_from(nth).unwrap_or_default() * (2 * LINE + GAP)
    }

    const fn root() -> Spot {
        Spot { x: u32::midpoint(LEFT, RIGHT), y: TOP + LINE }
    }

    fn sibling(&self, nth: usize) -> Spot {
        Spot { x: if self.steps[nth].side == Side::Left { LEFT } else { RIGHT }, y: Self::top(nth) }
    }

    fn node(&self, nth: usize) -> Spot {
        Spot { x: if self.steps[nth].side == Side::Left { RIGHT } else { LEFT }, y: Self::top(nth) + LINE }
    }

    /// The node that the pair of a step gives.
    fn parent(&self, nth: usize) -> Spot {
        nth.checked_sub(1).map_or(Self::root(), |above| self.node(above))
    }

    /// The hash of the node of a step: what the step below computed, or the leaf.
    fn lower(&self, nth: usize) -> &Hash {
        self.steps.get(nth + 1).map_or(&self.proof.leaf, |step| &step.computed)
    }

    /// The y of the last text, below the leaf.
    fn end(&self) -> u32 {
        self.steps.len().checked_sub(1).map_or(Self::root(), |last| self.node(last)).y + LINE + 1
    }
}

/// The drawing.
pub(super) fn picture(proof: &Inclusion) -> Markup {
    let rows = Rows { proof, steps: proof.steps.iter().rev().collect() };
    let (root, height) = (rows.steps.first().map_or(&proof.leaf, |step| &step.computed), rows.end() + 8);
    html! {
        svg.proof viewBox=(format!("0 0 {WIDTH} {height}")) width=(WIDTH) height=(height) role="group"
            aria-labelledby="proof-title" {
            title #proof-title { "Inclusion proof of record " (proof.id) ", from the root at the top to the leaf at the bottom" }
            @for nth in 0..rows.steps.len() {
                (edge(rows.parent(nth), rows.sibling(nth), "edge given"))
                (edge(rows.parent(nth), rows.node(nth), "edge path"))
            }
            text.label x=(TEXT) y=(TOP) { "root of " (number(proof.head.size.get())) " records, signed" }
            (computed(Rows::root(), root, "root", "Root, computed here; it is the signed one"))
            @for (nth, step) in rows.steps.iter().enumerate() {
                (given(rows.sibling(nth), step))
                @if nth + 1 == rows.steps.len() {
                    (computed(rows.node(nth), rows.lower(nth), "leaf", "Leaf: the hash of the record, computed here"))
                } @else {
                    (computed(rows.node(nth), rows.lower(nth), "computed", &format!("Node on level {}, computed here", step.level)))
                }
            }
            text.label x=(TEXT) y=(rows.end()) { "leaf: record " (number(proof.id.get())) }
        }
    }
}

fn edge(from: Spot, to: Spot, class: &str) -> Markup {
    html! { line class=(class) x1=(from.x) y1=(from.y) x2=(to.x) y2=(to.y) {} }
}

fn computed(at: Spot, hash: &Hash, role: &str, title: &str) -> Markup {
    html! {
        g.node.checked {
            title { (title) }
            circle cx=(at.x) cy=(at.y) r="5" {}
            path.tick d=(format!("M{} {}l2 2 3.4-4", at.x - 3, at.y)) {}
            text.hash x=(TEXT) y=(at.y + 4) data-role=(role) { (hash) }
        }
    }
}

fn given(at: Spot, step: &ProofStep) -> Markup {
    let (side, words) = match step.side {
        Side::Left => ("left", "Left"),
        Side::Right => ("right", "Right"),
    };
    html! {
        g.node.given {
            title { (words) " sibling on level " (step.level) ", from the log" }
            circle cx=(at.x) cy=(at.y) r="4" {}
            text.hash x=(TEXT) y=(at.y + 4) data-role="sibling" data-side=(side) data-level=(step.level) { (step.sibling) }
        }
    }
}
