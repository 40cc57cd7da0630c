//! Wallets that are contracts, made by the factory of `contracts/test/fixtures`.

use alloy::{
    primitives::{Address, B256, Bytes, U256, address, keccak256},
    sol,
    sol_types::{SolCall, SolValue},
};
use serde_json::{Value, json};

use super::{Chain, Payment, Wallet, until};

/// More than the service offers.
const TIP_WEI: u64 = 50_000_000_000;

const MULTICALL3: Address = address!("cA11bde05977b3631167028862bE2a173976CA11");
const MULTICALL3_CODE: &str =
    include_str!("../../../contracts/test/fixtures/multicall3/runtime.hex");

const FACTORY: &str = include_str!("../../../contracts/artifacts/WalletFactory.json");

sol! {
    function create(address owner) external returns (address wallet);
    function addressOf(address owner) external view returns (address);
}

/// What the wallet makes of a good signature. See `SmartWallet.sol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Temper {
    Honest,
    Fickle,
    Greedy,
}

/// A contract, and the key that it obeys.
pub(crate) struct ContractWallet {
    pub(crate) owner: Wallet,
    pub(crate) address: Address,
    pub(crate) factory: Address,
}

impl ContractWallet {
    /// A wallet that is on the chain.
    pub(crate) async fn deployed(chain: &Chain) -> Self {
        let wallet = Self::counterfactual(chain).await;
        wallet.deploy(chain).await;
        wallet
    }

    /// A wallet that its factory could make.
    pub(crate) async fn counterfactual(chain: &Chain) -> Self {
        let owner = Wallet::random();
        let factory = chain.wallet_factory().await;
        let call = addressOfCall {
            owner: owner.address(),
        };
        let address = chain.view(factory, &call).await;
        Self {
            owner,
            address,
            factory,
        }
    }

    pub(crate) async fn deploy(&self, chain: &Chain) {
        chain.transact(Some(self.factory), &self.creation()).await;
        assert!(self.is_deployed(chain).await);
    }

    pub(crate) async fn is_deployed(&self, chain: &Chain) -> bool {
        let code: Bytes = chain
            .rpc("eth_getCode", json!([self.address, "latest"]))
            .await
            .unwrap();
        !code.is_empty()
    }

    /// What the factory is called with.
    pub(crate) fn creation(&self) -> Bytes {
        let owner = self.owner.address();
        createCall { owner }.abi_encode().into()
    }

    pub(crate) fn name(&self) -> String {
        format!("{:#x}", self.address)
    }

    /// A signature as the wallet wants it.
    pub(crate) fn sign_digest(&self, temper: Temper, digest: B256) -> Vec<u8> {
        let signature = self.owner.sign_digest(digest);
        let v = U256::from(signature[64]);
        let [r, s] = [&signature[..32], &signature[32..64]].map(B256::from_slice);
        (U256::from(temper as u8), v, r, s).abi_encode_params()
    }

    /// Signs a text as `personal_sign` does (EIP-191).
    pub(crate) fn sign(&self, message: &str) -> String {
        let prefix = format!("\x19Ethereum Signed Message:\n{}", message.len());
        let digest = keccak256([prefix.as_bytes(), message.as_bytes()].concat());
        format!(
            "0x{}",
            hex::encode(self.sign_digest(Temper::Honest, digest))
        )
    }

    /// A signature as ERC-6492 wants it of a wallet that may not be there.
    pub(crate) fn wrap(&self, signature: &[u8]) -> Vec<u8> {
        let inner = Bytes::copy_from_slice(signature);
        let parts = (self.factory, self.creation(), inner).abi_encode_params();
        [parts, [0x64, 0x92].repeat(16)].concat()
    }

    /// Makes a payment one of this wallet's.
    pub(crate) fn adopt(&self, payment: &mut Payment, temper: Temper) {
        payment.authorization.from = self.address;
        payment.signature = self.sign_digest(temper, payment.digest());
    }
}

impl Chain {
    /// Puts Multicall3 where it is on every chain.
    pub(crate) async fn with_multicall3(&self) {
        let params = json!([MULTICALL3, MULTICALL3_CODE.trim()]);
        self.rpc::<()>("anvil_setCode", params).await.unwrap();
    }

    /// The factory of test wallets.
    async fn wallet_factory(&self) -> Address {
        let artifact: Value = serde_json::from_str(FACTORY).unwrap();
        let code: Bytes = artifact["bytecode"].as_str().unwrap().parse().unwrap();
        self.deploy(code).await
    }

    /// Makes a contract.
    pub(crate) async fn deploy(&self, code: Bytes) -> Address {
        let receipt = self.transact(None, &code).await;
        receipt["contractAddress"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    }

    /// Sends a transaction from an account of nobody's, and waits for its block. Its receipt.
    pub(crate) async fn transact(&self, to: Option<Address>, data: &Bytes) -> Value {
        let from = Wallet::random().address();
        self.transact_as(from, to, data).await
    }

    /// The same from an account of the test's choice. It is mined before what the service sent.
    pub(crate) async fn transact_as(
        &self,
        from: Address,
        to: Option<Address>,
        data: &Bytes,
    ) -> Value {
        self.fund_gas(from).await.unwrap();
        self.rpc::<()>("anvil_impersonateAccount", json!([from]))
            .await
            .unwrap();
        let mut transaction = json!({
            "from": from,
            "data": data,
            "maxPriorityFeePerGas": U256::from(TIP_WEI),
            "maxFeePerGas": U256::from(4 * TIP_WEI),
        });
        if let Some(to) = to {
            transaction["to"] = json!(to);
        }
        let sent = self.rpc("eth_sendTransaction", json!([transaction])).await;
        let hash: B256 = sent.unwrap();
        if !self
            .rpc::<bool>("anvil_getAutomine", json!([]))
            .await
            .unwrap()
        {
            self.mine(1).await.unwrap();
        }
        let method = "eth_getTransactionReceipt";
        until("a transaction is not mined", async || {
            !self
                .rpc::<Value>(method, json!([hash]))
                .await
                .unwrap()
                .is_null()
        })
        .await;
        let receipt: Value = self.rpc(method, json!([hash])).await.unwrap();
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        receipt
    }

    /// What a contract answers.
    pub(crate) async fn view<C: SolCall>(&self, contract: Address, call: &C) -> C::Return {
        let transaction = json!({ "to": contract, "data": Bytes::from(call.abi_encode()) });
        let answer = self.rpc("eth_call", json!([transaction, "latest"])).await;
        let answer: Bytes = answer.unwrap();
        C::abi_decode_returns(&answer).unwrap()
    }
}
