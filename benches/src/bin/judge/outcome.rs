//! Holds a verdict against the truth.

use plimsoll_benches::judged::Class;
use plimsoll_benches::judged::told::ToldSite;

use super::row::{Row, Verdicts};

/// What became of one truth in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Outcome {
    /// The class that is true, or one that is as true; or nothing is live, and so nothing said.
    Right,
    /// Too little evidence where that is so: a short capture, or few samples.
    Modest,
    /// A healthy class, but not the true one.
    OtherClass,
    /// A leak that is too small or too young to be sure of, called something else.
    Overlooked,
    /// The capture holds nothing but a straight line: whatever is said.
    Blind,
    /// A leak that had to be found, and was not.
    Missed,
    /// A healthy site called a leak.
    Accused,
    /// Too little evidence where there was enough.
    Unsure,
}

impl Outcome {
    /// Whether the aim is missed.
    pub(crate) fn fails(self) -> bool {
        matches!(self, Outcome::Missed | Outcome::Accused | Outcome::Unsure)
    }
}

/// Whether the evidence for this truth must suffice.
pub(crate) fn is_due(site: &ToldSite, interval_bytes: u64) -> bool {
    let enough = match site.class {
        Class::Leak => site.is_large_enough(interval_bytes),
        _ => !site.is_small(interval_bytes),
    };
    site.known && enough
}

/// What becomes of this truth, given these verdicts.
pub(crate) fn judge(site: &ToldSite, verdicts: &Verdicts, interval_bytes: u64) -> Outcome {
    if site.is_straight(interval_bytes) {
        return Outcome::Blind;
    }
    let due = is_due(site, interval_bytes);
    if site.class == Class::Leak {
        return match verdicts.main {
            Some(Class::Leak) => Outcome::Right,
            _ if due => Outcome::Missed,
            Some(Class::TooLittleEvidence) | None => Outcome::Modest,
            Some(_) => Outcome::Overlooked,
        };
    }
    match verdicts.main {
        _ if verdicts.all.contains_key(&Class::Leak) => Outcome::Accused,
        Some(Class::TooLittleEvidence) if due => Outcome::Unsure,
        Some(Class::TooLittleEvidence) => Outcome::Modest,
        Some(class) if class != site.class && !site.also.contains(&class) => Outcome::OtherClass,
        _ => Outcome::Right,
    }
}

/// Every outcome of a run; sites that no truth names can only be accused.
pub(crate) fn of_row(row: &Row) -> impl Iterator<Item = (String, Outcome)> {
    let named = row.told.sites.iter().zip(&row.verdicts);
    let named = named.map(|(site, verdicts)| (site.function.clone(), judge(site, verdicts, row.interval_bytes)));
    named.chain(row.accused.iter().map(|stack| (stack.clone(), Outcome::Accused)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn site(class: Class) -> ToldSite {
        ToldSite {
            function: "f".into(),
            class,
            also: vec![Class::Bounded],
            known: true,
            blind: false,
            slowing_bytes: 0.0,
            filling_block_bytes: 0.0,
            leak_bytes_per_s: 0.0,
            growth_bytes: 100.0 * 4096.0,
            noise_bytes: 4096.0,
            late: false,
            usual_bytes: 100.0 * 4096.0,
            peak_bytes: 100.0 * 4096.0,
        }
    }

    fn said(class: Class) -> Verdicts {
        Verdicts { main: Some(class), all: BTreeMap::from([(class, 1)]), ..Verdicts::default() }
    }

    #[test]
    fn what_fails_is_a_leak_missed_a_site_accused_and_evidence_refused() {
        let cases = [
            (Class::Leak, Class::Leak, Outcome::Right),
            (Class::Leak, Class::Churn, Outcome::Missed),
            (Class::Leak, Class::TooLittleEvidence, Outcome::Missed),
            (Class::Churn, Class::Churn, Outcome::Right),
            (Class::Churn, Class::Bounded, Outcome::Right),
            (Class::Churn, Class::OneShot, Outcome::OtherClass),
            (Class::Churn, Class::Leak, Outcome::Accused),
            (Class::Churn, Class::TooLittleEvidence, Outcome::Unsure),
        ];
        for (truth, verdict, expected) in cases {
            assert_eq!(judge(&site(truth), &said(verdict), 4096), expected, "{truth:?} {verdict:?}");
        }
    }

    #[test]
    fn a_short_or_small_one_need_not_be_known_and_is_never_to_be_accused() {
        let short = |class| ToldSite { known: false, ..site(class) };
        let small = |class| ToldSite { growth_bytes: 4096.0, usual_bytes: 4096.0, ..site(class) };
        for site in [short(Class::Leak), small(Class::Leak)] {
            assert_eq!(judge(&site, &said(Class::TooLittleEvidence), 4096), Outcome::Modest);
            assert_eq!(judge(&site, &said(Class::Churn), 4096), Outcome::Overlooked);
        }
        for site in [short(Class::Churn), small(Class::Churn)] {
            assert_eq!(judge(&site, &said(Class::TooLittleEvidence), 4096), Outcome::Modest);
            assert_eq!(judge(&site, &said(Class::Leak), 4096), Outcome::Accused);
        }
        // What is small when sampled is not when every byte is recorded.
        assert_eq!(judge(&small(Class::Churn), &said(Class::TooLittleEvidence), 1), Outcome::Unsure);
        let blind = ToldSite { blind: true, ..short(Class::Bounded) };
        assert_eq!(judge(&blind, &said(Class::Leak), 4096), Outcome::Blind);
    }

    #[test]
    fn one_accused_among_the_sites_of_a_healthy_function_is_enough() {
        let mut verdicts = said(Class::Churn);
        verdicts.all.insert(Class::Leak, 1);
        assert_eq!(judge(&site(Class::Churn), &verdicts, 1), Outcome::Accused);
    }
}
