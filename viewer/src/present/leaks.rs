//! Every block that is live, by site and verdict: what leaks comes first, what is kept on purpose is here too.

use crate::analysis::verdict::Class;
use crate::model::Tally;
use crate::view::Group;

use super::report::{left_out, title};
use super::screen::{Screen, View};
use super::sites::SiteTable;
use super::style::{faint, heading, warning};
use super::suppressed::suppressed_lines;
use super::units;
use super::verdict::meaning;

/// Frames shown of each stack.
const FRAMES: usize = 12;

/// The whole screen.
pub fn leaks_text(view: &View<'_>, screen: Screen) -> String {
    let ranked = view.ranked_by_verdict();
    let shown = view.top(&ranked);
    let mut text = title(view.profile);
    let live = view.live();
    text.push_str(&format!(
        "\n{} {}\n",
        heading(format!(
            "Live {}: {} in {} from {}",
            view.moment(),
            units::measured_bytes(live.measure_bytes()),
            units::measured_things(live.measure_blocks(), "block"),
            units::things(ranked.len(), view.by.name()),
        )),
        faint(format!("({})", view.basis()))
    ));
    text.push_str(&faint("age: youngest … oldest block. --explain N shows the evidence for a site.\n"));
    let whole = view.summary.recorded_live.measure_bytes();
    for class in Class::ALL {
        let of_class = |group: &&&Group| group.verdict.as_ref().is_some_and(|verdict| verdict.class == class);
        let all: Vec<&Group> = ranked.iter().filter(of_class).copied().collect();
        if all.is_empty() {
            continue;
        }
        text.push_str(&format!("\n{}\n", class_line(view, class, &all)));
        let listed: Vec<&Group> = shown.iter().filter(of_class).copied().collect();
        if listed.is_empty() {
            continue;
        }
        let first = 1 + ranked.iter().position(|group| std::ptr::eq(*group, listed[0])).unwrap_or(0);
        let table = SiteTable { screen, view, max_frames: FRAMES, raw: view.raw_frames, ages: true, first, whole };
        text.push_str(&table.render(&listed));
    }
    if shown.len() < ranked.len() {
        text.push_str(&format!("{}\n", faint(format!("{} more; --top 0 shows all", ranked.len() - shown.len()))));
    }
    text.push_str(&view.selection_line(&ranked));
    text.push_str(&left_out(view));
    text.push_str(&suppressed_lines(view));
    text.push_str(&view.warning_lines());
    text
}

/// `leak: grows and does not stop – 2 sites, 12.0 MiB`.
fn class_line(view: &View<'_>, class: Class, groups: &[&Group]) -> String {
    let mut sum = Tally::new(view.heap.interval_bytes);
    groups.iter().for_each(|group| sum += group.live);
    let name = if class == Class::Leak { warning(class.name()).to_string() } else { heading(class.name()).to_string() };
    format!(
        "{name}: {} – {}, {}",
        meaning(class),
        units::things(groups.len(), view.by.name()),
        units::measured_bytes(sum.measure_bytes())
    )
}
