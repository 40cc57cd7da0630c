// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {CheckpointAnchor} from "../src/CheckpointAnchor.sol";
import {CreditsPurchase} from "../src/CreditsPurchase.sol";
import {PurchaseTest} from "./support/PurchaseTest.sol";

/// @title What each act costs in the usual case: real USDC, a payer who bought before, a treasury with funds
/// @dev Each test does that act alone; all else is done in `setUp`. `.gas-snapshot` keeps the figures.
contract GasTest is PurchaseTest {
    CheckpointAnchor private anchor;
    CreditsPurchase.Authorization private authorization;
    uint8 private v;
    bytes32 private r;
    bytes32 private s;

    function setUp() public override {
        super.setUp();
        approve(10 * PRICE);
        vm.prank(payer);
        purchase.buy(agent, address(usdc), PRICE);
        authorization = authorized(agent, PRICE, SALT);
        (v, r, s) = signPermit(usdc, PAYER_KEY, address(purchase), PRICE, FOREVER);

        anchor = new CheckpointAnchor(owner);
        vm.prank(owner);
        anchor.proposeOperator(address(this));
        anchor.acceptOperator();
        anchor.append("log", 1, "root");
    }

    function test_gas_buy() external {
        vm.prank(payer);
        purchase.buy(agent, address(usdc), PRICE);
    }

    function test_gas_buyWithPermit() external {
        vm.prank(payer);
        purchase.buyWithPermit(agent, address(usdc), PRICE, FOREVER, v, r, s);
    }

    function test_gas_buyWithAuthorization() external {
        purchase.buyWithAuthorization(agent, address(usdc), authorization);
    }

    function test_gas_append() external {
        anchor.append("log", 2, "next root");
    }

    function test_gas_deploy_CreditsPurchase() external {
        new CreditsPurchase(owner);
    }

    function test_gas_deploy_CheckpointAnchor() external {
        new CheckpointAnchor(owner);
    }
}
