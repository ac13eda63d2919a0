//! Who may ask for what: Host, Origin, token, method. Pure, so that a test can hold every combination of them.
//!
//! The rule, first match:
//! 1. HTTP/1.0, and not exactly one `Host`: 400.
//! 2. Another method than GET, or than POST where something is changed: 405.
//! 3. A `Host` that is not ours (a name that was made to point here): 403.
//! 4. An `Origin` that is not ours, `null` included, or a browser that says that another site asks: 403.
//! 5. A token that is wrong, wherever: 403.
//! 6. The socket and changes: without an `Origin`, which browsers send, only with the token and from no browser.
//! 7. Changes: only with the token. Everything but pages: only with the token when we can be reached from elsewhere; the
//!    socket takes it as its first message.

use std::net::SocketAddr;

use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, Method, StatusCode, Version};
use subtle::ConstantTimeEq;

/// Longest target of a request.
const MAX_TARGET: usize = 8 << 10;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A page or a part of one: the same for everybody, without data.
    Page,
    /// Data.
    Data,
    /// The socket.
    Socket,
    /// A change of a process's state.
    Change,
}

impl Wanted {
    /// By the path alone.
    pub(super) fn of(path: &str) -> Wanted {
        match path {
            "/ws" => Wanted::Socket,
            "/api/control" => Wanted::Change,
            _ if path.starts_with("/api/") || path.starts_with("/debug/") || path == "/metrics" => Wanted::Data,
            _ => Wanted::Page,
        }
    }
}

/// How a request came.
#[derive(Debug)]
pub(super) struct Asking<'a> {
    pub(super) method: &'a Method,
    pub(super) version: Version,
    pub(super) target: &'a str,
    pub(super) headers: &'a HeaderMap,
    /// Our end of the connection.
    pub(super) local: SocketAddr,
    pub(super) wanted: Wanted,
}

/// Why a request is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) why: &'static str,
}

fn refuse<T>(status: StatusCode, why: &'static str) -> Result<T, Refusal> {
    Err(Refusal { status, why })
}

/// What a request that is let through may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Granted {
    /// The token must still come, as the socket's first message.
    pub(super) owes_token: bool,
}

/// The rule's constants.
#[derive(Debug)]
pub(super) struct Access {
    token: String,
    /// Names that are ours too.
    allowed: Vec<String>,
    /// Data needs the token.
    is_public: bool,
}

impl Access {
    /// Whoever has this token may change things; `is_public` when others than this machine's users reach us.
    pub(super) fn new(token: String, allowed: Vec<String>, is_public: bool) -> Access {
        let is_public = is_public || !allowed.is_empty();
        Access { token, allowed, is_public }
    }

    /// Whether data needs the token.
    pub(super) fn is_public(&self) -> bool {
        self.is_public
    }

    /// Compares without telling by its time how much of it is right.
    pub(super) fn is_token(&self, given: &str) -> bool {
        self.token.as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// The rule.
    pub(super) fn decide(&self, asking: &Asking<'_>) -> Result<Granted, Refusal> {
        if asking.version != Version::HTTP_11 {
            return refuse(StatusCode::BAD_REQUEST, "only HTTP/1.1 is spoken here");
        }
        if asking.target.len() > MAX_TARGET {
            return refuse(StatusCode::URI_TOO_LONG, "the address is longer than 8 KiB");
        }
        let host = match only(asking.headers, HOST.as_str()) {
            Ok(Some(host)) => host,
            _ => return refuse(StatusCode::BAD_REQUEST, "a request needs one Host header"),
        };
        let method = if asking.wanted == Wanted::Change { Method::POST } else { Method::GET };
        if *asking.method != method {
            return refuse(StatusCode::METHOD_NOT_ALLOWED, "use GET, and POST for /api/control");
        }
        let Some(is_named) = self.is_ours(host, asking.local) else {
            let why = "this host name is not ours; --allow-host NAME allows it";
            return refuse(StatusCode::FORBIDDEN, why);
        };
        let Ok(origin) = only(asking.headers, ORIGIN.as_str()) else {
            return refuse(StatusCode::FORBIDDEN, "more than one Origin header");
        };
        if origin.is_some_and(|origin| !is_same(origin, host, is_named)) {
            return refuse(StatusCode::FORBIDDEN, "another site asks");
        }
        let site = only(asking.headers, "sec-fetch-site");
        if !matches!(site, Ok(None | Some("same-origin" | "none"))) {
            return refuse(StatusCode::FORBIDDEN, "another site asks");
        }
        let has_token = match only(asking.headers, AUTHORIZATION.as_str()).map(|given| given.map(bearer)) {
            Ok(None) => false,
            Ok(Some(Some(given))) if self.is_token(given) => true,
            _ => {
                return refuse(
                    StatusCode::FORBIDDEN,
                    "the token is wrong; the address that plimsoll serve prints has it",
                );
            }
        };
        let is_program = has_token && site == Ok(None);
        if matches!(asking.wanted, Wanted::Socket | Wanted::Change) && origin.is_none() && !is_program {
            return refuse(StatusCode::FORBIDDEN, "this needs an Origin header, or from a program the token");
        }
        match asking.wanted {
            Wanted::Page => Ok(Granted { owes_token: false }),
            Wanted::Socket => Ok(Granted { owes_token: self.is_public && !has_token }),
            Wanted::Data if has_token || !self.is_public => Ok(Granted { owes_token: false }),
            Wanted::Change if has_token => Ok(Granted { owes_token: false }),
            Wanted::Data | Wanted::Change => {
                refuse(StatusCode::FORBIDDEN, "this needs the token; the address that plimsoll serve prints has it")
            }
        }
    }

    /// Whether a host is ours: `Some(true)` when by a name that was allowed.
    fn is_ours(&self, host: &str, local: SocketAddr) -> Option<bool> {
        let port = local.port();
        let is = |name: &str| {
            host.eq_ignore_ascii_case(&format!("{name}:{port}")) || (port == 80 && host.eq_ignore_ascii_case(name))
        };
        // An address cannot be made to point elsewhere, unlike a name: that of this connection is ours.
        let ip = local.ip().to_canonical();
        let address = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
        if ["localhost", "127.0.0.1", "[::1]", &address].into_iter().any(is) {
            return Some(false);
        }
        let is_allowed = |name: &String| host.eq_ignore_ascii_case(name) || is(name);
        self.allowed.iter().any(is_allowed).then_some(true)
    }
}

/// A header that comes once or not at all, as text.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, ()> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| ()),
        (Some(_), Some(_)) => Err(()),
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Whether an origin is that of pages from this host. Only before an allowed name something may speak TLS.
fn is_same(origin: &str, host: &str, is_named: bool) -> bool {
    let of = |scheme: &str| origin.strip_prefix(scheme).is_some_and(|rest| rest.eq_ignore_ascii_case(host));
    of("http://") || (is_named && of("https://"))
}
