//! What others do with the token, behind the service's back.

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol,
    sol_types::{Eip712Domain, SolCall, SolStruct},
};
use counterfoil::chain::devnet::{CHAIN_ID, USDC};
use serde_json::{Value, json};

use super::{Chain, Payment, Wallet, until};

sol! {
    interface Token {
        function transfer(address to, uint256 value) external returns (bool);
        function blacklist(address account) external;
        function unBlacklist(address account) external;
        function blacklister() external view returns (address);
        function cancelAuthorization(
            address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s
        ) external;
        function transferWithAuthorization(
            address from, address to, uint256 value, uint256 validAfter, uint256 validBefore,
            bytes32 nonce, uint8 v, bytes32 r, bytes32 s
        ) external;
        function receiveWithAuthorization(
            address from, address to, uint256 value, uint256 validAfter, uint256 validBefore,
            bytes32 nonce, uint8 v, bytes32 r, bytes32 s
        ) external;
    }

    struct CancelAuthorization {
        address authorizer;
        bytes32 nonce;
    }

    struct ReceiveWithAuthorization {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }
}

/// More than the service offers, so a stranger's transaction is mined first.
const TIP_WEI: u64 = 50_000_000_000;

impl Chain {
    /// Sends a call of the token from an account whose key nobody here needs, and waits for its
    /// block if the node makes one by itself.
    async fn send(&self, from: Address, call: &impl SolCall) -> B256 {
        let transaction = json!({
            "from": from,
            "to": USDC,
            "data": Bytes::from(call.abi_encode()),
            "gas": U256::from(300_000),
            "maxPriorityFeePerGas": U256::from(TIP_WEI),
            "maxFeePerGas": U256::from(4 * TIP_WEI),
        });
        self.rpc::<()>("anvil_impersonateAccount", json!([from]))
            .await
            .unwrap();
        let sent = self.rpc("eth_sendTransaction", json!([transaction])).await;
        let hash = sent.unwrap();
        if self.rpc("anvil_getAutomine", json!([])).await.unwrap() {
            let mined = async || self.succeeded(hash).await.is_some();
            until("a transaction is not mined", mined).await;
        }
        hash
    }

    async fn stranger(&self) -> Address {
        let stranger = Wallet::random().address();
        self.fund_gas(stranger).await.unwrap();
        stranger
    }

    /// A stranger who saw the payment settles it.
    pub(crate) async fn front_run(&self, payment: &Payment) -> B256 {
        let (v, r, s) = parts(&payment.signature);
        let terms = &payment.authorization;
        let call = Token::transferWithAuthorizationCall {
            from: terms.from,
            to: terms.to,
            value: terms.value,
            validAfter: U256::from(terms.valid_after),
            validBefore: U256::from(terms.valid_before),
            nonce: terms.nonce,
            v,
            r,
            s,
        };
        self.send(self.stranger().await, &call).await
    }

    /// The payer takes the payment back.
    pub(crate) async fn cancel(&self, payment: &Payment, payer: &Wallet) -> B256 {
        let message = CancelAuthorization {
            authorizer: payer.address(),
            nonce: payment.nonce(),
        };
        let (v, r, s) = parts(&payer.sign_digest(message.eip712_signing_hash(&domain())));
        let call = Token::cancelAuthorizationCall {
            authorizer: payer.address(),
            nonce: payment.nonce(),
            v,
            r,
            s,
        };
        self.send(self.stranger().await, &call).await
    }

    /// The recipient pulls the same money under the same nonce, by another kind of authorization.
    pub(crate) async fn receive(&self, payment: &Payment, payer: &Wallet) -> B256 {
        let terms = &payment.authorization;
        let message = ReceiveWithAuthorization {
            from: terms.from,
            to: terms.to,
            value: terms.value,
            validAfter: U256::from(terms.valid_after),
            validBefore: U256::from(terms.valid_before),
            nonce: terms.nonce,
        };
        let (v, r, s) = parts(&payer.sign_digest(message.eip712_signing_hash(&domain())));
        let call = Token::receiveWithAuthorizationCall {
            from: terms.from,
            to: terms.to,
            value: terms.value,
            validAfter: message.validAfter,
            validBefore: message.validBefore,
            nonce: terms.nonce,
            v,
            r,
            s,
        };
        self.fund_gas(terms.to).await.unwrap();
        self.send(terms.to, &call).await
    }

    /// Circle forbids an account to receive or send, or allows it again.
    pub(crate) async fn blacklist(&self, account: Address, on: bool) -> B256 {
        let call =
            json!({ "to": USDC, "data": Bytes::from(Token::blacklisterCall {}.abi_encode()) });
        let blacklister: Bytes = self.rpc("eth_call", json!([call, "latest"])).await.unwrap();
        let blacklister = Address::from_slice(&blacklister[12..]);
        if on {
            self.send(blacklister, &Token::blacklistCall { account })
                .await
        } else {
            self.send(blacklister, &Token::unBlacklistCall { account })
                .await
        }
    }

    /// A wallet moves USDC by a plain transfer.
    pub(crate) async fn move_away(&self, from: &Wallet, base_units: U256) -> B256 {
        self.transfer(from, Wallet::random().address(), base_units)
            .await
    }

    /// A wallet moves USDC to whom it likes.
    pub(crate) async fn transfer(&self, from: &Wallet, to: Address, base_units: U256) -> B256 {
        let call = Token::transferCall {
            to,
            value: base_units,
        };
        self.fund_gas(from.address()).await.unwrap();
        self.send(from.address(), &call).await
    }

    /// Whether a transaction was mined and did not revert; `None` while no block holds it.
    pub(crate) async fn succeeded(&self, transaction: B256) -> Option<bool> {
        let method = "eth_getTransactionReceipt";
        let receipt: Option<Value> = self.rpc(method, json!([transaction])).await.unwrap();
        receipt.map(|receipt| receipt["status"] == "0x1")
    }

    /// Whether the node holds a transaction, in a block or in its pool.
    pub(crate) async fn knows(&self, transaction: B256) -> bool {
        let method = "eth_getTransactionByHash";
        let found: Option<Value> = self.rpc(method, json!([transaction])).await.unwrap();
        found.is_some()
    }
}

fn domain() -> Eip712Domain {
    Eip712Domain::new(
        Some("USDC".into()),
        Some("2".into()),
        Some(U256::from(CHAIN_ID)),
        Some(USDC),
        None,
    )
}

fn parts(signature: &[u8]) -> (u8, B256, B256) {
    let v = signature[64];
    let v = if v < 27 { v + 27 } else { v };
    (
        v,
        B256::from_slice(&signature[..32]),
        B256::from_slice(&signature[32..64]),
    )
}
