//! `[[network]]`: the chains that credits are bought on.

use std::{collections::HashSet, fmt, num::NonZeroU64};

use alloy::primitives::Address;
use reqwest::Url;

use super::{
    facilitator::{self, Facilitator},
    key_file::{KeyFile, key_files},
    problems::Problems,
    raw,
    refunds::{Refunds, refunds},
};
use crate::{
    base::{AgentAddress, AssetId, NetworkId, UsdRate},
    payment::{Confirmations, TokenDomain, TransferMethod},
};

/// Assets of all networks together: each is an offer in a header of at most 8 KiB.
const ASSETS_MAX: usize = 8;
const RPC_URLS_MAX: usize = 8;
const FACTORIES_MAX: usize = 16;
const CONFIRMATION_BLOCKS_MAX: u64 = 10_000;
const MAX_FEE_GWEI: (u64, u64) = (1, 10_000);
const LOW_SETTLEMENTS: (u32, u32) = (0, 1_000_000);
const WEI_PER_GWEI: u128 = 1_000_000_000;
const WATCH_FROM_BLOCK: (u64, u64) = (0, 1 << 62);
const REORG_BLOCKS_MAX: (u64, u64) = (1, 1_024);
const DECIMALS: (u64, u64) = (6, 18);

/// A chain that credits are bought on.
#[derive(Clone, PartialEq, Eq)]
pub struct Network {
    pub id: NetworkId,
    /// In the order in which they are tried; at least one.
    pub rpc_urls: Vec<Url>,
    pub confirmations: Confirmations,
    /// Where payments arrive.
    pub pay_to: Address,
    /// Who settles, in the order in which they are asked; at least one.
    pub facilitators: Vec<Facilitator>,
    /// The keys that pay gas for settlement by this service itself; at least one where it may have to.
    pub relayer_keys: Vec<KeyFile>,
    /// The account that refunds are paid from, and what it may pay in 24 hours.
    pub refunds: Option<Refunds>,
    /// For how many settlements a relayer should hold gas.
    pub relayer_low_settlements: u32,
    /// The most that a settlement offers for a unit of gas, in wei.
    pub max_fee_per_gas: u128,
    /// `CreditsPurchase`, where it is deployed.
    pub purchase_contract: Option<Address>,
    /// Where watching begins at the first start.
    pub watch_from_block: Option<u64>,
    /// The deepest reorganization that the watcher follows.
    pub reorg_blocks_max: u64,
    /// `CheckpointAnchor`, where it is deployed.
    pub anchor_contract: Option<Address>,
    /// Contracts that may be called to make payers' wallets.
    pub wallet_factories: Vec<Address>,
    /// At least one.
    pub assets: Vec<Asset>,
}

/// A token that is taken as payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    pub domain: TokenDomain,
    pub symbol: String,
    /// 6 to 18, so that every price has an exact amount.
    pub decimals: u8,
    /// Dollars for a whole token.
    pub usd_rate: UsdRate,
    /// How payments in it are signed. By Permit2, the domain's name and version may be empty.
    pub transfer_method: TransferMethod,
}

impl fmt::Debug for Network {
    /// Without the URLs of the nodes: providers put keys into them.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Network")
            .field("id", &self.id)
            .field("confirmations", &self.confirmations)
            .field("pay_to", &self.pay_to)
            .field("facilitators", &self.facilitators)
            .field("relayer_keys", &self.relayer_keys)
            .field("relayer_low_settlements", &self.relayer_low_settlements)
            .field("refunds", &self.refunds)
            .field("max_fee_per_gas", &self.max_fee_per_gas)
            .field("purchase_contract", &self.purchase_contract)
            .field("watch_from_block", &self.watch_from_block)
            .field("reorg_blocks_max", &self.reorg_blocks_max)
            .field("anchor_contract", &self.anchor_contract)
            .field("assets", &self.assets)
            .finish_non_exhaustive()
    }
}

pub(super) fn networks(raw: &[raw::Network], problems: &mut Problems) -> Vec<Network> {
    let mut ids = HashSet::new();
    let assets: usize = raw.iter().map(|network| network.asset.len()).sum();
    if assets > ASSETS_MAX {
        problems.add(
            "network",
            format_args!("has {assets} assets; all networks together may have {ASSETS_MAX}"),
        );
    }
    let networks = raw.iter().enumerate().filter_map(|(index, raw)| {
        let key = format!("network[{index}]");
        let network = network(&key, raw, problems)?;
        if !ids.insert(network.id) {
            problems.add_value(format!("{key}.id"), network.id, "is configured twice");
        }
        Some(network)
    });
    networks.collect()
}

