//! A payer's leave for Permit2 to move its tokens, signed for the token itself (EIP-2612) and sent with
//! a payment, so that the payer needs no gas (x402's extension `eip2612GasSponsoring`).

use alloy::primitives::U256;

/// It is for the payment's amount exactly, as x402's proxy wants it. Not verified: if it is no good, the
/// settlement fails in its trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenPermit {
    /// The payer's next nonce for such leaves, at the token.
    pub nonce: U256,
    /// Unix seconds.
    pub deadline: u64,
    pub signature: [u8; 65],
}

const BYTES: usize = 32 + 8 + 65;

impl TokenPermit {
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [
            self.nonce.to_be_bytes::<32>().as_slice(),
            &self.deadline.to_be_bytes(),
            &self.signature,
        ]
        .concat()
    }

    /// What [`Self::to_bytes`] made.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
        let (nonce, rest) = bytes.split_at(32);
        let (deadline, signature) = rest.split_at(8);
        Some(Self {
            nonce: U256::from_be_slice(nonce),
            deadline: u64::from_be_bytes(deadline.try_into().ok()?),
            signature: signature.try_into().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_its_bytes() {
        let permit = TokenPermit {
            nonce: U256::from(7),
            deadline: 1_740_672_154,
            signature: [9; 65],
        };
        let bytes = permit.to_bytes();
        assert_eq!(TokenPermit::from_bytes(&bytes), Some(permit));
        assert_eq!(TokenPermit::from_bytes(&bytes[1..]), None);
        assert_eq!(TokenPermit::from_bytes(&[bytes, vec![0]].concat()), None);
    }
}
