//! An inclusion proof as text, from the leaf to the root.

use tlog::Side;

use crate::sumdb::Inclusion;

/// The lines of the drawing. A computed hash is that of the two hashes above it; the sibling is on the side that it names.
pub(super) fn drawing(proof: &Inclusion) -> Vec<String> {
    let mut lines = vec![format!("● {}  leaf: record {}, computed here", proof.leaf, proof.id)];
    for step in &proof.steps {
        let side = if step.side == Side::Left { "left" } else { "right" };
        lines.push(format!("├ {}  {side} sibling, level {}, from the log", step.sibling, step.level));
        lines.push(format!("● {}", step.computed));
    }
    if let Some(root) = lines.last_mut() {
        let end = format!("  root of {} records, signed by {}", proof.head.size, proof.signer);
        root.push_str(&end);
    }
    lines
}
