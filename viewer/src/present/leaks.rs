//! Every block that was never freed, by site. That it is live is a fact, not a verdict: caches are in this list too.

use super::report::{left_out, title};
use super::screen::{Screen, View};
use super::sites::SiteTable;
use super::style::{faint, heading};
use super::units;

/// Frames shown of each stack.
const FRAMES: usize = 12;

/// The whole screen.
pub fn leaks_text(view: &View<'_>, screen: Screen) -> String {
    let ranked = view.ranked();
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
    text.push_str(&faint("age: youngest … oldest block. Live is not leaked: what is kept on purpose is here too.\n"));
    let whole = view.summary.recorded_live.measure_bytes();
    text.push_str(
        &SiteTable { screen, view, max_frames: FRAMES, raw: view.raw_frames, ages: true, whole }.render(shown),
    );
    if shown.len() < ranked.len() {
        text.push_str(&format!("{}\n", faint(format!("{} more; --top 0 shows all", ranked.len() - shown.len()))));
    }
    text.push_str(&left_out(view));
    text.push_str(&view.warning_lines());
    text
}