fn network(key: &str, raw: &raw::Network, problems: &mut Problems) -> Option<Network> {
    let id = problems.take(format!("{key}.id"), &raw.id, raw.id.parse());
    let rpc_urls = rpc_urls(&format!("{key}.rpc_url"), &raw.rpc_url, problems);
    let confirmations = confirmations(
        &format!("{key}.confirmations"),
        &raw.confirmations,
        problems,
    );
    let pay_to = address(&format!("{key}.pay_to"), &raw.pay_to, problems);
    let facilitators =
        facilitator::facilitators(&format!("{key}.facilitator"), &raw.facilitator, problems);
    if raw.relayer_key_file.is_none() && facilitators.contains(&Facilitator::Local) {
        let what = "is missing; facilitator = \"local\" needs the key that pays its gas";
        problems.add(format!("{key}.relayer_key_file"), what);
    }
    let relayer_keys = key_files(
        key,
        "relayer",
        raw.relayer_key_file.as_ref(),
        raw.relayer_password_file.as_ref(),
        problems,
    );
    let refunds = refunds(key, raw, problems);
    let relayer_low_settlements = problems.within(
        format!("{key}.relayer_low_settlements"),
        raw.relayer_low_settlements,
        LOW_SETTLEMENTS,
    );
    let max_fee_gwei = problems.within(
        format!("{key}.max_fee_gwei"),
        raw.max_fee_gwei,
        MAX_FEE_GWEI,
    );
    let contract = |name: &str, raw: &Option<String>, problems: &mut Problems| {
        let text = raw.as_deref()?;
        address(&format!("{key}.{name}"), text, problems)
    };
    let purchase_contract = contract("purchase_contract", &raw.purchase_contract, problems);
    if purchase_contract.is_some() && purchase_contract == pay_to {
        let what = "is pay_to: its treasury is another address than its own";
        problems.add(format!("{key}.purchase_contract"), what);
    }
    let watch_from_block = raw
        .watch_from_block
        .map(|block| problems.within(format!("{key}.watch_from_block"), block, WATCH_FROM_BLOCK));
    let reorg_blocks_max = problems.within(
        format!("{key}.reorg_blocks_max"),
        raw.reorg_blocks_max,
        REORG_BLOCKS_MAX,
    );
    let anchor_contract = contract("anchor_contract", &raw.anchor_contract, problems);
    let factories = &raw.erc6492_factories;
    if factories.len() > FACTORIES_MAX {
        let what = format_args!("has more than {FACTORIES_MAX} addresses");
        problems.add(format!("{key}.erc6492_factories"), what);
    }
    let factories = factories.iter().enumerate().filter_map(|(index, text)| {
        address(&format!("{key}.erc6492_factories[{index}]"), text, problems)
    });
    let wallet_factories = factories.collect();
    if raw.asset.is_empty() {
        let what = "is missing; a network without an asset sells nothing";
        problems.add(format!("{key}.asset"), what);
    }
    // Assets are checked also when the network's own id is wrong: a stand-in keeps them apart.
    let network = id.unwrap_or(NetworkId::from_chain_id(0));
    let mut tokens = HashSet::new();
    let assets = raw.asset.iter().enumerate().filter_map(|(index, raw)| {
        let key = format!("{key}.asset[{index}]");
        let asset = asset(&key, raw, network, problems)?;
        if !tokens.insert(asset.domain.asset.token) {
            problems.add_value(
                format!("{key}.address"),
                &raw.address,
                "is configured twice",
            );
        }
        Some(asset)
    });
    let assets = assets.collect();
    Some(Network {
        id: id?,
        rpc_urls,
        confirmations: confirmations?,
        pay_to: pay_to?,
        facilitators,
        relayer_keys,
        refunds,
        relayer_low_settlements,
        max_fee_per_gas: u128::from(max_fee_gwei) * WEI_PER_GWEI,
        purchase_contract,
        watch_from_block,
        reorg_blocks_max,
        anchor_contract,
        wallet_factories,
        assets,
    })
}

