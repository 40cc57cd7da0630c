// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {CreditsPurchase} from "../src/CreditsPurchase.sol";
import {Owned} from "../src/Owned.sol";
import {PurchaseTest} from "./support/PurchaseTest.sol";

/// @title What the owner of a purchase contract may do, and nobody else
contract OwnershipTest is PurchaseTest {
    function testFuzz_refuses_everyone_else(address caller) external {
        vm.assume(caller != owner);
        bytes[6] memory calls = [
            abi.encodeCall(CreditsPurchase.setTreasury, (caller)),
            abi.encodeCall(CreditsPurchase.setToken, (address(usdc), false)),
            abi.encodeCall(CreditsPurchase.pause, ()),
            abi.encodeCall(CreditsPurchase.unpause, ()),
            abi.encodeCall(CreditsPurchase.rescue, (address(usdc), caller, 1)),
            abi.encodeCall(purchase.transferOwnership, (caller))
        ];
        for (uint256 i = 0; i < calls.length; i++) {
            vm.prank(caller);
            (bool ok, bytes memory answer) = address(purchase).call(calls[i]);
            vm.assertFalse(ok);
            vm.assertEq(
                keccak256(answer),
                keccak256(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, caller))
            );
        }
    }

    function test_is_handed_over_in_two_steps() external {
        vm.prank(owner);
        purchase.transferOwnership(stranger);
        vm.assertEq(purchase.owner(), owner);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, payer));
        vm.prank(payer);
        purchase.acceptOwnership();
        vm.prank(stranger);
        purchase.acceptOwnership();
        vm.assertEq(purchase.owner(), stranger);
    }

    function test_cannot_be_given_up() external {
        vm.expectRevert(Owned.OwnerRequired.selector);
        vm.prank(owner);
        purchase.renounceOwnership();
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableInvalidOwner.selector, address(0)));
        new CreditsPurchase(address(0));
    }

    function test_sets_the_treasury() external {
        vm.expectEmit(address(purchase));
        emit CreditsPurchase.TreasurySet(stranger);
        vm.prank(owner);
        purchase.setTreasury(stranger);
        vm.assertEq(purchase.treasury(), stranger);
        address[2] memory unusable = [address(0), address(purchase)];
        for (uint256 i = 0; i < unusable.length; i++) {
            vm.expectRevert(abi.encodeWithSelector(CreditsPurchase.TreasuryNotUsable.selector, unusable[i]));
            vm.prank(owner);
            purchase.setTreasury(unusable[i]);
        }
    }

    function test_sets_tokens() external {
        vm.expectEmit(address(purchase));
        emit CreditsPurchase.TokenSet(address(usdc), false);
        vm.prank(owner);
        purchase.setToken(address(usdc), false);
        vm.assertFalse(purchase.isTokenAllowed(address(usdc)));
        vm.expectRevert(abi.encodeWithSelector(CreditsPurchase.NotAContract.selector, stranger));
        vm.prank(owner);
        purchase.setToken(stranger, true);
        // A token that destroyed itself can still be forbidden.
        vm.prank(owner);
        purchase.setToken(stranger, false);
    }

    function test_rescues_what_was_sent_by_mistake() external {
        usdc.mint(address(purchase), PRICE);
        vm.expectEmit(address(purchase));
        emit CreditsPurchase.Rescued(address(usdc), payer, PRICE);
        vm.prank(owner);
        purchase.rescue(address(usdc), payer, PRICE);
        vm.assertEq(usdc.balanceOf(payer), FUNDS + PRICE);
        vm.assertEq(usdc.balanceOf(address(purchase)), 0);
    }

    function test_takes_no_ether() external {
        (bool ok,) = address(purchase).call{value: 1}("");
        vm.assertFalse(ok);
    }
}
