//! Figures with their noise and their bounds, as Markdown.

use std::fmt::Write as _;

/// What one bench shows.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    /// What was run, in sentences.
    pub(crate) what: String,
    pub(crate) figures: Vec<Figure>,
}

/// A row: the median of what was measured, and between which values that lay.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    name: String,
    unit: &'static str,
    decimals: usize,
    samples: Vec<f64>,
    bound: Option<Bound>,
}

/// A bound of the design; the median must keep it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Figure {
    /// Without a bound; `samples` in any order.
    pub(crate) fn new(name: impl Into<String>, unit: &'static str, mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        Self { name: name.into(), unit, decimals: 0, samples, bound: None }
    }

    /// Shown with so many decimals.
    pub(crate) const fn decimals(mut self, decimals: usize) -> Self {
        self.decimals = decimals;
        self
    }

    /// With a bound.
    pub(crate) const fn bound(mut self, bound: Bound) -> Self {
        self.bound = Some(bound);
        self
    }

    fn row(&self) -> String {
        let (unit, decimals) = (self.unit, self.decimals);
        let space = if unit.is_empty() { "" } else { " " };
        let shown = |value: f64| format!("{value:.decimals$}");
        let middle = percentile(&self.samples, 50.0);
        let measured = middle.map_or("?".into(), |value| format!("{}{space}{unit}", shown(value)));
        let spread = match self.samples.as_slice() {
            [least, .., most] => format!("{} to {} ({})", shown(*least), shown(*most), self.samples.len()),
            _ => "–".into(),
        };
        let (bound, verdict) = self.bound.map_or((String::from("–"), ""), |bound| {
            let (sign, value) = match bound {
                Bound::AtLeast(value) => ("≥", value),
                Bound::AtMost(value) => ("≤", value),
            };
            let verdict =
                if middle.is_some_and(|middle| bound.holds(middle)) { "met" } else { "**not met**" };
            (format!("{sign} {value}{space}{unit}"), verdict)
        });
        format!("| {} | {measured} | {spread} | {bound} | {verdict} |\n", self.name)
    }
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }
}

/// The page: what stands before all tables, then each with what was run.
pub(crate) fn render(head: &str, sections: &[Section]) -> String {
    let mut text = format!("# Benchmarks\n\n{head}\n");
    for Section { title, what, figures } in sections {
        let _ = write!(text, "\n## {title}\n\n{what}\n\n{COLUMNS}");
        figures.iter().for_each(|figure| text.push_str(&figure.row()));
    }
    text
}

/// The value below which `percent` of the sorted samples lie, or the one there (nearest rank).
pub(crate) fn percentile<T: Copy>(sorted: &[T], percent: f64) -> Option<T> {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts of samples are far below 2^52, and a percentage of one is not negative"
    )]
    let rank = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

const COLUMNS: &str = "| figure | measured | spread (of how many) | bound | |\n|---|---|---|---|---|\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_the_median_the_spread_and_whether_the_bound_is_met() {
        let figure = Figure::new("ratio", "%", vec![91.0, 88.0, 90.4]).bound(Bound::AtLeast(90.0));
        assert_eq!(figure.row(), "| ratio | 90 % | 88 to 91 (3) | ≥ 90 % | met |\n");
        let figure = Figure::new("size", "MiB", vec![25.04]).decimals(1).bound(Bound::AtMost(25.0));
        assert_eq!(figure.row(), "| size | 25.0 MiB | – | ≤ 25 MiB | **not met** |\n");
        assert_eq!(Figure::new("count", "", vec![3.0]).row(), "| count | 3 | – | – |  |\n");
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let sorted: Vec<u32> = (1..=10).collect();
        for (percent, value) in [(0.0, 1), (50.0, 5), (90.0, 9), (99.0, 10), (100.0, 10)] {
            assert_eq!(percentile(&sorted, percent), Some(value), "{percent}");
        }
        assert_eq!(percentile::<u32>(&[], 50.0), None);
    }

    #[test]
    fn a_page_has_each_section_with_its_own_table() {
        let section = Section { title: "Size", what: "One file.".into(), figures: Vec::new() };
        let page = render("How.", &[section]);
        assert!(page.starts_with("# Benchmarks\n\nHow.\n\n## Size\n\nOne file.\n\n| figure |"), "{page}");
    }
}
