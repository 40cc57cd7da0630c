//! The accounts of a running service are its own: it hands out their account nonces from its books.

use alloy::primitives::Address;

use crate::{
    app::{
        cli::outcome::Failed,
        config,
        keys::{Signing, signing_key},
    },
    chain::{Account, Network},
};

/// Refuses an account whose key a relayer or the float of refunds has, in whatever file. A key that
/// cannot be read here cannot be compared: that is said.
pub(super) fn check_not_in_use(
    account: Address,
    network: &Network,
    config: &config::Network,
) -> Result<(), Failed> {
    let relayers = config
        .relayer_keys
        .iter()
        .map(|key| (key, Signing::Relayer));
    let float = config.refunds.iter().map(|refunds| &refunds.key);
    for (file, signing) in relayers.chain(float.map(|key| (key, Signing::Float))) {
        let key = match signing_key(file, signing) {
            Ok(key) => key,
            Err(error) => {
                eprintln!("not compared with the deployer's account: {error}");
                continue;
            }
        };
        let used = Account::new(network.clone(), &key).map(|used| used.address());
        if used == Some(account) {
            return Err(in_use(signing));
        }
    }
    Ok(())
}

fn in_use(signing: Signing) -> Failed {
    let (code, whose) = match signing {
        Signing::Relayer => ("RELAYER_KEY", "a relayer"),
        Signing::Float => ("FLOAT_KEY", "the float of refunds"),
    };
    let detail = format!("The key is that of {whose}, whose account a running service uses.");
    Failed::usage(code, detail)
        .next("make a key with `counterfoil keygen --out FILE`, and send gas to its address")
}
