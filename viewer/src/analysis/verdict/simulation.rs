//! Many simulated programs: how often a healthy one is accused, and how often a leak is missed.

use super::Class;
use super::judge::judge;
use super::simulated::*;

type Make = fn(&mut Chance) -> Vec<Life>;

/// Captures last 100 s.
const SECONDS: f64 = 100.0;

fn queue(chance: &mut Chance, rate: f64, life: f64, from: f64) -> Vec<Life> {
    let born = arrivals(chance, rate, from, SECONDS);
    born.into_iter().map(|born| Life { born, dies: born + chance.exponential(life), bytes: 1000.0 }).collect()
}

fn healthy() -> Vec<(&'static str, Make)> {
    vec![
        ("churn short", |c| queue(c, 20.0, 0.5, 0.0)),
        ("churn T/20", |c| queue(c, 5.0, 5.0, 0.0)),
        ("churn T/10", |c| queue(c, 5.0, 10.0, 0.0)),
        ("churn T/5", |c| queue(c, 5.0, 20.0, 0.0)),
        ("churn T/3", |c| queue(c, 2.0, 33.0, 0.0)),
        ("churn T/3 few", |c| queue(c, 0.3, 33.0, 0.0)),
        ("churn T/2", |c| queue(c, 2.0, 50.0, 0.0)),
        ("churn T/2 few", |c| queue(c, 0.3, 50.0, 0.0)),
        ("churn T", |c| queue(c, 2.0, 100.0, 0.0)),
        ("churn T few", |c| queue(c, 0.3, 100.0, 0.0)),
        ("lru T/4", |c| {
            arrivals(c, 5.0, 0.0, SECONDS).into_iter().map(|b| Life { born: b, dies: b + 25.0, bytes: 1e3 }).collect()
        }),
        ("lru T/2", |c| {
            arrivals(c, 5.0, 0.0, SECONDS).into_iter().map(|b| Life { born: b, dies: b + 50.0, bytes: 1e3 }).collect()
        }),
        ("lru 0.8T", |c| {
            arrivals(c, 5.0, 0.0, SECONDS).into_iter().map(|b| Life { born: b, dies: b + 80.0, bytes: 1e3 }).collect()
        }),
        ("lru 0.9T", |c| {
            arrivals(c, 5.0, 0.0, SECONDS).into_iter().map(|b| Life { born: b, dies: b + 90.0, bytes: 1e3 }).collect()
        }),
        ("map sat T/8", |c| {
            arrivals(c, 10.0, 0.0, SECONDS)
                .into_iter()
                .filter_map(|b| (c.unit() < (-b / 12.5).exp()).then_some(kept(b, 1e3)))
                .collect()
        }),
        ("map sat T/4", |c| {
            arrivals(c, 10.0, 0.0, SECONDS)
                .into_iter()
                .filter_map(|b| (c.unit() < (-b / 25.0).exp()).then_some(kept(b, 1e3)))
                .collect()
        }),
        ("map sat T/2", |c| {
            arrivals(c, 10.0, 0.0, SECONDS)
                .into_iter()
                .filter_map(|b| (c.unit() < (-b / 50.0).exp()).then_some(kept(b, 1e3)))
                .collect()
        }),
        ("map sat T", |c| {
            arrivals(c, 10.0, 0.0, SECONDS)
                .into_iter()
                .filter_map(|b| (c.unit() < (-b / 100.0).exp()).then_some(kept(b, 1e3)))
                .collect()
        }),
        ("map sqrt", |c| {
            arrivals(c, 10.0, 0.0, SECONDS)
                .into_iter()
                .filter_map(|b| (c.unit() < (b + 1.0).powf(-0.5)).then_some(kept(b, 1e3)))
                .collect()
        }),
        ("map linear to T/2", |c| arrivals(c, 3.0, 0.0, 50.0).into_iter().map(|b| kept(b, 1e3)).collect()),
        ("map linear to .9T", |c| arrivals(c, 3.0, 0.0, 90.0).into_iter().map(|b| kept(b, 1e3)).collect()),
        ("warm-up", |c| arrivals(c, 50.0, 0.0, 5.0).into_iter().map(|b| kept(b, 1e3)).collect()),
        ("sawtooth T/10", |c| saw(c, 10.0)),
        ("sawtooth T/3", |c| saw(c, 33.3)),
        ("sawtooth T/2.2", |c| saw(c, 45.0)),
        ("sawtooth T/1.6", |c| saw(c, 62.0)),
        ("diurnal T/3", |c| wave(c, 33.3, 3.0)),
        ("diurnal T", |c| wave(c, 100.0, 3.0)),
        ("diurnal 2T", |c| wave(c, 200.0, 3.0)),
        ("diurnal T long lives", |c| wave(c, 100.0, 15.0)),
        ("one-shot", |_| (0..3).map(|_| kept(20.0, 1e6)).collect()),
        ("spike", |c| {
            arrivals(c, 50.0, 40.0, 45.0).into_iter().map(|b| Life { born: b, dies: 47.0, bytes: 1e3 }).collect()
        }),
        ("lognormal", |c| {
            arrivals(c, 10.0, 0.0, SECONDS)
                .into_iter()
                .map(|b| {
                    let z = normal(c);
                    Life { born: b, dies: b + (0.0 + 2.0 * z).exp(), bytes: 1e3 }
                })
                .collect()
        }),
        ("pareto", |c| {
            arrivals(c, 10.0, 0.0, SECONDS)
                .into_iter()
                .map(|b| {
                    let u = c.unit();
                    Life { born: b, dies: b + 0.5 * u.powf(-1.0 / 1.2), bytes: 1e3 }
                })
                .collect()
        }),
        ("vec doubling", |_| doubling(SECONDS)),
        ("vec doubling stops", |_| doubling(40.0)),
        ("late start churn", |c| queue(c, 5.0, 3.0, 60.0)),
        ("late fill", |c| {
            let mut v = queue(c, 5.0, 3.0, 0.0);
            v.extend(arrivals(c, 30.0, 60.0, 65.0).into_iter().map(|b| kept(b, 1e3)));
            v
        }),
        ("random replace", |c| {
            let n = 50;
            let mut t = vec![];
            let mut slots: Vec<f64> = vec![-1.0; n];
            for b in arrivals(c, 5.0, 0.0, SECONDS) {
                let k = (c.unit() * n as f64) as usize;
                if slots[k] >= 0.0 {
                    t.push(Life { born: slots[k], dies: b, bytes: 1e3 });
                }
                slots[k] = b;
            }
            t.extend(slots.into_iter().filter(|b| *b >= 0.0).map(|b| kept(b, 1e3)));
            t
        }),
        ("tenants steps", |c| {
            (0..12)
                .flat_map(|_| {
                    let at = c.unit() * 100.0;
                    (0..50).map(move |k| kept(at + k as f64 * 0.001, 1e3))
                })
                .collect()
        }),
    ]
}

