//! Who sends a request: the peer of the connection, or whom a trusted proxy speaks for.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, HeaderName, request::Parts},
};

use super::House;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address that a request is counted for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client(pub(super) IpAddr);

impl FromRequestParts<House> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, house: &House) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(Ipv6Addr::UNSPECIFIED.into(), |peer| peer.0.ip());
        Ok(Self(behind(peer, &parts.headers, &house.trusted_proxies)))
    }
}

/// The right-most address of `X-Forwarded-For` that is no trusted proxy's: what stands further left
/// was written by strangers. From a peer that is not trusted, all of it was.
fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    let mut named = lines
        .map(|line| line.to_str().unwrap_or_default())
        .flat_map(|line| line.rsplit(','));
    let mut client = peer.to_canonical();
    while is_trusted(client, trusted) {
        match named.next().and_then(address) {
            Some(named) => client = named,
            None => break,
        }
    }
    client
}

/// Some proxies add a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let address = text.parse().ok();
    let address = address.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// Whether `peer` is one of the proxies that the operator trusts.
#[must_use]
pub fn is_trusted(peer: IpAddr, trusted: &[IpAddr]) -> bool {
    let peer = peer.to_canonical();
    trusted.iter().any(|proxy| proxy.to_canonical() == peer)
}

/// What counts as one client: an IPv4 address, or a /64 of IPv6, which one host usually has.
#[must_use]
pub fn network_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        address @ IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_the_last_address_that_no_trusted_proxy_has() {
        let trusted = ["127.0.0.1", "10.0.0.1", "2001:db8::1"].map(|it| it.parse().unwrap());
        for (peer, lines, client) in [
            ("192.0.2.1", &["198.51.100.1"][..], "192.0.2.1"),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:127.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("2001:db8::1", &["2001:db8::5"], "2001:db8::5"),
            // What the client itself wrote stands to the left.
            ("127.0.0.1", &["203.0.113.9, 198.51.100.1"], "198.51.100.1"),
            (
                "127.0.0.1",
                &["203.0.113.9", "198.51.100.1"],
                "198.51.100.1",
            ),
            ("127.0.0.1", &["198.51.100.1,10.0.0.1"], "198.51.100.1"),
            ("127.0.0.1", &["198.51.100.1", " 10.0.0.1 "], "198.51.100.1"),
            ("127.0.0.1", &["10.0.0.1"], "10.0.0.1"),
            ("127.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("127.0.0.1", &["[2001:db8::5]:4711"], "2001:db8::5"),
            // A proxy that writes no address is the client itself.
            ("127.0.0.1", &["198.51.100.1, unknown"], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.1,"], "127.0.0.1"),
            ("127.0.0.1", &[""], "127.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(FORWARDED_FOR, line.parse().unwrap());
            }
            let behind = behind(peer.parse().unwrap(), &headers, &trusted);
            assert_eq!(behind.to_string(), client, "{peer} {lines:?}");
        }
    }
}
