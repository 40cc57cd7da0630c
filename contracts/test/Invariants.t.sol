// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {CreditsPurchase} from "../src/CreditsPurchase.sol";
import {Handler} from "./support/Handler.sol";
import {Test} from "./support/Test.sol";
import {IUsdc} from "./support/Usdc.sol";

/// @title What holds after any sequence of purchases, thefts, mistakes and acts of the owner
contract InvariantsTest is Test {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    Handler private handler;
    CreditsPurchase private purchase;
    IUsdc private usdc;

    function setUp() external {
        handler = new Handler();
        (purchase, usdc) = handler.open();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory selectors = new bytes4[](9);
        selectors[0] = Handler.buy.selector;
        selectors[1] = Handler.buyWithPermit.selector;
        selectors[2] = Handler.buyWithAuthorization.selector;
        selectors[3] = Handler.stray.selector;
        selectors[4] = Handler.rescue.selector;
        selectors[5] = Handler.setTreasury.selector;
        selectors[6] = Handler.setToken.selector;
        selectors[7] = Handler.pause.selector;
        selectors[8] = Handler.tax.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector({addr: address(handler), selectors: selectors});
    }

    function invariant_it_holds_nothing_but_what_strayed() external view {
        vm.assertEq(usdc.balanceOf(address(purchase)), handler.strayed(address(usdc)));
        vm.assertEq(handler.fee().balanceOf(address(purchase)), handler.strayed(address(handler.fee())));
    }

    function invariant_the_treasuries_have_exactly_what_the_events_say() external view {
        address[2] memory treasuries = [handler.firstTreasury(), handler.secondTreasury()];
        for (uint256 i = 0; i < treasuries.length; i++) {
            address treasury = treasuries[i];
            vm.assertEq(usdc.balanceOf(treasury), handler.paid(address(usdc), treasury));
            vm.assertEq(handler.fee().balanceOf(treasury), handler.paid(address(handler.fee()), treasury));
        }
    }

    function invariant_each_purchase_has_its_own_id_and_number() external view {
        vm.assertFalse(handler.anIdCameTwice());
        uint256 counted = 0;
        for (uint256 i = 0; i < 3; i++) {
            counted += purchase.purchaseCount(vm.addr(handler.key(i)));
        }
        vm.assertEq(counted, handler.events());
    }

    /// The invariants would hold of a contract that refuses all; so each way is seen to work here.
    function test_the_handler_does_buy() external {
        handler.buy(0, false, 5, 5, named("agent"));
        handler.buy(1, true, 5, 6, named("agent"));
        handler.buyWithPermit(1, 5, false, named("agent"));
        handler.buyWithPermit(1, 5, true, named("agent"));
        vm.assertEq(handler.events(), 4);
        handler.buyWithAuthorization(2, 5, named("agent"), "salt", named("thief"));
        vm.assertEq(handler.events(), 5);
        vm.assertEq(handler.paid(address(usdc), handler.firstTreasury()), 20);
        handler.tax(1, false);
        handler.buy(0, true, 100, 100, named("agent"));
        vm.assertEq(handler.events(), 5);
    }
}
