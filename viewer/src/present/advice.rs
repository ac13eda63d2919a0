//! One line on what to look at next.

use crate::model::EndKind;
use crate::replay::Moment;

use super::safe::safe;
use super::screen::View;
use super::units;

/// A part of the peak that is worth a look at the peak instead of the end.
const WELL_BELOW: u64 = 2;

/// The command that most likely answers the next question.
pub(crate) fn advice(view: &View<'_>) -> String {
    let path = quoted(&view.profile.path.to_string_lossy());
    let live = view.summary.totals.live_bytes.value;
    let peak = view.summary.peak.live_bytes.value;
    let rss = view.profile.ticks.last().map_or(0, |tick| tick.process.rss_bytes);
    if view.profile.end.kind == EndKind::Detached {
        return "the agent gave up before the end: see why above, and record again".to_owned();
    }
    if view.heap.options.moment == Moment::End && peak / WELL_BELOW > live {
        return format!("the peak was {}: plimsoll report {path} --at peak", units::bytes(peak));
    }
    // RSS holds the program's text and stacks too, which are small beside this.
    if rss > live.saturating_mul(2).saturating_add(64 << 20) {
        return format!(
            "{} of RSS are not live heap (allocator's reserve, files, stacks, C code); what was live: plimsoll flamegraph {path} --of live",
            units::bytes(rss.saturating_sub(live))
        );
    }
    format!("plimsoll leaks {path}, or plimsoll flamegraph {path} --of leaks for a picture")
}

/// A path as a shell would need it.
fn quoted(path: &str) -> String {
    let plain = path.chars().all(|character| character.is_ascii_alphanumeric() || "/._-+=:,@".contains(character));
    if plain { path.to_owned() } else { format!("'{}'", safe(path).replace('\'', r"'\''")) }
}
