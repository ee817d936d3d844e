//! Checks of endpoint URLs.

use std::net::IpAddr;

use crate::error::s3::S3Error;

/// Checks that an endpoint has a scheme and a host, and uses `http://` only for this machine unless
/// cleartext is allowed.
pub(crate) fn check_endpoint(endpoint: &str, cleartext: bool) -> Result<(), S3Error> {
    let refuse = |problem| {
        Err(S3Error::Setting {
            name: "endpoint",
            problem,
        })
    };
    let (tls, rest) = match endpoint.split_once("://") {
        Some(("https", rest)) => (true, rest),
        Some(("http", rest)) => (false, rest),
        _ => return refuse("it does not begin with https:// or http://"),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return refuse("it holds a user name or a password");
    }
    let host = host_of(authority);
    if host.is_empty() || host.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return refuse("it names no host");
    }
    if rest.contains(['?', '#']) {
        return refuse("it has a query or a fragment");
    }
    if tls || cleartext || is_loopback(host) {
        Ok(())
    } else {
        Err(S3Error::Cleartext)
    }
}

/// Returns the host without port and brackets.
fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    authority.split(':').next().unwrap_or_default()
}

fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}
