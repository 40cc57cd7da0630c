// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {CheckpointAnchor} from "../src/CheckpointAnchor.sol";
import {Owned} from "../src/Owned.sol";
import {Test} from "./support/Test.sol";

/// @title Anchored heads only grow, and only the operator adds one
contract CheckpointAnchorTest is Test {
    address private immutable owner = named("owner");
    address private immutable operator = named("operator");
    // Not SHA-256 as in life: that is a call, and a prank would end with it.
    bytes32 private constant LOG = keccak256("log.example/one");
    bytes32 private constant OTHER_LOG = keccak256("log.example/two");

    CheckpointAnchor private anchor;

    function setUp() external {
        anchor = new CheckpointAnchor(owner);
        appoint(operator);
    }

    function testFuzz_appends_what_grows(uint64 first, uint64 second, bytes32 root) external {
        first = uint64(bound(first, 1, type(uint64).max - 1));
        second = uint64(bound(second, first + 1, type(uint64).max));
        expectAnchored(0, first, root);
        append(first, root);
        assertLatest(LOG, 1, first, root);
        expectAnchored(1, second, ~root);
        append(second, ~root);
        assertLatest(LOG, 2, second, ~root);
    }

    function testFuzz_refuses_what_shrinks(uint64 size, uint64 smaller) external {
        size = uint64(bound(size, 2, type(uint64).max));
        smaller = uint64(bound(smaller, 1, size - 1));
        append(size, "root");
        vm.expectRevert(abi.encodeWithSelector(CheckpointAnchor.TreeShrinks.selector, size, smaller));
        append(smaller, "root");
        assertLatest(LOG, 1, size, "root");
    }

    function test_refuses_a_fork() external {
        append(5, "root");
        vm.expectRevert(
            abi.encodeWithSelector(CheckpointAnchor.RootDiffers.selector, 5, bytes32("root"), bytes32("fork"))
        );
        append(5, "fork");
        assertLatest(LOG, 1, 5, "root");
    }

    function test_refuses_an_empty_tree() external {
        vm.expectRevert(CheckpointAnchor.TreeIsEmpty.selector);
        append(0, "root");
    }

    function test_the_newest_head_again_changes_nothing() external {
        append(5, "root");
        vm.recordLogs();
        append(5, "root");
        vm.assertEq(vm.getRecordedLogs().length, 0);
        assertLatest(LOG, 1, 5, "root");
    }

    function test_logs_do_not_see_each_other() external {
        append(5, "root");
        vm.prank(operator);
        anchor.append(OTHER_LOG, 3, "other root");
        assertLatest(LOG, 1, 5, "root");
        assertLatest(OTHER_LOG, 1, 3, "other root");
    }

    function testFuzz_only_the_operator_appends(address caller) external {
        vm.assume(caller != operator);
        vm.expectRevert(abi.encodeWithSelector(CheckpointAnchor.NotOperator.selector, caller));
        vm.prank(caller);
        anchor.append(LOG, 1, "root");
    }

    function test_a_new_operator_has_to_accept() external {
        address next = named("next");
        vm.prank(owner);
        anchor.proposeOperator(next);
        vm.assertEq(anchor.operator(), operator);
        vm.expectRevert(abi.encodeWithSelector(CheckpointAnchor.NotPendingOperator.selector, operator));
        vm.prank(operator);
        anchor.acceptOperator();
        vm.expectEmit(address(anchor));
        emit CheckpointAnchor.OperatorSet(operator, next);
        vm.prank(next);
        anchor.acceptOperator();
        vm.assertEq(anchor.operator(), next);
        vm.assertEq(anchor.pendingOperator(), address(0));
        vm.expectRevert(abi.encodeWithSelector(CheckpointAnchor.NotOperator.selector, operator));
        append(1, "root");
    }

    function test_a_removed_operator_and_its_successor_are_out_at_once() external {
        vm.prank(owner);
        anchor.proposeOperator(named("next"));
        vm.prank(owner);
        anchor.removeOperator();
        vm.expectRevert(abi.encodeWithSelector(CheckpointAnchor.NotOperator.selector, operator));
        append(1, "root");
        vm.expectRevert(abi.encodeWithSelector(CheckpointAnchor.NotPendingOperator.selector, named("next")));
        vm.prank(named("next"));
        anchor.acceptOperator();
    }

    function testFuzz_only_the_owner_names_operators(address caller) external {
        vm.assume(caller != owner);
        bytes memory reason = abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, caller);
        vm.expectRevert(reason);
        vm.prank(caller);
        anchor.proposeOperator(caller);
        vm.expectRevert(reason);
        vm.prank(caller);
        anchor.removeOperator();
        vm.expectRevert(reason);
        vm.prank(caller);
        anchor.transferOwnership(caller);
        vm.expectRevert(Owned.OwnerRequired.selector);
        vm.prank(caller);
        anchor.renounceOwnership();
    }

    function append(uint64 size, bytes32 root) private {
        vm.prank(operator);
        anchor.append(LOG, size, root);
    }

    function appoint(address next) private {
        vm.prank(owner);
        anchor.proposeOperator(next);
        vm.prank(next);
        anchor.acceptOperator();
    }

    function expectAnchored(uint64 index, uint64 size, bytes32 root) private {
        vm.expectEmit(address(anchor));
        emit CheckpointAnchor.CheckpointAnchored(LOG, index, size, root);
    }

    function assertLatest(bytes32 origin, uint64 count, uint64 size, bytes32 root) private view {
        CheckpointAnchor.Head memory head = anchor.latest(origin);
        vm.assertEq(head.count, count);
        vm.assertEq(head.size, size);
        vm.assertEq(head.root, root);
    }
}
