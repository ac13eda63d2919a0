//! Tells web servers: a webhook of anybody's, and Prometheus' Alertmanager by its second API.

use std::thread::sleep;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::alert::{Alert, Change};
use crate::follow::Level;
use crate::present::json::to_line;

use super::stamp;

/// Longest wait for a server, all in all.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pauses before another try.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];

/// Refuses what no request can be sent to.
pub(in crate::alert) fn check_url(url: &str) -> Result<(), String> {
    let parsed: ureq::http::Uri = url.parse().map_err(|_| format!("{url:?} is no URL"))?;
    match (parsed.scheme_str(), parsed.host()) {
        (Some("http"), Some(host)) if !host.is_empty() => Ok(()),
        (Some("https"), _) => {
            Err(format!("{url:?}: TLS is not spoken here; use do = \"exec\" with curl, or a server on this machine"))
        }
        _ => Err(format!("{url:?} is no URL of the form http://HOST:PORT/PATH")),
    }
}

/// Sends requests.
pub(super) struct Web {
    agent: ureq::Agent,
    host: String,
}

impl Web {
    pub(super) fn new() -> Web {
        // Neither proxies nor redirects: what is told goes where the rules say.
        let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).proxy(None).max_redirects(0).build();
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Web { agent: config.into(), host: host.trim().to_owned() }
    }

    pub(super) fn webhook(&self, url: &str, change: &Change) -> Result<(), String> {
        let body = to_line(change).map_err(|error| format!("cannot write an alert as JSON: {error}"))?;
        self.post(url, &body)
    }

    /// Tells of alerts that go on, or that are over since `end`.
    pub(super) fn alertmanager(
        &self,
        url: &str,
        alerts: &[&Alert],
        end: Option<SystemTime>,
        again: Duration,
    ) -> Result<(), String> {
        // As Prometheus does: over by itself when nothing is heard for four rounds.
        let end = stamp(end.unwrap_or_else(|| SystemTime::now() + again * 4));
        let alerts: Vec<Value> = alerts.iter().map(|alert| self.labelled(alert, &end)).collect();
        let body = serde_json::to_string(&alerts).map_err(|error| format!("cannot write alerts as JSON: {error}"))?;
        self.post(&format!("{}/api/v2/alerts", url.trim_end_matches('/')), &body)
    }

    fn labelled(&self, alert: &Alert, end: &str) -> Value {
        let severity = if alert.level == Level::Red { "critical" } else { "warning" };
        json!({
            "labels": {
                "alertname": alert.rule,
                "severity": severity,
                "level": alert.level.name(),
                "job": "plimsoll",
                "instance": self.host,
                "program": alert.program,
                "pid": alert.pid.to_string(),
                "subject": alert.subject,
            },
            "annotations": { "summary": alert.title, "description": alert.text },
            "startsAt": stamp(alert.since),
            "endsAt": end,
        })
    }

    fn post(&self, url: &str, body: &str) -> Result<(), String> {
        let send = || self.agent.post(url).content_type("application/json").send(body);
        let mut sent = send();
        for pause in PAUSES {
            // What the server refused, it will refuse again.
            let is_lost = match &sent {
                Ok(_) => false,
                Err(ureq::Error::StatusCode(code)) => *code >= 500,
                Err(_) => true,
            };
            if !is_lost {
                break;
            }
            sleep(pause);
            sent = send();
        }
        match sent {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("cannot tell {url} of an alert: it answers {}", answer.status())),
            Err(error) => Err(format!("cannot tell {url} of an alert: {error}")),
        }
    }
}
