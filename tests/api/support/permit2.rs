//! Permit2 on the node: the real contract, and x402's proxy before it, each at its public address.

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol,
    sol_types::SolCall,
};
use counterfoil::{
    chain::devnet::USDC,
    payment::{PERMIT2, PERMIT2_PROXY},
};
use serde_json::{Value, json};

use super::{Chain, Payment, Wallet, onchain::Step};

const PERMIT2_CODE: &str = include_str!("../../../contracts/test/fixtures/permit2/runtime.hex");
const PROXY: &str = include_str!("../../../contracts/artifacts/Permit2Proxy.json");

sol! {
    struct TokenPermissions {
        address token;
        uint256 amount;
    }

    struct PermitTransferFrom {
        TokenPermissions permitted;
        uint256 nonce;
        uint256 deadline;
    }

    struct Witness {
        address to;
        uint256 validAfter;
    }

    function settle(PermitTransferFrom permit, address owner, Witness witness, bytes signature)
        external;
    function approve(address spender, uint256 value) external returns (bool);
    function transfer(address to, uint256 value) external returns (bool);
    function invalidateUnorderedNonces(uint256 wordPos, uint256 mask) external;
}

impl Chain {
    /// Puts Permit2 and the proxy where they are on every chain.
    pub(crate) async fn with_permit2(&self) {
        let artifact: Value = serde_json::from_str(PROXY).unwrap();
        let proxy = artifact["deployedBytecode"].as_str().unwrap();
        for (address, code) in [(PERMIT2, PERMIT2_CODE.trim()), (PERMIT2_PROXY, proxy)] {
            let params = json!([address, code]);
            self.rpc::<()>("anvil_setCode", params).await.unwrap();
        }
    }

    /// Lets Permit2 move so many base units of a payer's USDC.
    pub(crate) async fn approve_permit2(&self, payer: Address, value: U256) {
        let spender = PERMIT2;
        let call = approveCall { spender, value }.abi_encode().into();
        self.transact_as(payer, Some(USDC), &call).await;
    }

    /// A stranger who saw the payment settles it. The transaction.
    pub(crate) async fn settle_permit2(&self, payment: &Payment) -> B256 {
        let call = settlement(payment).abi_encode().into();
        let receipt = self.transact(Some(PERMIT2_PROXY), &call).await;
        receipt["transactionHash"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    }

    /// The payer uses the payment's nonce up, for nothing.
    pub(crate) async fn invalidate(&self, payment: &Payment) {
        let nonce = U256::from_be_bytes(payment.nonce().0);
        let call = invalidateUnorderedNoncesCall {
            wordPos: nonce >> 8,
            mask: U256::ONE << usize::from(nonce.byte(0)),
        };
        let call = call.abi_encode().into();
        let payer = payment.authorization.from;
        self.transact_as(payer, Some(PERMIT2), &call).await;
    }

    /// The payer moves the payment's amount by a plain transfer.
    pub(crate) async fn plain_transfer(&self, payment: &Payment) {
        let call = transferCall {
            to: payment.authorization.to,
            value: payment.amount(),
        };
        let payer = payment.authorization.from;
        let call = call.abi_encode().into();
        self.transact_as(payer, Some(USDC), &call).await;
    }
}

/// The settlement of a payment as a part of a transaction.
pub(crate) fn permit2_step(payment: &Payment) -> Step {
    Step::of(PERMIT2_PROXY, &settlement(payment))
}

/// The proxy's call that settles a payment.
fn settlement(payment: &Payment) -> settleCall {
    let terms = &payment.authorization;
    settleCall {
        permit: PermitTransferFrom {
            permitted: TokenPermissions {
                token: USDC,
                amount: terms.value,
            },
            nonce: terms.nonce.into(),
            deadline: U256::from(terms.valid_before),
        },
        owner: terms.from,
        witness: Witness {
            to: terms.to,
            validAfter: U256::from(terms.valid_after),
        },
        signature: Bytes::copy_from_slice(&payment.signature),
    }
}

impl super::House {
    /// A wallet with so many credits' USDC, which Permit2 may move.
    pub(crate) async fn permit2_payer(&self, credits: u64) -> Wallet {
        let wallet = Wallet::random();
        self.chain_dollars(&wallet, credits).await;
        self.chain
            .approve_permit2(wallet.address(), U256::MAX)
            .await;
        wallet
    }
}
