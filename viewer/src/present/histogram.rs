//! A histogram as a table with bars.

use crate::analysis::{Bucket, By};

use super::report::title;
use super::screen::{Screen, View, period};
use super::style::{faint, heading};
use super::units;

/// Columns of the longest bar.
const BAR: u64 = 24;

/// The whole screen.
pub fn histogram_text(view: &View<'_>, by: By, buckets: &[Bucket]) -> String {
    let mut text = title(view.profile);
    let (what, basis) = match by {
        By::Size => ("Requested sizes of everything allocated", ""),
        By::Lifetime => ("Lifetimes, allocation to free", "blocks not freed stand beside, by the age they had reached"),
        By::Age => ("Ages of the blocks live", ""),
    };
    let moment = if by == By::Age { format!(" {}", view.moment()) } else { period(view.heap) };
    let basis = if basis.is_empty() { view.basis() } else { format!("{}; {basis}", view.basis()) };
    text.push_str(&format!("\n{} {}\n", heading(format!("{what}{moment}")), faint(format!("({basis})"))));
    if buckets.is_empty() {
        text.push_str("  nothing was recorded\n");
    } else {
        text.push_str(&table(by, buckets));
    }
    text.push_str(&view.warning_lines());
    text
}

fn table(by: By, buckets: &[Bucket]) -> String {
    let with_unfreed = by == By::Lifetime;
    let mut table = Screen::table(if with_unfreed { &[0, 1, 2, 3] } else { &[0, 1, 2] });
    let name = match by {
        By::Size => "size",
        By::Lifetime => "lifetime",
        By::Age => "age",
    };
    let mut header = vec![name, "blocks", "bytes"];
    if with_unfreed {
        header.push("not freed");
    }
    header.push("");
    table.set_header(header);
    let most = buckets.iter().map(|bucket| bucket.allocations.value).max().unwrap_or(0).max(1);
    for bucket in buckets {
        let mut cells =
            vec![range(by, bucket), units::measured_count(bucket.allocations), units::measured_bytes(bucket.bytes)];
        if with_unfreed {
            cells.push(bucket.unfreed_allocations.map(units::measured_count).unwrap_or_default());
        }
        cells.push(bar(bucket.allocations.value, most));
        table.add_row(cells);
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}

/// The bounds of a bucket: it holds its lower one and not the next one's.
fn range(by: By, bucket: &Bucket) -> String {
    let unit = match by {
        By::Size => units::bytes,
        By::Lifetime | By::Age => units::duration,
    };
    format!("{} … {}", unit(bucket.from), unit(bucket.to.saturating_add(1)))
}

fn bar(value: u64, most: u64) -> String {
    let length = u128::from(value) * u128::from(BAR) / u128::from(most.max(1));
    let length = usize::try_from(length).unwrap_or(0);
    if value > 0 && length == 0 { "▏".to_owned() } else { "█".repeat(length) }
}
