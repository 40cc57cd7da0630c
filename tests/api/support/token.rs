//! What others do with the token, behind the service's back.

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol,
    sol_types::{Eip712Domain, SolCall, SolEvent, SolStruct},
};
use counterfoil::chain::devnet::{CHAIN_ID, USDC};
use serde_json::{Value, json};

use super::{Chain, Payment, Wallet, until};

sol! {
    interface Token {
        event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);
        event Transfer(address indexed from, address indexed to, uint256 value);

        function transfer(address to, uint256 value) external returns (bool);
        function owner() external view returns (address);
        function blacklist(address account) external;
        function unBlacklist(address account) external;
        function pause() external;
        function unpause() external;
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
        self.send_to(USDC, from, call.abi_encode()).await
    }

    async fn send_to(&self, contract: Address, from: Address, data: Vec<u8>) -> B256 {
        let transaction = json!({
            "from": from,
            "to": contract,
            "data": Bytes::from(data),
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
        self.send(self.stranger().await, &settlement(payment)).await
    }

    /// A transaction that tries to settle the payment, and reverts.
    pub(crate) async fn fails_to_settle(&self, payment: &Payment) -> B256 {
        let mut forged = payment.clone();
        forged.signature[0] ^= 1;
        let hash = self.front_run(&forged).await;
        assert_eq!(self.succeeded(hash).await, Some(false));
        hash
    }

    /// A transaction with the very events of the payment's settlement, by a token that anybody can
    /// make.
    pub(crate) async fn settle_in_play_money(&self, payment: &Payment) -> B256 {
        let token = Wallet::random().address();
        self.rpc::<()>("anvil_setCode", json!([token, PLAY_MONEY]))
            .await
            .unwrap();
        let terms = &payment.authorization;
        let words = [
            Token::AuthorizationUsed::SIGNATURE_HASH,
            terms.from.into_word(),
            terms.nonce,
            Token::Transfer::SIGNATURE_HASH,
            terms.from.into_word(),
            terms.to.into_word(),
            terms.value.into(),
        ];
        let hash = self.send_to(token, self.stranger().await, words.concat());
        let hash = hash.await;
        assert_eq!(self.succeeded(hash).await, Some(true));
        hash
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

    /// A wallet moves USDC by a plain transfer.
    pub(crate) async fn move_away(&self, from: &Wallet, base_units: U256) -> B256 {
        let call = Token::transferCall {
            to: Wallet::random().address(),
            value: base_units,
        };
        self.fund_gas(from.address()).await.unwrap();
        self.send(from.address(), &call).await
    }

    /// Circle bars an account from USDC, or bars it no more.
    pub(crate) async fn blacklist(&self, account: Address, on: bool) -> B256 {
        let owner = self.view(USDC, &Token::ownerCall {}).await;
        if on {
            let call = Token::blacklistCall { account };
            self.send(owner, &call).await
        } else {
            let call = Token::unBlacklistCall { account };
            self.send(owner, &call).await
        }
    }

    /// Circle stops USDC, or lets it go on.
    pub(crate) async fn pause(&self, on: bool) -> B256 {
        let owner = self.view(USDC, &Token::ownerCall {}).await;
        if on {
            self.send(owner, &Token::pauseCall {}).await
        } else {
            self.send(owner, &Token::unpauseCall {}).await
        }
    }

    /// The gas that a transaction took.
    pub(crate) async fn gas_used(&self, transaction: B256) -> u64 {
        let method = "eth_getTransactionReceipt";
        let receipt: Value = self.rpc(method, json!([transaction])).await.unwrap();
        let gas = receipt["gasUsed"].as_str().expect("it is not mined");
        u64::from_str_radix(gas.trim_start_matches("0x"), 16).unwrap()
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

/// Logs what it is told: three topics without data, then three topics with one word of it.
const PLAY_MONEY: &str = "0x60403560203560003560006000a360c03560005260a03560803560603560206000a300";

/// The call that settles a payment.
pub(crate) fn settlement(payment: &Payment) -> Token::transferWithAuthorizationCall {
    let (v, r, s) = parts(&payment.signature);
    let terms = &payment.authorization;
    Token::transferWithAuthorizationCall {
        from: terms.from,
        to: terms.to,
        value: terms.value,
        validAfter: U256::from(terms.valid_after),
        validBefore: U256::from(terms.valid_before),
        nonce: terms.nonce,
        v,
        r,
        s,
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
