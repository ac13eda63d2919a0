//! The one walk that all stack formats are written from: each site with its shown stack, its figures and its verdict.

use crate::analysis::Summary;
use crate::analysis::verdict::Verdict;
use crate::model::{Measure, Profile, Tally};
use crate::replay::{Heap, Site};
use crate::symbolize::{Frame, Symbolizer};
use crate::view::{GroupBy, Grouping, ViewOptions, root_of};

/// Sites as they are exported.
pub struct Walk<'a> {
    /// The capture.
    pub profile: &'a Profile,
    /// Its heap.
    pub heap: &'a Heap,
    /// Sites with equal stacks, with their verdicts when asked for.
    pub grouping: Grouping,
    /// By the number of a site in the heap.
    roots: Vec<Option<String>>,
    rest: Option<Rest>,
}

/// What exact counters know of and no site holds: what was allocated before the session, or could not be recorded.
struct Rest {
    frames: [Frame; 1],
    live: Tally,
    at_peak: Tally,
    total: Tally,
}

/// One line of an export: what a site holds.
pub struct Row<'a> {
    /// Its position in [`Heap::sites`]; `None` for what no site holds.
    pub at: Option<usize>,
    /// The site.
    pub site: Option<&'a Site>,
    /// The shown stack, innermost call first.
    pub frames: &'a [Frame],
    /// What the stack stands on, as `--by` says.
    pub root: Option<&'a str>,
    /// Of all sites with this stack together.
    pub verdict: Option<&'a Verdict>,
    /// Live at the moment chosen.
    pub live: Tally,
    /// Live at the peak.
    pub at_peak: Tally,
    /// Everything allocated.
    pub total: Tally,
    /// Freed at once; `None` where that is not known.
    pub temporary: Option<Tally>,
}

impl<'a> Walk<'a> {
    /// Looks at a heap.
    pub fn new(
        profile: &'a Profile,
        heap: &'a Heap,
        symbolizer: &mut Symbolizer<'_>,
        options: &ViewOptions,
    ) -> Walk<'a> {
        let by_site = ViewOptions { by: GroupBy::Site, ..options.clone() };
        let grouping = Grouping::new(profile, heap, symbolizer, &by_site);
        let mut roots = vec![None; heap.sites.len()];
        for group in &grouping.groups {
            for at in &group.sites {
                let (Some(site), Some(root)) = (heap.sites.get(*at), roots.get_mut(*at)) else { continue };
                *root = root_of(profile, symbolizer, site, &group.frames, options.by);
            }
        }
        Walk { profile, heap, grouping, roots, rest: None }
    }

    /// Judges the sites, so that rows have verdicts.
    pub fn judge(&mut self) {
        self.grouping.judge(self.profile, self.heap);
    }

    /// Adds what exact counters know of and no site holds as a row of its own, so that the rows' sums are the totals of
    /// the report. Nothing is added to a part of a capture, to estimates, or where the counters do not know for certain.
    pub fn with_rest(mut self, summary: &Summary) -> Walk<'a> {
        let (heap, totals) = (self.heap, &summary.totals);
        let measures = [totals.bytes, totals.allocations, totals.live_bytes, totals.live_allocations];
        let is_all = heap.options.is_whole() && self.grouping.left_out == 0;
        if !is_all || !self.profile.is_exact() || !measures.into_iter().all(Measure::is_exact) {
            return self;
        }
        let beside = |blocks: u64, bytes: u64, sites: Tally| {
            Tally::exact(blocks.saturating_sub(sites.blocks), bytes.saturating_sub(sites.bytes))
        };
        let total = beside(totals.allocations.value, totals.bytes.value, summary.recorded);
        let peak_bytes = heap.peak.live_bytes.value.saturating_sub(heap.peak.recorded.bytes);
        // How many blocks of the time before the session lived at the peak is not known.
        let at_peak = Tally::exact(u64::from(peak_bytes > 0), peak_bytes);
        let live = match heap.options.moment {
            crate::replay::Moment::Peak => at_peak,
            _ => beside(totals.live_allocations.value, totals.live_bytes.value, summary.recorded_live),
        };
        if !total.is_empty() || !live.is_empty() {
            let frames = [Frame::marker("[in no site: from before the session, or not recorded]")];
            self.rest = Some(Rest { frames, live, at_peak, total });
        }
        self
    }

    /// All rows, those with equal stacks one after another.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let of_groups = self.grouping.groups.iter().flat_map(move |group| {
            group.sites.iter().filter_map(move |at| {
                let site = self.heap.sites.get(*at)?;
                Some(Row {
                    at: Some(*at),
                    site: Some(site),
                    frames: &group.frames,
                    root: self.roots.get(*at).and_then(Option::as_deref),
                    verdict: group.verdict.as_ref(),
                    live: site.live,
                    at_peak: site.at_peak,
                    total: site.total,
                    temporary: site.temporary,
                })
            })
        });
        of_groups.chain(self.rest.iter().map(|rest| Row {
            at: None,
            site: None,
            frames: &rest.frames,
            root: None,
            verdict: None,
            live: rest.live,
            at_peak: rest.at_peak,
            total: rest.total,
            temporary: None,
        }))
    }

    /// The sum of a figure over all rows.
    pub fn sum(&self, figure: impl Fn(&Row<'_>) -> Tally) -> Tally {
        let mut sum = Tally::new(self.heap.interval_bytes);
        self.rows().for_each(|row| sum += figure(&row));
        sum
    }

    /// How the numbers were come by, in a sentence for places that take a comment.
    pub fn basis(&self) -> String {
        match self.profile.is_exact() {
            true => "exact".to_owned(),
            false => format!(
                "estimates from one sample per {} bytes; unbiased, with an error that small figures have most of",
                self.heap.interval_bytes
            ),
        }
    }
}

impl Row<'_> {
    /// Names from the outermost call to the innermost, with what they stand on.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.root.iter().map(|root| (*root).to_owned()).chain(self.frames.iter().rev().map(Frame::name))
    }
}
