//! `payload`: the signed authorization, as clients write it and facilitators read it.

use alloy::primitives::U256;
use serde::Serialize;

use crate::payment::{Authorization, PERMIT2_PROXY, TransferMethod};

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Proof {
    #[serde(flatten)]
    terms: Terms,
    signature: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Terms {
    Authorization(WireAuthorization),
    Permit2Authorization(WirePermit),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct WireAuthorization {
    from: String,
    to: String,
    value: String,
    valid_after: String,
    valid_before: String,
    nonce: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct WirePermit {
    permitted: Permitted,
    from: String,
    spender: String,
    nonce: String,
    deadline: String,
    witness: Witness,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Permitted {
    token: String,
    amount: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Witness {
    to: String,
    valid_after: String,
}

impl Proof {
    /// `token` as the offer writes it.
    pub(super) fn new(terms: &Authorization, signature: &[u8], token: &str) -> Self {
        let (from, to) = (format!("{:#x}", terms.from), format!("{:#x}", terms.to));
        let (value, valid_after) = (terms.value.to_string(), terms.valid_after.to_string());
        let valid_before = terms.valid_before.to_string();
        let terms = match terms.method {
            TransferMethod::Eip3009 => Terms::Authorization(WireAuthorization {
                from,
                to,
                value,
                valid_after,
                valid_before,
                nonce: format!("{:#x}", terms.nonce),
            }),
            TransferMethod::Permit2 => Terms::Permit2Authorization(WirePermit {
                permitted: Permitted {
                    token: token.to_owned(),
                    amount: value,
                },
                from,
                spender: PERMIT2_PROXY.to_checksum(None),
                nonce: U256::from_be_bytes(terms.nonce.0).to_string(),
                deadline: valid_before,
                witness: Witness { to, valid_after },
            }),
        };
        Self {
            terms,
            signature: format!("0x{}", hex::encode(signature)),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, B256};
    use serde_json::json;

    use super::*;

    #[test]
    fn permit2_is_written_as_x402_has_it() {
        let terms = Authorization {
            method: TransferMethod::Permit2,
            from: Address::repeat_byte(0xab),
            to: Address::repeat_byte(3),
            value: U256::from(10_000),
            valid_after: 7,
            valid_before: 9,
            nonce: B256::with_last_byte(5),
        };
        let proof = Proof::new(&terms, &[0x1b; 65], "0x01");
        assert_eq!(
            serde_json::to_value(proof).unwrap(),
            json!({
                "signature": format!("0x{}", "1b".repeat(65)),
                "permit2Authorization": {
                    "permitted": { "token": "0x01", "amount": "10000" },
                    "from": format!("0x{}", "ab".repeat(20)),
                    "spender": "0x402085c248EeA27D92E8b30b2C58ed07f9E20001",
                    "nonce": "5",
                    "deadline": "9",
                    "witness": { "to": format!("0x{}", "03".repeat(20)), "validAfter": "7" },
                },
            })
        );
    }
}
