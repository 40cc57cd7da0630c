//! The judge and the relayer against a real node with the real USDC contract.

use std::{num::NonZeroU64, path::Path};

use alloy::{
    consensus::{Transaction, TxEnvelope},
    eips::eip2718::Decodable2718,
    primitives::{Address, B256, Bytes, U64, U256},
    signers::{SignerSync, local::PrivateKeySigner},
    sol,
    sol_types::{Eip712Domain, SolCall, SolStruct},
};
use axum::{Json, Router};
use counterfoil::{
    chain::{
        Asset, Broadcast, ChainError, DomainError, FacilitatorSettings, GasFunds, Network,
        NetworkSettings, NonceUse, Rejection, Relayer, SignedTransaction, SimulationError,
        StoredTransaction,
        devnet::{Devnet, DevnetOptions, USDC},
    },
    payment::{
        Authorization, AuthorizationFact, Confirmations, Inclusion, SignedAuthorization,
        TransferMethod,
    },
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use zeroize::Zeroizing;

const PAY_TO: Address = Address::repeat_byte(0xaa);
const PRICE: u64 = 1_000_000;
const FAR_AHEAD: u64 = 4_000_000_000;
const GWEI: u64 = 1_000_000_000;
const CAP: u128 = 100 * GWEI as u128;

sol! {
    struct CancelAuthorization {
        address authorizer;
        bytes32 nonce;
    }
    function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s);
}

fn blocks(count: u64) -> Confirmations {
    Confirmations::Blocks(NonZeroU64::new(count).unwrap())
}

struct World {
    devnet: Devnet,
    network: Network,
    payer: PrivateKeySigner,
}

impl World {
    /// A node, a network of that depth, a relayer with gas and a payer with 5 dollars. Blocks are
    /// made when a test says so.
    async fn new(confirmations: Confirmations) -> Self {
        let node_modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("contracts/node_modules");
        let options = DevnetOptions::from_node_modules(&node_modules)
            .unwrap_or_else(|error| panic!("{error}"));
        let devnet = Devnet::start(options).await.unwrap();
        let network = network_at(&devnet, &[devnet.rpc_url().as_str()], confirmations);
        devnet
            .fund_gas(network.relayers()[0].address())
            .await
            .unwrap();
        let payer = PrivateKeySigner::from_slice(&[0x22; 32]).unwrap();
        devnet
            .mint(payer.address(), U256::from(5 * PRICE))
            .await
            .unwrap();
        devnet.set_automine(false).await.unwrap();
        Self {
            devnet,
            network,
            payer,
        }
    }

    fn relayer(&self) -> &Relayer {
        &self.network.relayers()[0]
    }

    fn terms(&self, nonce: u8) -> Authorization {
        Authorization {
            method: TransferMethod::Eip3009,
            from: self.payer.address(),
            to: PAY_TO,
            value: U256::from(PRICE),
            valid_after: 0,
            valid_before: FAR_AHEAD,
            nonce: B256::repeat_byte(nonce),
        }
    }

    fn sign(&self, terms: &Authorization) -> Vec<u8> {
        let domain = self.network.domain(&self.devnet.usdc());
        let signature = self.payer.sign_hash_sync(&terms.digest(&domain)).unwrap();
        signature.as_bytes().to_vec()
    }

    fn signed(&self, terms: &Authorization) -> SignedAuthorization {
        by(terms, &self.sign(terms))
    }

    /// Signs the settlement of `terms` as the service does: simulated, at the next account nonce.
    async fn settlement(&self, terms: &Authorization) -> SignedTransaction {
        let signed = self.signed(terms);
        let relayer = self.relayer().address();
        let simulated = self.network.simulate_settlement(relayer, USDC, &signed);
        let gas_limit = simulated.await.unwrap();
        let nonce = self.network.next_nonce(relayer).await.unwrap();
        let fees = self.network.gas_price().await.unwrap().fees;
        let call = self.network.settlement(USDC, &signed);
        self.relayer().sign_call(&call, nonce, fees, gas_limit)
    }