fn normal(c: &mut Chance) -> f64 {
    (-2.0 * c.unit().ln()).sqrt() * (std::f64::consts::TAU * c.unit()).cos()
}

fn saw(c: &mut Chance, period: f64) -> Vec<Life> {
    arrivals(c, 5.0, 0.0, SECONDS)
        .into_iter()
        .map(|b| Life { born: b, dies: ((b / period).floor() + 1.0) * period, bytes: 1e3 })
        .collect()
}

fn wave(c: &mut Chance, period: f64, life: f64) -> Vec<Life> {
    let all = arrivals(c, 20.0, 0.0, SECONDS);
    all.into_iter()
        .filter_map(|b| {
            let level = 0.5 - 0.45 * (std::f64::consts::TAU * b / period).cos();
            (c.unit() < level).then(|| Life { born: b, dies: b + c.exponential(life), bytes: 1e3 })
        })
        .collect()
}

fn doubling(until: f64) -> Vec<Life> {
    let mut lives = Vec::new();
    let (mut at, mut size) = (0.01, 64.0);
    while at < SECONDS {
        let next = at * 2.0;
        let last = next >= until;
        lives.push(Life { born: at, dies: if last { f64::INFINITY } else { next }, bytes: size });
        if last {
            break;
        }
        at = next;
        size *= 2.0;
    }
    lives
}

