//! How x402 version 1 names networks: by words, of a closed list.

use crate::base::NetworkId;

/// The EVM networks of npm `x402` 1.2. No name from elsewhere is added: clients of version 1 refuse
/// a whole 402 for one entry of `accepts` whose network they do not know.
const NAMES: [(&str, u64); 15] = [
    ("abstract", 2_741),
    ("abstract-testnet", 11_124),
    ("avalanche", 43_114),
    ("avalanche-fuji", 43_113),
    ("base", 8_453),
    ("base-sepolia", 84_532),
    ("educhain", 41_923),
    ("iotex", 4_689),
    ("peaq", 3_338),
    ("polygon", 137),
    ("polygon-amoy", 80_002),
    ("sei", 1_329),
    ("sei-testnet", 1_328),
    ("skale-base-sepolia", 324_705_682),
    ("story", 1_514),
];

/// The name of a network in version 1, if it has one.
pub(super) fn name_of(network: NetworkId) -> Option<&'static str> {
    let known = |(_, chain_id): &&(&str, u64)| *chain_id == network.chain_id();
    NAMES.iter().find(known).map(|(name, _)| *name)
}

/// The network that a name of version 1 means.
pub(super) fn named(name: &str) -> Option<NetworkId> {
    let known = NAMES.iter().find(|(known, _)| *known == name);
    known.map(|(_, chain_id)| NetworkId::from_chain_id(*chain_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_network_has_one_name_and_each_name_one_network() {
        for (name, chain_id) in NAMES {
            let network = NetworkId::from_chain_id(chain_id);
            assert_eq!(name_of(network), Some(name));
            assert_eq!(named(name), Some(network));
        }
    }

    #[test]
    fn other_networks_have_no_name_and_other_names_mean_nothing() {
        assert_eq!(name_of(NetworkId::from_chain_id(31_337)), None);
        for name in ["", "Base", "base ", "eip155:8453", "solana", "ethereum"] {
            assert_eq!(named(name), None, "{name:?}");
        }
    }
}