    async fn settle(&self, terms: &Authorization) -> B256 {
        let signed = self.settlement(terms).await;
        assert_eq!(
            self.network.broadcast(&signed.raw).await,
            Broadcast::Accepted
        );
        self.devnet.mine(1).await.unwrap();
        signed.hash
    }

    /// Sends a call to the token from an account that has nothing to do with the service.
    async fn send_as_stranger(&self, data: Bytes) -> B256 {
        let accounts: Vec<Address> = self.devnet.rpc("eth_accounts", json!([])).await.unwrap();
        let transaction = json!({ "from": accounts[5], "to": USDC, "data": data });
        let hash = self
            .devnet
            .rpc("eth_sendTransaction", json!([transaction]))
            .await
            .unwrap();
        self.devnet.mine(1).await.unwrap();
        hash
    }

    async fn fact(&self, terms: &Authorization, known: Option<B256>) -> AuthorizationFact {
        let look = self.network.authorization_fact(USDC, terms, None, known);
        look.await.unwrap().fact
    }

    /// Where a transaction stands that the newest block holds.
    async fn at_head(&self, transaction: B256, confirmed: bool) -> Inclusion {
        let head: Value = self
            .devnet
            .rpc("eth_getBlockByNumber", json!(["latest", false]))
            .await
            .unwrap();
        Inclusion {
            transaction,
            block: self.head().await,
            block_hash: head["hash"].as_str().unwrap().parse().unwrap(),
            confirmed,
        }
    }

    async fn head(&self) -> u64 {
        let head: U64 = self.devnet.rpc("eth_blockNumber", json!([])).await.unwrap();
        head.to()
    }
}

fn network_at(devnet: &Devnet, urls: &[&str], confirmations: Confirmations) -> Network {
    Network::new(NetworkSettings {
        id: devnet.network_id(),
        rpc_urls: urls.iter().map(|url| url.parse().unwrap()).collect(),
        confirmations,
        pay_to: PAY_TO,
        assets: vec![devnet.usdc()],
        wallet_factories: Vec::new(),
        facilitators: vec![FacilitatorSettings::Local],
        relayer_keys: vec![Zeroizing::new([0x33; 32])],
        low_settlements: 0,
        float_key: None,
        max_fee_per_gas: CAP,
    })
    .unwrap()
}

fn by(terms: &Authorization, signature: &[u8]) -> SignedAuthorization {
    SignedAuthorization {
        terms: terms.clone(),
        signature: signature.to_vec(),
        permit: None,
    }
}

fn call_data(signed: &SignedTransaction) -> Bytes {
    let transaction = TxEnvelope::decode_2718(&mut signed.raw.as_slice()).unwrap();
    transaction.input().clone()
}

#[tokio::test]
async fn a_settlement_is_paid_at_once_and_confirmed_at_its_depth() {
    let world = World::new(blocks(3)).await;
    let terms = world.terms(1);
    assert!(matches!(
        world.fact(&terms, None).await,
        AuthorizationFact::Unused { .. }
    ));

    let transaction = world.settle(&terms).await;
    let at = world.at_head(transaction, false).await;
    let block = at.block;
    let paid = |confirmed| AuthorizationFact::Paid(Inclusion { confirmed, ..at });
    for confirmed in [false, false, true] {
        // Told the transaction or not, and told where to search or not: the same fact.
        assert_eq!(world.fact(&terms, Some(transaction)).await, paid(confirmed));
        assert_eq!(world.fact(&terms, None).await, paid(confirmed));
        let since = world
            .network
            .authorization_fact(USDC, &terms, Some(block), None);
        assert_eq!(since.await.unwrap().fact, paid(confirmed));
        world.devnet.mine(1).await.unwrap();
    }
    let balance = world.network.balance_of(USDC, PAY_TO).await.unwrap();
    assert_eq!(balance, U256::from(PRICE));
}

#[tokio::test]
async fn a_used_nonce_outside_of_the_search_is_unexplained() {
    let world = World::new(blocks(1)).await;
    let terms = world.terms(1);
    world.settle(&terms).await;
    world.devnet.mine(1).await.unwrap();
    let since = Some(world.head().await);
    let look = world.network.authorization_fact(USDC, &terms, since, None);
    assert_eq!(look.await.unwrap().fact, AuthorizationFact::Unexplained);
}

