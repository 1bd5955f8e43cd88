//! A measure: what something costs, for several sizes of it.

/// The cost by size, in several units.
pub(crate) struct Measure {
    pub(crate) title: &'static str,
    /// What the size counts.
    pub(crate) size: &'static str,
    pub(crate) panels: Vec<Panel>,
}

/// The lines of one unit.
pub(crate) struct Panel {
    /// What is measured, and its unit.
    pub(crate) unit: &'static str,
    pub(crate) lines: Vec<Line>,
}

/// The cost of one thing by size.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) points: Vec<(usize, f64)>,
}

impl Line {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, points: Vec::new() }
    }
}

impl Measure {
    /// A table with a column for each size.
    pub(crate) fn table(&self) -> String {
        let mut lines =
            self.panels.iter().flat_map(|panel| panel.lines.iter().map(|line| (panel.unit, line))).peekable();
        let sizes = lines.peek().map_or(&[][..], |(_, line)| &line.points);
        let sizes: Vec<String> = sizes.iter().map(|(size, _)| thousands(*size)).collect();
        let mut table = format!("| {} | {} |\n|---|{}\n", self.size, sizes.join(" | "), "---|".repeat(sizes.len()));
        for (unit, line) in lines {
            let values: Vec<String> = line.points.iter().map(|(_, value)| short(*value)).collect();
            table += &format!("| {}: {unit} | {} |\n", line.name, values.join(" | "));
        }
        table
    }
}

/// A number with commas.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

/// Three digits, or all before the point.
fn short(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
