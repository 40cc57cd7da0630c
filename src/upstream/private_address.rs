//! Keeps a tool's name from leading inside.
//!
//! Whoever owns a tool's DNS could point it at this machine, at a neighbour or at a cloud's
//! metadata service. The check is made on the very addresses that are then dialled, so a name
//! cannot answer one thing to the check and another to the connection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

/// Resolves names, and gives only addresses of the public internet.
pub(super) struct PublicOnly;

#[derive(Clone, Copy, Debug, Error)]
#[error("every address of the host is private")]
pub(super) struct PrivateAddress;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(public(addresses)?)
        })
    }
}

fn public(addresses: impl Iterator<Item = SocketAddr>) -> Result<Addrs, PrivateAddress> {
    let public: Vec<_> = addresses
        .filter(|address| is_public(address.ip()))
        .take(ADDRESSES_MAX)
        .collect();
    if public.is_empty() {
        return Err(PrivateAddress);
    }
    Ok(Box::new(public.into_iter()))
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// After IANA's registry of special-purpose IPv4 addresses.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        // This network, private, loopback, and everything from multicast up.
        (0 | 10 | 127 | 224.., _, _) => false,
        // Shared by carriers; link-local, where clouds keep their metadata.
        (100, 64..=127, _) | (169, 254, _) => false,
        // Private.
        (172, 16..=31, _) | (192, 168, _) => false,
        // Protocol assignments, documentation, 6to4 relays, benchmarks.
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 18..=19, _) => false,
        (198, 51, 100) | (203, 0, 113) => false,
        _ => true,
    }
}

/// After IANA's registry of special-purpose IPv6 addresses. Only 2000::/3 is given out at all.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    match segments {
        // IPv4-mapped, and NAT64 (RFC 6052): as public as the address inside.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        // Protocol assignments with Teredo, documentation, 6to4, documentation again.
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x2002, ..] | [0x3fff, ..] => false,
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_and_special_addresses_are_told_from_public_ones() {
        for text in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "223.255.255.255",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.2.1",
            "198.19.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_name_with_both_kinds_leads_only_outside() {
        let addresses = ["127.0.0.1:0", "1.1.1.1:0"].map(|text| text.parse().unwrap());
        let dialled: Vec<_> = public(addresses.into_iter()).unwrap().collect();
        assert_eq!(dialled, addresses[1..]);
        assert!(public(addresses.into_iter().take(1)).is_err());
        let many = std::iter::repeat_n(addresses[1], 100);
        assert_eq!(public(many).unwrap().count(), ADDRESSES_MAX);
    }
}
