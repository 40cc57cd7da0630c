//! Tokens that are dollars.
//!
//! An offer names a token's address and an amount of its base units, but not what they are worth.
//! So a spending limit means something only for tokens that are known.

use alloy::primitives::{Address, address};

use crate::base::{AssetId, NetworkId};

/// What every token here has, and what a token that the caller vouches for must have.
pub(super) const DOLLAR_DECIMALS: u8 = 6;

/// USDC by its issuer, Circle. Bridged and other dollars are the caller's to vouch for.
const USDC: [(u64, Address); 8] = [
    (1, address!("A0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")),
    (10, address!("0b2C639c533813f4Aa9D7837CAf62653d097Ff85")),
    (137, address!("3c499c542cEF5E3811e1192ce70d8cC03d5c3359")),
    (8_453, address!("833589fCD6eDb6E08f4c7C32D4f71b54bdA02913")),
    (42_161, address!("af88d065e77c8cC2239327C5EDb3A432268e5831")),
    (43_114, address!("B97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E")),
    (84_532, address!("036CbD53842c5426634e7929541eC2318f3dCF7e")),
    (
        421_614,
        address!("75faf114eafb1BDbe2F0316DF893fd58CE46AA4d"),
    ),
];

/// Whether a token is a dollar with six decimals.
pub(super) fn is_dollar(asset: AssetId) -> bool {
    USDC.iter().any(|(chain_id, token)| {
        asset.network == NetworkId::from_chain_id(*chain_id) && asset.token == *token
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_on_its_own_network_only() {
        let [(_, mainnet), .., (_, sepolia)] = USDC;
        let on = |chain_id, token| {
            let network = NetworkId::from_chain_id(chain_id);
            is_dollar(AssetId { network, token })
        };
        assert!(on(1, mainnet));
        assert!(on(421_614, sepolia));
        assert!(!on(1, sepolia));
        assert!(!on(2, mainnet));
    }
}