#[tokio::test]
async fn the_same_bytes_may_be_broadcast_again() {
    let world = World::new(blocks(1)).await;
    let terms = world.terms(1);
    let signed = world.settlement(&terms).await;
    let send = || world.network.broadcast(&signed.raw);
    assert_eq!(send().await, Broadcast::Accepted);
    assert_eq!(send().await, Broadcast::AlreadyKnown);
    let relayer = world.relayer().address();
    // What only waits in a pool takes no account nonce.
    assert_eq!(world.network.next_nonce(relayer).await, Ok(0));
    let included = || world.network.transaction_included(signed.hash);
    assert_eq!(included().await.unwrap(), None);
    assert!(matches!(
        world.fact(&terms, Some(signed.hash)).await,
        AuthorizationFact::Unused { .. }
    ));

    world.devnet.mine(1).await.unwrap();
    assert_eq!(send().await, Broadcast::NonceTooLow);
    let included = included().await.unwrap().unwrap();
    assert!(included.succeeded && included.inclusion.confirmed);
    assert_eq!(
        world.fact(&terms, Some(signed.hash)).await,
        AuthorizationFact::Paid(included.inclusion)
    );
}

#[tokio::test]
async fn a_relayer_without_gas_is_told_so() {
    let world = World::new(blocks(1)).await;
    let signed = world.settlement(&world.terms(1)).await;
    let relayer = world.relayer().address();
    let emptied: Value = world
        .devnet
        .rpc("anvil_setBalance", json!([relayer, "0x0"]))
        .await
        .unwrap();
    assert_eq!(emptied, Value::Null);
    let funds = || world.network.gas_funds(relayer);
    let nothing = GasFunds {
        next_nonce: 0,
        balance_gwei: 0,
    };
    assert_eq!(funds().await, Ok(nothing));
    let outcome = world.network.broadcast(&signed.raw).await;
    let Broadcast::Rejected { cause, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(cause, Rejection::Funds);
    // A part of a gwei is none.
    let some = json!([relayer, U256::from(3 * GWEI - 1)]);
    let () = world.devnet.rpc("anvil_setBalance", some).await.unwrap();
    assert_eq!(funds().await.unwrap().balance_gwei, 2);
    world.devnet.fund_gas(relayer).await.unwrap();
    let cost = signed.cost_gwei;
    assert!(cost > 0 && cost < funds().await.unwrap().balance_gwei);
    assert_eq!(
        world.network.broadcast(&signed.raw).await,
        Broadcast::Accepted
    );
}

#[tokio::test]
async fn gas_that_costs_more_than_the_operator_allows_is_not_offered() {
    let world = World::new(blocks(1)).await;
    world.devnet.set_next_base_fee(60 * GWEI).await.unwrap();
    world.devnet.mine(1).await.unwrap();
    let price = world.network.gas_price().await.unwrap();
    assert!(price.base_fee_per_gas > u128::from(50 * GWEI), "{price:?}");
    assert_eq!(price.fees.max_fee_per_gas, CAP);
    world.devnet.set_next_base_fee(150 * GWEI).await.unwrap();
    world.devnet.mine(1).await.unwrap();
    let refused = world.network.gas_price().await;
    assert!(
        matches!(refused, Err(ChainError::GasTooDear { cap: CAP, .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_transaction_that_fees_overtook_is_replaced_under_its_account_nonce() {
    let world = World::new(blocks(1)).await;
    let terms = world.terms(1);
    let first = world.settlement(&terms).await;
    assert_eq!(
        world.network.broadcast(&first.raw).await,
        Broadcast::Accepted
    );
    world.devnet.set_next_base_fee(20 * GWEI).await.unwrap();
    world.devnet.mine(1).await.unwrap();
    let stored = StoredTransaction::read(&first.raw).unwrap();
    let price = world.network.gas_price().await.unwrap();
    assert!(price.outbids(stored.fees()));

    let fees = price.fees.replacing(stored.fees(), CAP).unwrap();
    let second = world.relayer().sign_again(&stored, fees).unwrap();
    assert_eq!(
        world.network.broadcast(&second.raw).await,
        Broadcast::Accepted
    );
    world.devnet.mine(1).await.unwrap();
    // Told of the transaction that was replaced: the other one is found all the same.
    let AuthorizationFact::Paid(at) = world.fact(&terms, Some(first.hash)).await else {
        panic!("it is not paid");
    };
    assert_eq!(at.transaction, second.hash);
    assert!(!price.outbids(fees));
}

#[tokio::test]
async fn a_node_that_refuses_low_fees_is_understood() {
    let world = World::new(blocks(1)).await;
    let signed = world.settlement(&world.terms(1)).await;
    world.devnet.set_next_base_fee(50 * GWEI).await.unwrap();
    let outcome = world.network.broadcast(&signed.raw).await;
    if outcome != Broadcast::Accepted {
        let Broadcast::Rejected { cause, .. } = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(cause, Rejection::Fees);
    }
    // At nearly the same fees, a second one cannot take its place.
    let stored = StoredTransaction::read(&signed.raw).unwrap();
    let mut fees = stored.fees();
    fees.max_fee_per_gas += 1;
    let nearly = world.relayer().sign_again(&stored, fees).unwrap();
    let outcome = world.network.broadcast(&nearly.raw).await;
    let Broadcast::Rejected { cause, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(cause, Rejection::Fees);
}

#[tokio::test]
async fn an_account_nonce_is_used_up_only_at_its_depth() {
    let world = World::new(blocks(3)).await;
    let relayer = world.relayer().address();
    let uses = async |nonce: u64, hashes: &[B256]| {
        let used = world.network.nonce_use(relayer, nonce, hashes);
        used.await.unwrap()
    };
    let snapshot = world.devnet.snapshot().await.unwrap();
    assert_eq!(uses(0, &[]).await, NonceUse::Unused { next: 0 });
    assert_eq!(uses(7, &[]).await, NonceUse::Unused { next: 0 });
    let hash = world.settle(&world.terms(1)).await;
    for confirmed in [false, false, true] {
        // By our transaction, by any of ours, or by one that nobody here knows.
        let use_of_it = NonceUse::Used {
            confirmed,
            reverted: false,
        };
        assert_eq!(uses(0, &[hash]).await, use_of_it);
        assert_eq!(uses(0, &[B256::repeat_byte(1), hash]).await, use_of_it);
        assert_eq!(uses(0, &[]).await, use_of_it);
        assert_eq!(uses(1, &[]).await, NonceUse::Unused { next: 1 });
        world.devnet.mine(1).await.unwrap();
    }
    world.devnet.revert(snapshot).await.unwrap();
    assert_eq!(uses(0, &[hash]).await, NonceUse::Unused { next: 0 });
}

#[tokio::test]
async fn a_filler_uses_an_account_nonce_up_and_moves_nothing() {
    let world = World::new(blocks(1)).await;
    let relayer = world.relayer().address();
    let before = world.network.gas_balance(relayer).await.unwrap();
    let fees = world.network.gas_price().await.unwrap().fees;
    let gas_limit = world.network.filler_gas(relayer).await.unwrap();
    let filler = world.relayer().sign_filler(0, fees, gas_limit);
    assert_eq!(
        world.network.broadcast(&filler.raw).await,
        Broadcast::Accepted
    );
    world.devnet.mine(1).await.unwrap();
    assert_eq!(world.network.next_nonce(relayer).await, Ok(1));
    let cost = before - world.network.gas_balance(relayer).await.unwrap();
    let highest = U256::from(fees.max_fee_per_gas) * U256::from(21_000);
    assert!(cost > U256::ZERO && cost <= highest, "{cost}");
}

/// A node whose `eth_getLogs` answers with an error when `refuses` says which for so many blocks.
async fn logs_refused(devnet: &Devnet, refuses: fn(u64) -> Option<&'static str>) -> String {
    let (node, http) = (devnet.rpc_url().clone(), reqwest::Client::new());
    let forward = async move |Json(call): Json<Value>| -> Json<Value> {
        if call["method"] == "eth_getLogs" {
            let block = |name: &str| -> U64 {
                serde_json::from_value(call["params"][0][name].clone()).unwrap()
            };
            let blocks = block("toBlock") - block("fromBlock") + U64::ONE;
            if let Some(message) = refuses(blocks.to()) {
                let error = json!({ "code": -32005, "message": message });
                return Json(json!({ "jsonrpc": "2.0", "id": call["id"], "error": error }));
            }
        }
        let sent = http.post(node.clone()).json(&call).send();
        Json(sent.await.unwrap().json().await.unwrap())
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().fallback(forward);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

#[tokio::test]
async fn a_search_narrows_for_a_limit_on_the_range_and_for_nothing_else() {
    let world = World::new(blocks(1)).await;
    let terms = world.terms(1);
    let transaction = world.settle(&terms).await;
    world.devnet.mine(1_000).await.unwrap();
    let look = async |url: &str| {
        let network = network_at(&world.devnet, &[url], blocks(1));
        let look = network.authorization_fact(USDC, &terms, None, None);
        look.await.map(|look| look.fact)
    };
    let narrow = |blocks| (blocks > 300).then_some("block range is too wide");
    let url = logs_refused(&world.devnet, narrow).await;
    let Ok(AuthorizationFact::Paid(at)) = look(&url).await else {
        panic!("it is not found");
    };
    assert_eq!(at.transaction, transaction);

    // Too narrow to get there: that is no statement about the authorization.
    let narrow = |blocks| (blocks > 10).then_some("block range is too wide");
    let url = logs_refused(&world.devnet, narrow).await;
    let unfinished = look(&url).await;
    assert!(
        matches!(unfinished, Err(ChainError::SearchUnfinished { .. })),
        "{unfinished:?}"
    );

    let busy = logs_refused(&world.devnet, |_| Some("daily request count exceeded")).await;
    let refused = look(&busy).await;
    assert!(matches!(refused, Err(ChainError::Rpc(_))), "{refused:?}");
    // Another node may know.
    let urls = [busy.as_str(), world.devnet.rpc_url().as_str()];
    let network = network_at(&world.devnet, &urls, blocks(1));
    let look = network.authorization_fact(USDC, &terms, None, None);
    assert!(matches!(
        look.await.unwrap().fact,
        AuthorizationFact::Paid(_)
    ));
}

#[tokio::test]
async fn a_look_says_where_later_searches_may_end() {
    let world = World::new(blocks(3)).await;
    let terms = world.terms(1);
    world.devnet.mine(400).await.unwrap();
    let since = async || {
        let look = world.network.authorization_fact(USDC, &terms, None, None);
        look.await.unwrap().since_block
    };
    assert_eq!(since().await, world.head().await - 2 - 256);
    world.settle(&terms).await;
    let used = world.head().await;
    world.devnet.mine(100).await.unwrap();
    assert_eq!(since().await, used - 256);
    let look = world
        .network
        .authorization_fact(USDC, &terms, Some(used - 256), None);
    assert!(matches!(
        look.await.unwrap().fact,
        AuthorizationFact::Paid(_)
    ));
}

#[tokio::test]
async fn a_cancelled_authorization_is_used_up_but_not_paid() {
    let world = World::new(blocks(1)).await;
    let terms = world.terms(1);
    let asset = world.devnet.usdc();
    let domain = Eip712Domain::new(
        Some(asset.eip712_name.into()),
        Some(asset.eip712_version.into()),
        Some(U256::from(world.devnet.network_id().chain_id())),
        Some(USDC),
        None,
    );
    let cancel = CancelAuthorization {
        authorizer: terms.from,
        nonce: terms.nonce,
    };
    let digest = cancel.eip712_signing_hash(&domain);
    let signature = world.payer.sign_hash_sync(&digest).unwrap();
    let call = cancelAuthorizationCall {
        authorizer: terms.from,
        nonce: terms.nonce,
        v: 27 + u8::from(signature.v()),
        r: signature.r().into(),
        s: signature.s().into(),
    };
    let transaction = world.send_as_stranger(call.abi_encode().into()).await;
    let cancelled = AuthorizationFact::Cancelled(world.at_head(transaction, true).await);
    assert_eq!(world.fact(&terms, None).await, cancelled);
}

#[tokio::test]
async fn a_nonce_used_for_another_recipient_is_spent_elsewhere() {
    let world = World::new(blocks(1)).await;
    let terms = world.terms(1);
    let elsewhere = Authorization {
        method: TransferMethod::Eip3009,
        to: Address::repeat_byte(0xbb),
        ..terms.clone()
    };
    let transaction = world.settle(&elsewhere).await;
    let at = world.at_head(transaction, true).await;
    assert_eq!(
        world.fact(&terms, None).await,
        AuthorizationFact::SpentElsewhere(at)
    );
}

#[tokio::test]
async fn a_front_run_settlement_is_a_settlement() {
    let world = World::new(blocks(1)).await;
    let terms = world.terms(1);
    let ours = world.settlement(&terms).await;
    let theirs = world.send_as_stranger(call_data(&ours)).await;
    let at = world.at_head(theirs, true).await;
    assert_eq!(
        world.network.broadcast(&ours.raw).await,
        Broadcast::Accepted
    );
    world.devnet.mine(1).await.unwrap();
    let failed = world.network.transaction_included(ours.hash).await.unwrap();
    assert!(!failed.unwrap().succeeded);
    assert_eq!(
        world.fact(&terms, Some(ours.hash)).await,
        AuthorizationFact::Paid(at)
    );
}

#[tokio::test]
async fn an_authorization_that_ran_out_stays_unused() {
    let world = World::new(blocks(1)).await;
    let head: Value = world
        .devnet
        .rpc("eth_getBlockByNumber", json!(["latest", false]))
        .await
        .unwrap();
    let now: U256 = serde_json::from_value(head["timestamp"].clone()).unwrap();
    let terms = Authorization {
        method: TransferMethod::Eip3009,
        valid_before: now.to::<u64>() + 60,
        ..world.terms(1)
    };
    world.devnet.increase_time(120).await.unwrap();
    let AuthorizationFact::Unused { confirmed_until } = world.fact(&terms, None).await else {
        panic!("it was never used");
    };
    assert!(confirmed_until > terms.expires_at());
    let signed = world.signed(&terms);
    let relayer = world.relayer().address();
    let simulated = world.network.simulate_settlement(relayer, USDC, &signed);
    assert_eq!(
        simulated.await,
        Err(SimulationError::Reverted(
            "FiatTokenV2: authorization is expired".into()
        ))
    );
}

#[tokio::test]
async fn the_simulation_tells_what_the_token_would() {
    let world = World::new(blocks(1)).await;
    let terms = world.terms(1);
    let simulate = async |terms: &Authorization, signature: &[u8]| {
        let signed = by(terms, signature);
        let simulated = world
            .network
            .simulate_settlement(world.relayer().address(), USDC, &signed);
        simulated.await
    };
    let signature = world.sign(&terms);
    assert!((50_000..200_000).contains(&simulate(&terms, &signature).await.unwrap()));

    let too_much = Authorization {
        method: TransferMethod::Eip3009,
        value: U256::from(6 * PRICE),
        ..terms.clone()
    };
    let reverted = |reason: &str| Err(SimulationError::Reverted(reason.into()));
    assert_eq!(
        simulate(&too_much, &world.sign(&too_much)).await,
        reverted("ERC20: transfer amount exceeds balance")
    );
    assert_eq!(
        simulate(&terms, &world.sign(&too_much)).await,
        reverted("FiatTokenV2: invalid signature")
    );
}

#[tokio::test]
async fn a_payment_in_a_block_that_was_replaced_is_unpaid_again() {
    let world = World::new(blocks(2)).await;
    let terms = world.terms(1);
    let snapshot = world.devnet.snapshot().await.unwrap();
    let transaction = world.settle(&terms).await;
    assert!(matches!(
        world.fact(&terms, Some(transaction)).await,
        AuthorizationFact::Paid(Inclusion {
            confirmed: false,
            ..
        })
    ));
    world.devnet.revert(snapshot).await.unwrap();
    assert!(matches!(
        world.fact(&terms, Some(transaction)).await,
        AuthorizationFact::Unused { .. }
    ));
}

#[tokio::test]
async fn safe_and_finalized_are_the_nodes_own_words() {
    let world = World::new(Confirmations::Finalized).await;
    let terms = world.terms(1);
    world.settle(&terms).await;
    let confirmed = async |network: &Network| {
        let look = network.authorization_fact(USDC, &terms, None, None);
        match look.await.unwrap().fact {
            AuthorizationFact::Paid(at) => at.confirmed,
            other => panic!("{other:?}"),
        }
    };
    let urls = [world.devnet.rpc_url().as_str()];
    let safe = network_at(&world.devnet, &urls, Confirmations::Safe);
    assert!(!confirmed(&safe).await && !confirmed(&world.network).await);
    // Anvil calls a block safe after 32 more, and finalized after 64.
    world.devnet.mine(40).await.unwrap();
    assert!(confirmed(&safe).await && !confirmed(&world.network).await);
    world.devnet.mine(40).await.unwrap();
    assert!(confirmed(&world.network).await);
}

#[tokio::test]
async fn a_dead_node_is_passed_over_and_a_node_of_another_chain_refused() {
    let world = World::new(blocks(1)).await;
    let alive = world.devnet.rpc_url().as_str();
    let dead = "http://user:hunter2hunter2@127.0.0.1:1/secretkey";
    let network = network_at(&world.devnet, &[dead, alive], blocks(1));
    network.verify_chain_id().await.unwrap();
    let balance = network.balance_of(USDC, world.payer.address()).await;
    assert_eq!(balance, Ok(U256::from(5 * PRICE)));

    let unreachable = network_at(&world.devnet, &[dead], blocks(1));
    let error = unreachable.gas_price().await.unwrap_err();
    assert!(matches!(error, ChainError::Unreachable { .. }));
    let told = format!("{error} {error:?} {unreachable:?}");
    assert!(
        !told.contains("secretkey") && !told.contains("hunter2"),
        "{told}"
    );
    let outcome = unreachable.broadcast(&[1, 2, 3]).await;
    assert!(matches!(outcome, Broadcast::Unknown { .. }), "{outcome:?}");

    let settings = NetworkSettings {
        id: counterfoil::base::NetworkId::from_chain_id(1),
        rpc_urls: vec![alive.parse().unwrap()],
        confirmations: blocks(1),
        pay_to: PAY_TO,
        assets: Vec::new(),
        wallet_factories: Vec::new(),
        facilitators: vec![FacilitatorSettings::Local],
        relayer_keys: vec![Zeroizing::new([0x33; 32])],
        low_settlements: 0,
        float_key: None,
        max_fee_per_gas: CAP,
    };
    let elsewhere = Network::new(settings).unwrap();
    for outcome in [
        elsewhere.verify_chain_id().await,
        elsewhere.check_live().await,
        elsewhere.gas_price().await.map(drop),
    ] {
        assert!(matches!(outcome, Err(ChainError::WrongChain { .. })));
    }
}

#[tokio::test]
async fn a_wrong_domain_is_noticed() {
    let world = World::new(blocks(1)).await;
    let asset = world.devnet.usdc();
    assert_eq!(world.network.check_domain(&asset).await, Ok(()));
    for wrong in [
        Asset {
            eip712_name: "USD Coin".into(),
            ..asset.clone()
        },
        Asset {
            eip712_version: "1".into(),
            ..asset.clone()
        },
    ] {
        let refused = world.network.check_domain(&wrong).await;
        assert!(matches!(refused, Err(DomainError::Mismatch { .. })));
    }
    let no_token = Asset {
        token: PAY_TO,
        ..asset
    };
    assert!(matches!(
        world.network.check_domain(&no_token).await,
        Err(DomainError::Chain(ChainError::BadReply { .. }))
    ));
}