fn leaky() -> Vec<(&'static str, Make)> {
    vec![
        ("leak 15", |c| arrivals(c, 0.15, 0.0, SECONDS).into_iter().map(|b| kept(b, 1e3)).collect()),
        ("leak 20", |c| arrivals(c, 0.2, 0.0, SECONDS).into_iter().map(|b| kept(b, 1e3)).collect()),
        ("leak 25", |c| arrivals(c, 0.25, 0.0, SECONDS).into_iter().map(|b| kept(b, 1e3)).collect()),
        ("leak 40", |c| arrivals(c, 0.4, 0.0, SECONDS).into_iter().map(|b| kept(b, 1e3)).collect()),
        ("leak 100", |c| arrivals(c, 1.0, 0.0, SECONDS).into_iter().map(|b| kept(b, 1e3)).collect()),
        ("leak 1000", |c| arrivals(c, 10.0, 0.0, SECONDS).into_iter().map(|b| kept(b, 1e3)).collect()),
        ("leak regular", |_| (0..200).map(|k| kept(k as f64 * 0.5, 1e3)).collect()),
        ("leak under churn 1s", |c| {
            let mut v = queue(c, 20.0, 1.0, 0.0);
            v.extend(arrivals(c, 0.4, 0.0, SECONDS).into_iter().map(|b| kept(b, 1e3)));
            v
        }),
        ("leak under churn 5s", |c| {
            let mut v = queue(c, 5.0, 5.0, 0.0);
            v.extend(arrivals(c, 0.4, 0.0, SECONDS).into_iter().map(|b| kept(b, 1e3)));
            v
        }),
        ("leak late T/2", |c| arrivals(c, 2.0, 50.0, SECONDS).into_iter().map(|b| kept(b, 1e3)).collect()),
        ("leak late .4T churn", |c| {
            let mut v = queue(c, 20.0, 1.0, 0.0);
            v.extend(arrivals(c, 2.0, 40.0, SECONDS).into_iter().map(|b| kept(b, 1e3)));
            v
        }),
        ("leak late .7T", |c| {
            let mut v = queue(c, 20.0, 1.0, 0.0);
            v.extend(arrivals(c, 5.0, 70.0, SECONDS).into_iter().map(|b| kept(b, 1e3)));
            v
        }),
        ("warm-up + leak", |c| {
            let mut v: Vec<Life> = arrivals(c, 100.0, 0.0, 5.0).into_iter().map(|b| kept(b, 1e3)).collect();
            v.extend(arrivals(c, 1.0, 0.0, SECONDS).into_iter().map(|b| kept(b, 1e3)));
            v
        }),
        ("bursty leak", |c| {
            (0..20)
                .flat_map(|k| {
                    let at = k as f64 * 5.0 + c.unit();
                    (0..20).map(move |j| kept(at + j as f64 * 0.001, 1e3))
                })
                .collect()
        }),
        ("leak wave rate", |c| {
            arrivals(c, 10.0, 0.0, SECONDS)
                .into_iter()
                .filter_map(|b| {
                    (c.unit() < 0.5 - 0.45 * (std::f64::consts::TAU * b / 20.0).cos()).then_some(kept(b, 1e3))
                })
                .collect()
        }),
        ("spike + leak", |c| {
            let mut v: Vec<Life> =
                arrivals(c, 50.0, 5.0, 8.0).into_iter().map(|b| Life { born: b, dies: 9.0, bytes: 1e3 }).collect();
            v.extend(arrivals(c, 2.0, 0.0, SECONDS).into_iter().map(|b| kept(b, 1e3)));
            v
        }),
        ("sawtooth churn + leak", |c| {
            let mut v = saw(c, 10.0);
            v.extend(arrivals(c, 2.0, 0.0, SECONDS).into_iter().map(|b| kept(b, 1e3)));
            v
        }),
        ("warm hot churn: vec leaks", |c| {
            (0..40)
                .flat_map(|k| {
                    let at = c.unit() * 100.0 + 0.0 * k as f64;
                    [
                        Life { born: at, dies: at + 0.1, bytes: 64.0 },
                        Life { born: at + 0.1, dies: at + 0.2, bytes: 128.0 },
                        kept(at + 0.2, 256.0),
                    ]
                })
                .collect()
        }),
    ]
}

#[test]
#[ignore]
fn matrix() {
    let runs = 200u64;
    for (kind, programs) in [("HEALTHY", healthy()), ("LEAKY", leaky())] {
        for tests in [10usize, 1000] {
            println!("{kind} tests {tests}");
            for (name, make) in &programs {
                let mut counts = std::collections::BTreeMap::new();
                for seed in 0..runs {
                    let mut chance = Chance(seed * 7919 + 13);
                    let lives = make(&mut chance);
                    let verdict = judge(&series(&lives, SECONDS), &context(tests, 1.0));
                    *counts
                        .entry((
                            verdict.class,
                            if verdict.class == Class::TooLittleEvidence { verdict.reason } else { "" },
                        ))
                        .or_insert(0) += 1;
                }
                let text: Vec<String> =
                    counts.iter().map(|((class, why), n)| format!("{} {} {}", n, class.name(), why)).collect();
                println!("  {name:<26} {}", text.join("; "));
            }
        }
    }
}
