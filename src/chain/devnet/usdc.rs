//! Circle's USDC contract: `FiatTokenV2_2` behind `FiatTokenProxy`.

use std::path::{Path, PathBuf};

use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    sol,
    sol_types::SolCall,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Devnet, DevnetError, USDC};

const CONTRACTS: &str = "artifacts/hardhat/contracts";
const SIGNATURE_CHECKER: &str = "contracts/util/SignatureChecker.sol";

sol! {
    interface FiatToken {
        function initialize(
            string tokenName,
            string tokenSymbol,
            string tokenCurrency,
            uint8 tokenDecimals,
            address newMasterMinter,
            address newPauser,
            address newBlacklister,
            address newOwner
        ) external;
        function initializeV2(string newName) external;
        function initializeV2_1(address lostAndFound) external;
        function initializeV2_2(address[] accountsToBlacklist, string newSymbol) external;
        function configureMinter(address minter, uint256 minterAllowedAmount) external returns (bool);
        function mint(address to, uint256 amount) external returns (bool);
    }
}

/// The compiled contracts of the npm package.
pub(super) struct Artifacts {
    checker: Artifact,
    token: Artifact,
    proxy: Artifact,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactFile {
    bytecode: String,
    deployed_bytecode: String,
    #[serde(default)]
    link_references: Value,
}

struct Artifact {
    path: PathBuf,
    file: ArtifactFile,
}

impl Artifacts {
    pub(super) fn read(package: &Path) -> Result<Self, DevnetError> {
        let contracts = package.join(CONTRACTS);
        let read = |name: &str| Artifact::read(contracts.join(name));
        Ok(Self {
            checker: read("util/SignatureChecker.sol/SignatureChecker.json")?,
            token: read("v2/FiatTokenV2_2.sol/FiatTokenV2_2.json")?,
            proxy: read("v1/FiatTokenProxy.sol/FiatTokenProxy.json")?,
        })
    }
}

impl Artifact {
    fn read(path: PathBuf) -> Result<Self, DevnetError> {
        let text = std::fs::read_to_string(&path)
            .map_err(|_| DevnetError::NotInstalled { path: path.clone() })?;
        match serde_json::from_str(&text) {
            Ok(file) => Ok(Self { path, file }),
            Err(error) => Err(DevnetError::Artifact {
                path,
                reason: error.to_string(),
            }),
        }
    }

    fn bad(&self, reason: &str) -> DevnetError {
        DevnetError::Artifact {
            path: self.path.clone(),
            reason: reason.to_owned(),
        }
    }

    fn code(&self, text: &str) -> Result<Bytes, DevnetError> {
        text.parse().map_err(|_| self.bad("its code is not linked"))
    }

    /// The creation code, with the address of the library in its places.
    fn linked(&self, library: Address) -> Result<Bytes, DevnetError> {
        let places = &self.file.link_references[SIGNATURE_CHECKER]["SignatureChecker"];
        let places = places.as_array().map(Vec::as_slice).unwrap_or_default();
        let digits = hex::encode(library);
        let mut code = self.file.bytecode.clone();
        for place in places {
            let start = place["start"]
                .as_u64()
                .and_then(|start| usize::try_from(start).ok());
            let start = start.ok_or_else(|| self.bad("a link has no start"))?;
            // Two digits a byte, after `0x`.
            let range = 2 + 2 * start..2 + 2 * start + digits.len();
            if code.get(range.clone()).is_none() {
                return Err(self.bad("a link lies outside of the code"));
            }
            code.replace_range(range, &digits);
        }
        self.code(&code)
    }
}

impl Devnet {
    /// Deploys the implementation, puts the proxy's code at USDC's public address, and initialises
    /// it through all versions, as Circle did.
    pub(super) async fn deploy_usdc(
        &self,
        artifacts: &Artifacts,
        admin: Address,
    ) -> Result<(), DevnetError> {
        let checker_code = artifacts.checker.code(&artifacts.checker.file.bytecode)?;
        let checker = self.deploy(checker_code, "SignatureChecker").await?;
        let token_code = artifacts.token.linked(checker)?;
        let implementation = self.deploy(token_code, "FiatTokenV2_2").await?;

        let proxy = artifacts
            .proxy
            .code(&artifacts.proxy.file.deployed_bytecode)?;
        self.rpc::<()>("anvil_setCode", json!([USDC, proxy]))
            .await?;
        for (slot, address) in [
            ("org.zeppelinos.proxy.implementation", implementation),
            ("org.zeppelinos.proxy.admin", admin),
        ] {
            let params: [B256; 2] = [keccak256(slot), address.into_word()];
            let _: bool = self
                .rpc("anvil_setStorageAt", json!([USDC, params[0], params[1]]))
                .await?;
        }
        self.initialise().await
    }

    async fn initialise(&self) -> Result<(), DevnetError> {
        let owner = self.owner;
        let initialize = FiatToken::initializeCall {
            tokenName: "USDC".into(),
            tokenSymbol: "USDC".into(),
            tokenCurrency: "USD".into(),
            tokenDecimals: 6,
            newMasterMinter: owner,
            newPauser: owner,
            newBlacklister: owner,
            newOwner: owner,
        };
        self.call(&initialize, "initialize").await?;
        let v2 = FiatToken::initializeV2Call {
            newName: "USDC".into(),
        };
        self.call(&v2, "initializeV2").await?;
        let v2_1 = FiatToken::initializeV2_1Call {
            lostAndFound: owner,
        };
        self.call(&v2_1, "initializeV2_1").await?;
        let v2_2 = FiatToken::initializeV2_2Call {
            accountsToBlacklist: Vec::new(),
            newSymbol: "USDC".into(),
        };
        self.call(&v2_2, "initializeV2_2").await?;
        let minter = FiatToken::configureMinterCall {
            minter: owner,
            minterAllowedAmount: U256::MAX,
        };
        self.call(&minter, "configureMinter").await
    }

    /// Makes USDC out of nothing, in base units.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn mint(&self, to: Address, base_units: U256) -> Result<(), DevnetError> {
        let mint = FiatToken::mintCall {
            to,
            amount: base_units,
        };
        self.call(&mint, "mint").await
    }

    async fn call<C: SolCall + Sync>(
        &self,
        call: &C,
        what: &'static str,
    ) -> Result<(), DevnetError> {
        let data = call.abi_encode().into();
        self.transact(Some(USDC), data, what).await.map(drop)
    }

    async fn deploy(&self, code: Bytes, what: &'static str) -> Result<Address, DevnetError> {
        let receipt = self.transact(None, code, what).await?;
        receipt
            .contract_address
            .ok_or(DevnetError::Transaction { what })
    }
}
