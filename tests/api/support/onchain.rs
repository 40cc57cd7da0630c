//! What payers do on the chain themselves: plain transfers, purchases at the contract, and whole
//! transactions of several calls.

use alloy::{
    primitives::{Address, B256, Bytes, U64, U256, keccak256},
    sol,
    sol_types::{Eip712Domain, SolCall, SolStruct, SolValue},
};
use counterfoil::chain::devnet::{CHAIN_ID, USDC};
use serde_json::{Value, json};

use super::{Chain, House, Payment, Wallet, books, now, random, until};

sol! {
    interface Usdc {
        function transfer(address to, uint256 value) external returns (bool);
        function transferFrom(address from, address to, uint256 value) external returns (bool);
        function approve(address spender, uint256 value) external returns (bool);
        function nonces(address owner) external view returns (uint256);
        function transferWithAuthorization(
            address from, address to, uint256 value, uint256 validAfter, uint256 validBefore,
            bytes32 nonce, bytes signature
        ) external;
    }

    struct SaltedAuthorization {
        address payer;
        uint256 amount;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 salt;
        bytes signature;
    }

    interface Shop {
        function setTreasury(address treasury) external;
        function setToken(address token, bool allowed) external;
        function rescue(address token, address to, uint256 amount) external;
        function buy(address agent, address token, uint256 amount) external;
        function buyWithPermit(
            address agent, address token, uint256 amount, uint256 deadline, uint8 v, bytes32 r,
            bytes32 s
        ) external;
        function buyWithAuthorization(
            address agent, address token, SaltedAuthorization authorization
        ) external;
    }

    struct Permit {
        address owner;
        address spender;
        uint256 value;
        uint256 nonce;
        uint256 deadline;
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

const ARTIFACT: &str = include_str!("../../../contracts/artifacts/CreditsPurchase.json");

const FEE_WEI: u64 = 50_000_000_000;

/// One call of a transaction.
pub(crate) struct Step {
    to: Address,
    data: Vec<u8>,
}

impl Step {
    pub(crate) fn of(to: Address, call: &impl SolCall) -> Self {
        let data = call.abi_encode();
        Self { to, data }
    }
}

impl Chain {
    /// Sends a transaction from an account whose key nobody here needs, and waits for its block if
    /// the node makes one by itself.
    async fn send_from(&self, from: Address, to: Option<Address>, data: Vec<u8>) -> B256 {
        self.fund_gas(from).await.unwrap();
        self.rpc::<()>("anvil_impersonateAccount", json!([from]))
            .await
            .unwrap();
        let mut transaction = json!({
            "from": from,
            "data": Bytes::from(data),
            "gas": U256::from(6_000_000),
            // Fixed, so that the same transaction sent again is the same.
            "maxPriorityFeePerGas": U256::from(FEE_WEI),
            "maxFeePerGas": U256::from(4 * FEE_WEI),
        });
        if let Some(to) = to {
            transaction["to"] = json!(to);
        }
        let sent = self.rpc("eth_sendTransaction", json!([transaction])).await;
        let hash = sent.unwrap();
        if self.rpc("anvil_getAutomine", json!([])).await.unwrap() {
            let mined = async || self.succeeded(hash).await.is_some();
            until("a transaction is not mined", mined).await;
        }
        hash
    }

    async fn call_from(&self, from: Address, to: Address, call: &impl SolCall) -> B256 {
        self.send_from(from, Some(to), call.abi_encode()).await
    }

    /// A plain transfer of USDC, in base units.
    pub(crate) async fn transfer(&self, from: Address, to: Address, base_units: u64) -> B256 {
        let value = U256::from(base_units);
        let call = Usdc::transferCall { to, value };
        self.call_from(from, USDC, &call).await
    }

    /// A wallet with so many base units, which pays them to `to` by a plain transfer.
    pub(crate) async fn paid_plainly(&self, to: Address, base_units: u64) -> (Wallet, B256) {
        let wallet = Wallet::random();
        self.mint(wallet.address(), U256::from(base_units)).await;
        let hash = self.transfer(wallet.address(), to, base_units).await;
        (wallet, hash)
    }

    pub(crate) async fn approve(&self, owner: Address, spender: Address, base_units: u64) {
        let value = U256::from(base_units);
        let call = Usdc::approveCall { spender, value };
        self.call_from(owner, USDC, &call).await;
    }

    /// Does all steps in one transaction of an account that `steps` is told of.
    pub(crate) async fn batch(&self, steps: impl AsyncFnOnce(Address) -> Vec<Step>) -> B256 {
        let sender = Wallet::random().address();
        // A contract that does it all while it is created.
        let steps = steps(sender.create(0)).await;
        let hash = self.send_from(sender, None, creation(&steps)).await;
        if let Some(succeeded) = self.succeeded(hash).await {
            assert!(succeeded, "a step failed");
        }
        hash
    }

    /// Another contract says that its token moved.
    pub(crate) async fn false_transfer(&self, from: Address, to: Address, base_units: u64) -> B256 {
        let push = |code: &mut Vec<u8>, word: B256| {
            code.push(0x7f);
            code.extend_from_slice(word.as_slice());
        };
        let mut code = Vec::new();
        push(&mut code, U256::from(base_units).into());
        code.extend([0x60, 0, 0x52]);
        push(&mut code, to.into_word());
        push(&mut code, from.into_word());
        push(&mut code, keccak256("Transfer(address,address,uint256)"));
        code.extend([0x60, 32, 0x60, 0, 0xa3, 0x00]);
        self.send_from(Wallet::random().address(), None, code).await
    }

    /// The contract that `sender` makes by its first transaction pays 10,000 base units for each block
    /// of the chain, from what it holds: the same transaction pays more in a later block.
    pub(crate) async fn pay_by_height(&self, sender: Address, to: Address) -> B256 {
        let mut code = Vec::new();
        code.push(0x7f);
        code.extend_from_slice(&Usdc::transferCall::SELECTOR);
        code.extend_from_slice(&[0; 28]);
        code.extend([0x60, 0, 0x52, 0x7f]);
        code.extend_from_slice(to.into_word().as_slice());
        code.extend([0x60, 4, 0x52]);
        // NUMBER * 10,000
        code.extend([0x43, 0x61, 0x27, 0x10, 0x02, 0x60, 36, 0x52]);
        code.extend([0x60, 0, 0x60, 0, 0x60, 68, 0x60, 0, 0x60, 0, 0x73]);
        code.extend_from_slice(USDC.as_slice());
        code.extend([0x5a, 0xf1, 0x00]);
        self.send_from(sender, None, code).await
    }

    /// `CreditsPurchase`, which takes USDC and passes it on to `treasury`.
    pub(crate) async fn open_shop(&self, treasury: Address) -> OnChainShop {
        let artifact: Value = serde_json::from_str(ARTIFACT).unwrap();
        let bytecode = artifact["bytecode"]["object"]
            .as_str()
            .or_else(|| artifact["bytecode"].as_str());
        let mut code = hex::decode(bytecode.unwrap().trim_start_matches("0x")).unwrap();
        let owner = Wallet::random().address();
        code.extend(owner.abi_encode());
        let hash = self.send_from(owner, None, code).await;
        assert_eq!(self.succeeded(hash).await, Some(true));
        let address = owner.create(0);
        let shop = OnChainShop { address, owner };
        self.call_from(owner, address, &Shop::setTreasuryCall { treasury })
            .await;
        let (token, allowed) = (USDC, true);
        let allow = Shop::setTokenCall { token, allowed };
        let set = self.call_from(owner, address, &allow).await;
        assert_eq!(self.succeeded(set).await, Some(true));
        shop
    }
}

/// The code of a contract that makes every call when it is created, and reverts if one fails.
fn creation(steps: &[Step]) -> Vec<u8> {
    // PUSH4 length, PUSH4 offset, PUSH0, CODECOPY; five PUSHes, PUSH20, GAS, CALL; ISZERO PUSH4 JUMPI.
    const STEP_BYTES: usize = 5 + 5 + 2 + 1 + 2 + 2 + 5 + 2 + 2 + 21 + 1 + 1 + 1 + 5 + 1;
    let code_bytes = STEP_BYTES * steps.len() + 1 + 6;
    let end = u32::try_from(code_bytes - 6).unwrap();
    let push4 = |code: &mut Vec<u8>, value: usize| {
        code.push(0x63);
        code.extend(u32::try_from(value).unwrap().to_be_bytes());
    };
    let (mut code, mut data) = (Vec::new(), Vec::new());
    for step in steps {
        push4(&mut code, step.data.len());
        push4(&mut code, code_bytes + data.len());
        code.extend([0x60, 0, 0x39]);
        code.extend([0x60, 0, 0x60, 0]);
        push4(&mut code, step.data.len());
        code.extend([0x60, 0, 0x60, 0, 0x73]);
        code.extend(step.to);
        code.extend([0x5a, 0xf1, 0x15]);
        push4(&mut code, end as usize);
        code.push(0x57);
        data.extend_from_slice(&step.data);
    }
    code.push(0x00);
    // JUMPDEST PUSH1 0 PUSH1 0 REVERT
    code.extend([0x5b, 0x60, 0, 0x60, 0, 0xfd]);
    assert_eq!(code.len(), code_bytes);
    code.extend(data);
    code
}

/// A payment as a step of a transaction.
pub(crate) fn settle_step(payment: &Payment) -> Step {
    let terms = &payment.authorization;
    let call = Usdc::transferWithAuthorizationCall {
        from: terms.from,
        to: terms.to,
        value: terms.value,
        validAfter: U256::from(terms.valid_after),
        validBefore: U256::from(terms.valid_before),
        nonce: terms.nonce,
        signature: payment.signature.clone().into(),
    };
    Step::of(USDC, &call)
}

/// A transfer out of an allowance, as a step of a transaction.
pub(crate) fn pull_step(from: Address, to: Address, base_units: u64) -> Step {
    let value = U256::from(base_units);
    Step::of(USDC, &Usdc::transferFromCall { from, to, value })
}

/// The contract that sells credits.
pub(crate) struct OnChainShop {
    pub(crate) address: Address,
    owner: Address,
}

impl OnChainShop {
    /// Buys with an allowance.
    pub(crate) async fn buy(
        &self,
        chain: &Chain,
        payer: &Wallet,
        agent: Address,
        base_units: u64,
    ) -> B256 {
        chain
            .approve(payer.address(), self.address, base_units)
            .await;
        let call = Shop::buyCall {
            agent,
            token: USDC,
            amount: U256::from(base_units),
        };
        chain.call_from(payer.address(), self.address, &call).await
    }

    /// Buys with an EIP-2612 permit.
    pub(crate) async fn buy_with_permit(
        &self,
        chain: &Chain,
        payer: &Wallet,
        agent: Address,
        base_units: u64,
    ) -> B256 {
        let (amount, deadline) = (U256::from(base_units), U256::from(now() + 600));
        let signature = token_permit(payer, self.address, amount, U256::ZERO, deadline);
        let call = Shop::buyWithPermitCall {
            agent,
            token: USDC,
            amount,
            deadline,
            v: signature[64],
            r: B256::from_slice(&signature[..32]),
            s: B256::from_slice(&signature[32..64]),
        };
        chain.call_from(payer.address(), self.address, &call).await
    }

    /// A stranger submits the payer's signed authorization.
    pub(crate) async fn buy_with_authorization(
        &self,
        chain: &Chain,
        payer: &Wallet,
        agent: Address,
        base_units: u64,
    ) -> B256 {
        let call = self.authorized(payer, agent, base_units);
        let stranger = Wallet::random().address();
        chain.call_from(stranger, self.address, &call).await
    }

    fn authorized(&self, payer: &Wallet, agent: Address, base_units: u64) -> impl SolCall + use<> {
        let salt = B256::from(random());
        let message = ReceiveWithAuthorization {
            from: payer.address(),
            to: self.address,
            value: U256::from(base_units),
            validAfter: U256::ZERO,
            validBefore: U256::from(now() + 600),
            nonce: keccak256((agent, salt).abi_encode()),
        };
        let signature = payer.sign_digest(message.eip712_signing_hash(&usdc_domain()));
        Shop::buyWithAuthorizationCall {
            agent,
            token: USDC,
            authorization: SaltedAuthorization {
                payer: payer.address(),
                amount: message.value,
                validAfter: message.validAfter,
                validBefore: message.validBefore,
                salt,
                signature: signature.into(),
            },
        }
    }

    /// A purchase as a step of a transaction.
    pub(crate) fn step(&self, payer: &Wallet, agent: Address, base_units: u64) -> Step {
        Step::of(self.address, &self.authorized(payer, agent, base_units))
    }

    /// The owner moves tokens that lie in the contract.
    pub(crate) async fn rescue(&self, chain: &Chain, to: Address, base_units: u64) -> B256 {
        let call = Shop::rescueCall {
            token: USDC,
            to,
            amount: U256::from(base_units),
        };
        chain.call_from(self.owner, self.address, &call).await
    }
}

/// The payer's signature of an EIP-2612 permit.
pub(crate) fn token_permit(
    payer: &Wallet,
    spender: Address,
    value: U256,
    nonce: U256,
    deadline: U256,
) -> Vec<u8> {
    let permit = Permit {
        owner: payer.address(),
        spender,
        value,
        nonce,
        deadline,
    };
    payer.sign_digest(permit.eip712_signing_hash(&usdc_domain()))
}

fn usdc_domain() -> Eip712Domain {
    Eip712Domain::new(
        Some("USDC".into()),
        Some("2".into()),
        Some(U256::from(CHAIN_ID)),
        Some(USDC),
        None,
    )
}

impl House {
    /// Waits until every block up to now is watched.
    pub(crate) async fn caught_up(&self) {
        self.caught_up_to_confirmed(1).await;
    }

    /// Waits until every confirmed block up to now is watched.
    pub(crate) async fn caught_up_to_confirmed(&self, confirmations: u64) {
        let confirmed = self.chain.head().await + 1 - confirmations;
        until("blocks are not watched", async || {
            self.next_watched().await > confirmed
        })
        .await;
    }

    /// The next block that the watcher reads.
    pub(crate) async fn next_watched(&self) -> u64 {
        books::next_watched(&self.path("books.db")).await
    }
}

impl Chain {
    pub(crate) async fn head(&self) -> u64 {
        let number = self.rpc::<U64>("eth_blockNumber", json!([])).await;
        number.unwrap().to()
    }
}
