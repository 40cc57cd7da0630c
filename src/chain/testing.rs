//! A network that nobody asks anything, for unit tests of this floor.

use std::num::NonZeroU64;

use alloy::primitives::Address;
use zeroize::Zeroizing;

use super::{Asset, FacilitatorSettings, Network, NetworkSettings};
use crate::{
    base::{NetworkId, UsdRate},
    payment::{Confirmations, TransferMethod},
};

pub(super) const NETWORK: NetworkId = NetworkId::from_chain_id(84532);

pub(super) const FACTORY: Address = Address::repeat_byte(0xfa);

pub(super) fn network(tokens: &[Address]) -> Network {
    let asset = |token: &Address| Asset {
        token: *token,
        symbol: "USDC".into(),
        decimals: 6,
        usd_rate: UsdRate::PAR,
        transfer_method: TransferMethod::Eip3009,
        eip712_name: "USDC".into(),
        eip712_version: "2".into(),
    };
    Network::new(NetworkSettings {
        id: NETWORK,
        rpc_urls: vec!["http://127.0.0.1:1".parse().unwrap()],
        confirmations: Confirmations::Blocks(NonZeroU64::MIN),
        pay_to: Address::repeat_byte(3),
        assets: tokens.iter().map(asset).collect(),
        wallet_factories: vec![FACTORY],
        facilitators: vec![FacilitatorSettings::Local],
        relayer_keys: vec![Zeroizing::new([0x11; 32])],
        low_settlements: 0,
        float_key: None,
        max_fee_per_gas: 100,
    })
    .unwrap()
}
