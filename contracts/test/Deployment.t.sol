// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {CheckpointAnchor} from "../src/CheckpointAnchor.sol";
import {CreditsPurchase} from "../src/CreditsPurchase.sol";
import {Owned} from "../src/Owned.sol";
import {Test} from "./support/Test.sol";

/// @title One owner, one address, on every chain: through the deterministic deployment proxy
contract DeploymentTest is Test {
    address private constant PROXY = 0x4e59b44847b379578588920cA78FbF26c0B4956C;
    /// Its runtime code, as on chain: CREATE2 with the first word as salt and the rest as code.
    bytes private constant PROXY_CODE =
        hex"7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3";

    function setUp() external {
        vm.etch(PROXY, PROXY_CODE);
    }

    function testFuzz_the_address_follows_from_code_owner_and_salt(
        uint64 chain,
        address deployer,
        address owner,
        bytes32 salt
    ) external {
        vm.assume(owner != address(0));
        vm.chainId(bound(chain, 1, type(uint64).max - 1));
        bytes[2] memory codes = [type(CreditsPurchase).creationCode, type(CheckpointAnchor).creationCode];
        for (uint256 i = 0; i < codes.length; i++) {
            bytes memory code = abi.encodePacked(codes[i], abi.encode(owner));
            vm.prank(deployer);
            (bool ok, bytes memory answer) = PROXY.call(abi.encodePacked(salt, code));
            vm.assertTrue(ok);
            address deployed = address(bytes20(answer));
            bytes32 hash = keccak256(abi.encodePacked(hex"ff", PROXY, salt, keccak256(code)));
            vm.assertEq(deployed, address(uint160(uint256(hash))));
            vm.assertEq(Owned(deployed).owner(), owner);
        }
    }

    /// Whoever deploys first helps: the owner is in the code, and nothing works before the owner acts.
    function test_a_second_deployment_fails_and_changes_nothing() external {
        bytes memory code = abi.encodePacked(type(CreditsPurchase).creationCode, abi.encode(named("owner")));
        (bool first,) = PROXY.call(abi.encodePacked(bytes32(0), code));
        vm.assertTrue(first);
        // A collision takes all the gas that it is given.
        (bool second,) = PROXY.call{gas: 3_000_000}(abi.encodePacked(bytes32(0), code));
        vm.assertFalse(second);
    }

    /// The opcodes that chains of before Shanghai do not know never appear as instructions.
    function test_runs_on_old_chains() external {
        assertOldOpcodes(address(new CreditsPurchase(named("owner"))).code);
        assertOldOpcodes(address(new CheckpointAnchor(named("owner"))).code);
    }

    /// What these tests test is what is deployed.
    function test_the_artifacts_hold_this_code() external view {
        assertArtifact("artifacts/CreditsPurchase.json", type(CreditsPurchase).creationCode);
        assertArtifact("artifacts/CheckpointAnchor.json", type(CheckpointAnchor).creationCode);
    }

    function assertArtifact(string memory path, bytes memory code) private view {
        bytes memory kept = vm.parseBytes(vm.parseJsonString(vm.readFile(path), ".bytecode"));
        vm.assertEq(keccak256(kept), keccak256(code));
    }

    function assertOldOpcodes(bytes memory code) private pure {
        uint256 i = 0;
        while (i < code.length) {
            uint8 opcode = uint8(code[i]);
            // PUSH0; TLOAD, TSTORE, MCOPY.
            vm.assertFalse(opcode == 0x5f || (opcode >= 0x5c && opcode <= 0x5e));
            // PUSH1 to PUSH32 carry data that is not code.
            i += opcode >= 0x60 && opcode <= 0x7f ? opcode - 0x5e : 1;
        }
    }
}