fn asset(
    key: &str,
    raw: &raw::Asset,
    network: NetworkId,
    problems: &mut Problems,
) -> Option<Asset> {
    let token = address(&format!("{key}.address"), &raw.address, problems);
    within_bytes(&format!("{key}.symbol"), &raw.symbol, 16, problems);
    let transfer_method = problems.take(
        format!("{key}.transfer_method"),
        &raw.transfer_method,
        TransferMethod::parse(&raw.transfer_method).ok_or("is neither \"eip3009\" nor \"permit2\""),
    );
    let domain = asset_domain(key, raw, transfer_method, problems);
    let decimals = problems.within(format!("{key}.decimals"), raw.decimals, DECIMALS);
    let usd_rate = match &raw.usd_rate {
        None => Some(UsdRate::PAR),
        Some(text) => problems.take(format!("{key}.usd_rate"), text, text.parse()),
    };
    Some(Asset {
        domain: TokenDomain {
            asset: AssetId {
                network,
                token: token?,
            },
            name: domain.0,
            version: domain.1,
        },
        symbol: raw.symbol.clone(),
        decimals: u8::try_from(decimals).ok()?,
        usd_rate: usd_rate?,
        transfer_method: transfer_method?,
    })
}

/// Name and version. EIP-3009 is signed under the token's own domain, Permit2 under Permit2's.
fn asset_domain(
    key: &str,
    raw: &raw::Asset,
    method: Option<TransferMethod>,
    problems: &mut Problems,
) -> (String, String) {
    let (name, version) = (&raw.eip712_name, &raw.eip712_version);
    let optional = method != Some(TransferMethod::Eip3009);
    let mut read =
        |setting: &str, text: &Option<String>, (other, other_text): (&str, bool), max| {
            let key = format!("{key}.{setting}");
            match text {
                Some(text) => within_bytes(&key, text, max, problems),
                None if !optional => problems.add(key, "is missing"),
                None if other_text => problems.add(key, format_args!("goes with {other}")),
                None => {}
            }
            text.clone().unwrap_or_default()
        };
    let (with_name, with_version) = (name.is_some(), version.is_some());
    (
        read("eip712_name", name, ("eip712_version", with_version), 64),
        read("eip712_version", version, ("eip712_name", with_name), 16),
    )
}

fn within_bytes(key: &str, text: &str, bytes_max: usize, problems: &mut Problems) {
    if text.is_empty() || text.len() > bytes_max {
        let what = format_args!("must be 1 to {bytes_max} bytes");
        problems.add_value(key, text, what);
    }
}

pub(super) fn address(key: &str, text: &str, problems: &mut Problems) -> Option<Address> {
    let address = problems.take(key, text, text.parse::<AgentAddress>())?;
    if address.address().is_zero() {
        problems.add_value(key, text, "belongs to nobody");
    }
    Some(address.address())
}

fn rpc_urls(key: &str, raw: &raw::OneOrMore, problems: &mut Problems) -> Vec<Url> {
    let texts = match raw {
        raw::OneOrMore::One(text) => std::slice::from_ref(text),
        raw::OneOrMore::More(texts) => texts,
    };
    if texts.is_empty() || texts.len() > RPC_URLS_MAX {
        problems.add(key, format_args!("must be 1 to {RPC_URLS_MAX} URLs"));
    }
    let mut urls = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => urls.push(url),
            // Not repeated: the URL of a node often holds a key.
            _ => problems.add(
                format_args!("{key}[{index}]"),
                "must be an http:// or https:// URL",
            ),
        }
    }
    urls
}

fn confirmations(
    key: &str,
    raw: &raw::NumberOrName,
    problems: &mut Problems,
) -> Option<Confirmations> {
    let what = "is not a number of blocks from 1 to 10000, \"safe\" or \"finalized\"";
    match raw {
        raw::NumberOrName::Number(blocks) => {
            let blocks = NonZeroU64::new(*blocks);
            let blocks = blocks.filter(|blocks| blocks.get() <= CONFIRMATION_BLOCKS_MAX);
            if blocks.is_none() {
                problems.add(key, what);
            }
            blocks.map(Confirmations::Blocks)
        }
        raw::NumberOrName::Name(name) => {
            let found = match name.as_str() {
                "safe" => Ok(Confirmations::Safe),
                "finalized" => Ok(Confirmations::Finalized),
                _ => Err(what),
            };
            problems.take(key, name, found)
        }
    }
}
