//! What payers send to the chain themselves. As wallets do, they send it again until a block holds it.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use alloy::{
    primitives::{Address, B256, Bytes, U64, U256},
    sol_types::SolCall,
};
use counterfoil::chain::devnet::USDC;
use serde_json::{Value, json};

use crate::{
    support::{
        Chain,
        onchain::{Shop, Usdc},
    },
    world::World,
};

const TIP_WEI: u64 = 50_000_000_000;

/// A transaction, the same however often it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    from: Address,
    nonce: u64,
    to: Address,
    data: Bytes,
    hash: B256,
}

impl Sent {
    /// Of a payer whose key nobody here needs.
    fn new(from: Address, nonce: u64, to: Address, call: &impl SolCall) -> Self {
        Self {
            from,
            nonce,
            to,
            data: call.abi_encode().into(),
            hash: B256::ZERO,
        }
    }

    /// Its hash, unless the node refuses it.
    async fn send(&self, chain: &Chain) -> Option<B256> {
        chain.fund_gas(self.from).await.unwrap();
        let impersonate = chain.rpc::<()>("anvil_impersonateAccount", json!([self.from]));
        impersonate.await.unwrap();
        let transaction = json!({
            "from": self.from,
            "nonce": U64::from(self.nonce),
            "to": self.to,
            "data": self.data,
            "gas": U256::from(300_000),
            "maxPriorityFeePerGas": U256::from(TIP_WEI),
            "maxFeePerGas": U256::from(4 * TIP_WEI),
        });
        let sent = chain.rpc("eth_sendTransaction", json!([transaction]));
        sent.await.ok()
    }

    async fn is_known(&self, chain: &Chain) -> bool {
        let found = chain.rpc("eth_getTransactionByHash", json!([self.hash]));
        let found: Value = found.await.unwrap();
        found.is_object()
    }
}

/// What has been sent so far.
#[derive(Default)]
pub(crate) struct Outbox {
    sent: Mutex<Vec<Sent>>,
    again: AtomicUsize,
}

impl Outbox {
    /// How often the node had lost a transaction.
    pub(crate) fn sent_again(&self) -> usize {
        self.again.load(Ordering::Relaxed)
    }

    fn all(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }
}

impl World {
    /// Pays the house by a plain transfer.
    pub(crate) async fn transfer(&self, from: Address, base_units: u64) -> B256 {
        let (to, value) = (self.pay_to, U256::from(base_units));
        let transfer = Usdc::transferCall { to, value };
        self.post(Sent::new(from, 0, USDC, &transfer)).await
    }

    /// Buys at the contract, out of an allowance.
    pub(crate) async fn buy_at_shop(&self, from: Address, agent: Address, base_units: u64) -> B256 {
        let (shop, amount) = (self.shop.address, U256::from(base_units));
        let allow = Usdc::approveCall {
            spender: shop,
            value: amount,
        };
        self.post(Sent::new(from, 0, USDC, &allow)).await;
        let token = USDC;
        let buy = Shop::buyCall {
            agent,
            token,
            amount,
        };
        self.post(Sent::new(from, 1, shop, &buy)).await
    }

    async fn post(&self, mut sent: Sent) -> B256 {
        sent.hash = sent.send(&self.chain).await.expect("the node takes it");
        let hash = sent.hash;
        self.outbox.sent.lock().unwrap().push(sent);
        hash
    }

    /// Sends again what the node does not know any more.
    pub(crate) async fn send_again(&self) {
        for sent in self.outbox.all() {
            if sent.is_known(&self.chain).await {
                continue;
            }
            if let Some(hash) = sent.send(&self.chain).await {
                assert_eq!(hash, sent.hash, "another transaction");
                self.outbox.again.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Waits until blocks hold all that was sent.
    pub(crate) async fn all_is_mined(&self) {
        for sent in self.outbox.all() {
            while self.chain.succeeded(sent.hash).await.is_none() {
                self.send_again().await;
                self.chain.mine(1).await.unwrap();
            }
            let succeeded = self.chain.succeeded(sent.hash).await;
            assert_eq!(succeeded, Some(true), "{sent:?}");
        }
    }
}
