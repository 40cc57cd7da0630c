//! A token that breaks its word, beside USDC: `contracts/test/fixtures/MisbehavingToken.sol`.

use alloy::{
    primitives::{Address, Bytes, U256},
    sol,
    sol_types::SolCall,
};
use serde_json::Value;

use super::{
    Chain, House, Payment, Reply, Setup, Wallet,
    client::{PURCHASE, purchase},
};

const ARTIFACT: &str = include_str!("../../../contracts/artifacts/MisbehavingToken.json");
const CREDIT_UNITS: u64 = 10_000;

sol! {
    #[derive(Debug)]
    enum Mode {
        Honest,
        Idle,
        ReturnsFalse,
        UsedWithoutTransfer,
        TransferWithoutUsed,
        TakesFee,
        OtherRecipient,
        LogBetween,
        Reverts,
        RevertsHugely,
        BurnsGas,
        RevertsWhenMined,
        BurnsGasWhenMined,
        IdleWhenMined,
        CallsBack,
        Forgets,
        StateReverts,
        StateAlwaysTrue,
        StateReturnsNothing
    }

    function behave(Mode mode) external;
    function plan(address target, bytes call_) external;
    function mint(address to, uint256 value) external;
    function balanceOf(address account) external view returns (uint256);
}

/// The token, and the chain that it is on.
pub(crate) struct Misbehaving {
    pub(crate) address: Address,
}

impl Misbehaving {
    pub(crate) async fn deploy(chain: &Chain) -> Self {
        let artifact: Value = serde_json::from_str(ARTIFACT).unwrap();
        let code: Bytes = artifact["bytecode"].as_str().unwrap().parse().unwrap();
        let address = chain.deploy(code).await;
        Self { address }
    }

    /// A service that takes this token beside USDC.
    pub(crate) fn sold_on(&self, setup: Setup) -> Setup {
        let tool = "[[tool]]\nslug = \"weather\"";
        let asset = format!(
            r#"[[network.asset]]
address = "{:#x}"
symbol = "BAD"
decimals = 6
eip712_name = "Misbehaving"
eip712_version = "1"

{tool}"#,
            self.address
        );
        setup.with(tool, &asset)
    }

    pub(crate) async fn behave(&self, chain: &Chain, mode: Mode) {
        self.call(chain, &behaveCall { mode }).await;
    }

    /// What it does when it calls back.
    pub(crate) async fn plan(&self, chain: &Chain, target: Address, call_: Bytes) {
        self.call(chain, &planCall { target, call_ }).await;
    }

    /// What an account holds, in base units.
    pub(crate) async fn balance_of(&self, chain: &Chain, account: Address) -> U256 {
        chain.view(self.address, &balanceOfCall { account }).await
    }

    /// Gives a wallet the tokens that so many credits cost.
    pub(crate) async fn mint(&self, chain: &Chain, wallet: &Wallet, credits: u64) {
        let mint = mintCall {
            to: wallet.address(),
            value: U256::from(credits * CREDIT_UNITS),
        };
        self.call(chain, &mint).await;
    }

    async fn call(&self, chain: &Chain, call: &impl SolCall) {
        let data = call.abi_encode().into();
        chain.transact(Some(self.address), &data).await;
    }

    /// A payer with the tokens for so many credits, and its payment in them.
    pub(crate) async fn payer(&self, house: &House, credits: u64) -> (Wallet, Payment) {
        let wallet = Wallet::random();
        self.mint(&house.chain, &wallet, credits).await;
        let quote = house.post(PURCHASE, &purchase(&wallet, credits)).await;
        let payment = self.accept(&quote, &wallet);
        (wallet, payment)
    }

    /// A payment in this token for what was quoted.
    pub(crate) fn accept(&self, quote: &Reply, wallet: &Wallet) -> Payment {
        let required = quote.payment_required();
        let offers = required["accepts"].as_array().unwrap();
        let offer = offers
            .iter()
            .find(|offer| offer["asset"].as_str().unwrap().parse() == Ok(self.address));
        Payment::accept(offer.expect("it is not for sale in this token"), wallet)
    }
}
