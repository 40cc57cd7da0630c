//! Wallets that are not on the chain yet (ERC-6492): a signature that brings the call of the factory
//! that makes its wallet. The call is the payer's, so only factories that the operator named are called.

use alloy::{
    primitives::{Address, B256, Bytes, address, b256},
    sol_types::{SolCall, SolValue},
};

use super::{bindings::Multicall3, settlement::Call};

/// Where Multicall3 is, on every chain. It makes the wallet and moves the money in one transaction.
const MULTICALL3: Address = address!("cA11bde05977b3631167028862bE2a173976CA11");

/// The most gas for both. Whoever makes the wallet pays for its code.
pub(super) const CREATION_GAS_MAX: u64 = 1_000_000;

/// What such a signature ends in.
const MAGIC: B256 = b256!("6492649264926492649264926492649264926492649264926492649264926492");

/// A signature of a wallet that may have to be made first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counterfactual {
    pub(super) factory: Address,
    creation: Bytes,
    /// What the wallet itself is shown.
    pub(super) signature: Bytes,
}

impl Counterfactual {
    /// `None` when the bytes are no such signature.
    pub(super) fn read(signature: &[u8]) -> Option<Self> {
        let wrapped = signature.strip_suffix(MAGIC.as_slice())?;
        let (factory, creation, signature) =
            <(Address, Bytes, Bytes)>::abi_decode_params_validate(wrapped).ok()?;
        Some(Self {
            factory,
            creation,
            signature,
        })
    }

    /// Makes the wallet, unless it is there, and then calls. Fails if the second call does.
    pub(super) fn then(&self, to: Address, data: Bytes) -> Call {
        let calls = vec![
            // Somebody else may have made the wallet already.
            call(self.factory, self.creation.clone(), true),
            call(to, data, false),
        ];
        Call {
            to: MULTICALL3,
            data: Multicall3::aggregate3Call { calls }.abi_encode().into(),
            gas_max: CREATION_GAS_MAX,
        }
    }
}

/// What the second call returned. `None` when the answer is none of Multicall3's.
pub(super) fn second_return(answer: &[u8]) -> Option<Bytes> {
    let results = Multicall3::aggregate3Call::abi_decode_returns(answer).ok()?;
    let second = results.into_iter().nth(1)?;
    second.success.then_some(second.returnData)
}

fn call(target: Address, data: Bytes, may_fail: bool) -> Multicall3::Call3 {
    Multicall3::Call3 {
        target,
        allowFailure: may_fail,
        callData: data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped() -> Vec<u8> {
        let parts = (
            Address::repeat_byte(1),
            Bytes::from_static(&[2; 40]),
            Bytes::from_static(&[3; 65]),
        );
        [parts.abi_encode_params(), MAGIC.to_vec()].concat()
    }

    #[test]
    fn a_wrapped_signature_is_taken_apart() {
        let read = Counterfactual::read(&wrapped()).unwrap();
        assert_eq!(read.factory, Address::repeat_byte(1));
        assert_eq!(read.creation.as_ref(), [2; 40]);
        assert_eq!(read.signature.as_ref(), [3; 65]);
    }

    #[test]
    fn anything_else_is_no_wrapped_signature() {
        let whole = wrapped();
        assert_eq!(Counterfactual::read(&[]), None);
        assert_eq!(Counterfactual::read(&[7; 65]), None);
        assert_eq!(Counterfactual::read(MAGIC.as_slice()), None);
        assert_eq!(Counterfactual::read(&whole[..whole.len() - 1]), None);
        let cut = [&whole[..100], MAGIC.as_slice()].concat();
        assert_eq!(Counterfactual::read(&cut), None);
        let mut far = whole;
        // The offset of the creation points beyond the end.
        far[32..64].fill(0xff);
        assert_eq!(Counterfactual::read(&far), None);
    }

    #[test]
    fn only_the_making_may_fail() {
        let read = Counterfactual::read(&wrapped()).unwrap();
        let settlement = read.then(Address::repeat_byte(9), Bytes::from_static(&[8]));
        let calls = Multicall3::aggregate3Call::abi_decode(&settlement.data)
            .unwrap()
            .calls;
        let said: Vec<_> = calls
            .iter()
            .map(|call| (call.target, call.allowFailure))
            .collect();
        let (factory, token) = (Address::repeat_byte(1), Address::repeat_byte(9));
        assert_eq!(said, [(factory, true), (token, false)]);
        assert_eq!(settlement.to, MULTICALL3);
    }
}
