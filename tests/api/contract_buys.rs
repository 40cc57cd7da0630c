//! Credits bought at the purchase contract.

use alloy::primitives::{Address, U256};

use crate::support::{
    House, Setup, Wallet,
    onchain::{OnChainShop, pull_step},
    run, until,
};

/// A house whose contract's treasury is its `pay_to`, unless it is told to be another's.
async fn house_with_shop(setup: Setup, treasury: Option<Address>) -> (House, OnChainShop) {
    let mut house = House::prepare(setup).await;
    let treasury = treasury.unwrap_or(house.pay_to);
    let shop = house.chain.open_shop(treasury).await;
    configure(&house, &shop);
    house.start().await;
    (house, shop)
}

fn configure(house: &House, shop: &OnChainShop) {
    let line = format!(
        "confirmations = 1\npurchase_contract = \"{:#x}\"",
        shop.address
    );
    house.configure("confirmations = 1", &line);
}

async fn funded(house: &House, base_units: u64) -> Wallet {
    let wallet = Wallet::random();
    let amount = U256::from(base_units);
    house.chain.mint(wallet.address(), amount).await;
    wallet
}

async fn has(house: &House, wallet: &Wallet, units: i64) {
    until("it is not credited", async || {
        house.books().await.units(wallet) == units
    })
    .await;
}

/// That what arrived is in the books, to the unit.
async fn all_is_booked(house: &House) {
    let books = house.books().await;
    assert_eq!(U256::from(books.cash()), house.received().await);
}

#[test]
fn the_agent_that_the_event_names_is_credited_by_each_way_to_buy() {
    run(async {
        let (house, shop) = house_with_shop(Setup::default(), None).await;
        let (chain, agent) = (&house.chain, Wallet::random());
        let payer = funded(&house, 600).await;
        shop.buy(chain, &payer, agent.address(), 100).await;
        has(&house, &agent, 100).await;
        shop.buy_with_permit(chain, &payer, agent.address(), 200)
            .await;
        has(&house, &agent, 300).await;
        shop.buy_with_authorization(chain, &payer, agent.address(), 300)
            .await;
        has(&house, &agent, 600).await;

        let books = house.books().await;
        assert_eq!(books.units(&payer), 0);
        assert_eq!(books.payments("event credited"), 3);
        all_is_booked(&house).await;
        let balance = house.balance(&agent).await;
        assert_eq!(balance["grants"][0]["source"], "on_chain");
        assert_eq!(balance["grants"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn purchases_beside_plain_transfers_in_one_transaction_are_each_their_own() {
    run(async {
        let credit = "[purchase]\nplain_transfers = \"credit\"\nmin_transfer_credits = 0";
        let (house, shop) =
            house_with_shop(Setup::default().with("[purchase]", credit), None).await;
        let (one, other) = (Wallet::random(), Wallet::random());
        let payer = funded(&house, 1_000).await;
        let pay_to = house.pay_to;
        house
            .chain
            .batch(async |caller| {
                house.chain.approve(payer.address(), caller, 300).await;
                vec![
                    shop.step(&payer, one.address(), 100),
                    pull_step(payer.address(), pay_to, 300),
                    shop.step(&payer, other.address(), 200),
                    shop.step(&payer, one.address(), 400),
                ]
            })
            .await;
        has(&house, &one, 500).await;
        has(&house, &other, 200).await;
        has(&house, &payer, 300).await;
        all_is_booked(&house).await;
    });
}

#[test]
fn a_treasury_of_somebody_else_sells_nothing_and_is_complained_about() {
    run(async {
        let stranger = Wallet::random().address();
        let (house, shop) = house_with_shop(Setup::default(), Some(stranger)).await;
        let (payer, agent) = (funded(&house, 100).await, Wallet::random());
        let before = house.books().await;
        shop.buy(&house.chain, &payer, agent.address(), 100).await;
        until("nobody complains", async || {
            house.stderr().contains("look at its treasury")
        })
        .await;
        assert_eq!(house.books().await, before);
    });
}

#[test]
fn what_leaves_the_contract_without_a_purchase_is_for_the_operator() {
    run(async {
        for mode in ["claim", "credit", "suspense"] {
            let mode = format!("[purchase]\nplain_transfers = \"{mode}\"");
            let setup = Setup::default().with("[purchase]", &mode);
            let (house, shop) = house_with_shop(setup, None).await;
            house.chain.mint(shop.address, U256::from(50_000)).await;
            shop.rescue(&house.chain, house.pay_to, 50_000).await;
            until("it is not in suspense", async || {
                house.books().await.suspense() == 50_000
            })
            .await;
            all_is_booked(&house).await;
        }
    });
}

#[test]
fn a_former_contract_still_sells() {
    run(async {
        let (mut house, former) = house_with_shop(Setup::default(), None).await;
        let (payer, agent) = (funded(&house, 300).await, Wallet::random());
        let status = house.terminate().await;
        assert!(status.success());
        let shop = house.chain.open_shop(house.pay_to).await;
        let name = |shop: &OnChainShop| format!("{:#x}", shop.address);
        house.configure(&name(&former), &name(&shop));
        former.buy(&house.chain, &payer, agent.address(), 100).await;
        house.start().await;
        shop.buy(&house.chain, &payer, agent.address(), 200).await;
        has(&house, &agent, 300).await;
        all_is_booked(&house).await;
    });
}

#[test]
fn an_event_of_any_other_contract_is_nothing() {
    run(async {
        let house = House::new().await;
        let shop = house.chain.open_shop(house.pay_to).await;
        let (payer, agent) = (funded(&house, 200).await, Wallet::random());
        shop.buy(&house.chain, &payer, agent.address(), 100).await;
        house.caught_up().await;
        assert_eq!(house.books().await.units(&agent), 0);
    });
}

#[test]
fn what_a_contract_sells_that_is_not_configured_yet_is_for_the_operator() {
    run(async {
        let credit = "[purchase]\nplain_transfers = \"credit\"\nmin_transfer_credits = 0";
        let house = House::with(Setup::default().with("[purchase]", credit)).await;
        let shop = house.chain.open_shop(house.pay_to).await;
        let (payer, agent) = (funded(&house, 200).await, Wallet::random());
        shop.buy(&house.chain, &payer, agent.address(), 100).await;
        until("it is not in suspense", async || {
            house.books().await.suspense() == 100
        })
        .await;
        all_is_booked(&house).await;
    });
}
