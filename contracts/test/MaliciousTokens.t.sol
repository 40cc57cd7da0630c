// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {CreditsPurchase} from "../src/CreditsPurchase.sol";
import {PurchaseTest} from "./support/PurchaseTest.sol";
import {
    BlacklistToken,
    CallbackToken,
    FalseToken,
    FeeToken,
    LyingToken,
    PlainToken,
    Reentrant,
    SilentToken
} from "./support/Tokens.sol";

/// @title Tokens that do not do as they are told, should the owner ever allow one
contract MaliciousTokensTest is PurchaseTest {
    uint256 private constant AMOUNT = 1_000;

    function test_takes_a_token_that_returns_nothing() external {
        SilentToken token = new SilentToken();
        token.mint(payer, AMOUNT);
        prepare(address(token));
        expectPurchase(agent, payer, address(token), AMOUNT);
        vm.prank(payer);
        purchase.buy(agent, address(token), AMOUNT);
        vm.assertEq(token.balanceOf(treasury), AMOUNT);
        vm.assertEq(token.balanceOf(address(purchase)), 0);
    }

    function test_refuses_false_from_the_pull_and_from_the_forward() external {
        FalseToken token = new FalseToken();
        mintAndPrepare(token);
        bytes memory reason = abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, token);
        token.refuse(payer);
        refuses(token, reason);
        token.refuse(address(purchase));
        refuses(token, reason);
    }

    function test_refuses_lies_about_the_pull_and_the_forward() external {
        LyingToken token = new LyingToken();
        mintAndPrepare(token);
        token.refuse(payer);
        refuses(token, abi.encodeWithSelector(CreditsPurchase.PulledInexactly.selector, AMOUNT, 0));
        token.refuse(address(purchase));
        refuses(token, abi.encodeWithSelector(CreditsPurchase.ForwardedInexactly.selector, AMOUNT, 0));
    }

    function test_refuses_a_fee_on_the_pull_and_on_the_forward() external {
        FeeToken token = new FeeToken();
        mintAndPrepare(token);
        token.tax(payer, false);
        refuses(
            token, abi.encodeWithSelector(CreditsPurchase.PulledInexactly.selector, AMOUNT, AMOUNT * 99 / 100)
        );
        token.tax(address(purchase), false);
        refuses(
            token,
            abi.encodeWithSelector(CreditsPurchase.ForwardedInexactly.selector, AMOUNT, AMOUNT * 99 / 100)
        );
    }

    function test_refuses_a_fee_that_is_taken_from_tokens_left_here_by_mistake() external {
        FeeToken token = new FeeToken();
        mintAndPrepare(token);
        token.mint(address(purchase), AMOUNT);
        token.tax(address(purchase), true);
        refuses(token, abi.encodeWithSelector(CreditsPurchase.Retained.selector, AMOUNT, AMOUNT * 99 / 100));
    }

    function test_refuses_with_a_blacklisted_payer_treasury_or_contract() external {
        address[3] memory listed = [payer, treasury, address(purchase)];
        for (uint256 i = 0; i < listed.length; i++) {
            BlacklistToken token = new BlacklistToken();
            mintAndPrepare(token);
            token.blacklist(listed[i]);
            refuses(token, abi.encodeWithSelector(BlacklistToken.Blacklisted.selector, listed[i]));
        }
    }

    function test_refuses_a_payer_that_usdc_blacklists() external {
        CreditsPurchase.Authorization memory authorization = authorized(agent, PRICE, SALT);
        usdc.blacklist(payer);
        vm.expectRevert("Blacklistable: account is blacklisted");
        purchase.buyWithAuthorization(agent, address(usdc), authorization);
        assertPaid(0);
    }

    /// A token whose fallback function swallows calls that it does not know.
    function test_refuses_authorizations_and_permits_that_move_nothing() external {
        PlainToken token = new PlainToken();
        token.mint(payer, AMOUNT);
        allow(address(token));
        CreditsPurchase.Authorization memory authorization = authorized(agent, AMOUNT, SALT);
        bytes memory reason = abi.encodeWithSelector(CreditsPurchase.PulledInexactly.selector, AMOUNT, 0);
        vm.expectRevert(reason);
        purchase.buyWithAuthorization(agent, address(token), authorization);
        authorization.signature = "a contract wallet's";
        vm.expectRevert(reason);
        purchase.buyWithAuthorization(agent, address(token), authorization);
        vm.expectRevert();
        vm.prank(payer);
        purchase.buyWithPermit(agent, address(token), AMOUNT, FOREVER, 27, 0, 0);
        vm.assertEq(token.balanceOf(payer), AMOUNT);
    }

    function test_a_permit_on_a_token_without_permits_falls_back_on_the_allowance() external {
        SilentToken token = new SilentToken();
        token.mint(payer, AMOUNT);
        prepare(address(token));
        vm.prank(payer);
        purchase.buyWithPermit(agent, address(token), AMOUNT, FOREVER, 27, 0, 0);
        vm.assertEq(token.balanceOf(treasury), AMOUNT);
    }

    function test_a_payer_that_calls_back_cannot_buy_twice_in_one() external {
        (CallbackToken token, Reentrant wallet) = callback();
        bytes memory buy = abi.encodeCall(CreditsPurchase.buy, (agent, address(token), AMOUNT));
        wallet.plan(address(purchase), buy);
        expectPurchase(agent, address(wallet), address(token), AMOUNT);
        wallet.act(address(purchase), buy);
        vm.assertFalse(wallet.succeeded());
        vm.assertEq(
            keccak256(wallet.answer()),
            keccak256(abi.encodeWithSelector(ReentrancyGuard.ReentrancyGuardReentrantCall.selector))
        );
        vm.assertEq(token.balanceOf(treasury), AMOUNT);
        vm.assertEq(token.balanceOf(address(wallet)), AMOUNT);
        vm.assertEq(purchase.purchaseCount(address(wallet)), 1);
    }

    function test_a_payer_that_sends_tokens_in_between_is_refused() external {
        (CallbackToken token, Reentrant wallet) = callback();
        bytes memory buy = abi.encodeCall(CreditsPurchase.buy, (agent, address(token), AMOUNT));
        wallet.plan(address(token), abi.encodeCall(IERC20.transfer, (address(purchase), 1)));
        vm.expectRevert(abi.encodeWithSelector(CreditsPurchase.PulledInexactly.selector, AMOUNT, AMOUNT + 1));
        wallet.act(address(purchase), buy);
        wallet.plan(address(token), abi.encodeCall(IERC20.transfer, (treasury, 1)));
        vm.expectRevert(
            abi.encodeWithSelector(CreditsPurchase.ForwardedInexactly.selector, AMOUNT, AMOUNT + 1)
        );
        wallet.act(address(purchase), buy);
        vm.assertEq(token.balanceOf(treasury), 0);
    }

    /// An owner that is a contract and pays: a new treasury counts from the next purchase on.
    function test_the_treasury_cannot_change_under_way() external {
        (CallbackToken token, Reentrant wallet) = callback();
        vm.prank(owner);
        purchase.transferOwnership(address(wallet));
        wallet.act(address(purchase), abi.encodeCall(purchase.acceptOwnership, ()));
        wallet.plan(address(purchase), abi.encodeCall(CreditsPurchase.setTreasury, (stranger)));
        wallet.act(address(purchase), abi.encodeCall(CreditsPurchase.buy, (agent, address(token), AMOUNT)));
        vm.assertTrue(wallet.succeeded());
        vm.assertEq(purchase.treasury(), stranger);
        vm.assertEq(token.balanceOf(treasury), AMOUNT);
        vm.assertEq(token.balanceOf(stranger), 0);
    }

    /// The owner's rescue waits until no purchase is under way.
    function test_nothing_can_be_rescued_under_way() external {
        (CallbackToken token, Reentrant wallet) = callback();
        token.mint(address(purchase), AMOUNT);
        vm.prank(owner);
        purchase.transferOwnership(address(wallet));
        wallet.act(address(purchase), abi.encodeCall(purchase.acceptOwnership, ()));
        wallet.plan(
            address(purchase), abi.encodeCall(CreditsPurchase.rescue, (address(token), stranger, AMOUNT))
        );
        wallet.act(address(purchase), abi.encodeCall(CreditsPurchase.buy, (agent, address(token), AMOUNT)));
        vm.assertFalse(wallet.succeeded());
        vm.assertEq(token.balanceOf(address(purchase)), AMOUNT);
    }

    function callback() private returns (CallbackToken token, Reentrant wallet) {
        token = new CallbackToken();
        token.spare(address(purchase));
        wallet = new Reentrant();
        token.mint(address(wallet), 2 * AMOUNT);
        allow(address(token));
        wallet.act(address(token), abi.encodeCall(IERC20.approve, (address(purchase), FOREVER)));
    }

    function mintAndPrepare(PlainToken token) private {
        token.mint(payer, AMOUNT);
        prepare(address(token));
    }

    function prepare(address token) private {
        allow(token);
        vm.prank(payer);
        SilentToken(token).approve(address(purchase), AMOUNT);
    }

    /// Nothing moves, whatever the token does.
    function refuses(PlainToken token, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(payer);
        purchase.buy(agent, address(token), AMOUNT);
        vm.assertEq(token.balanceOf(payer), AMOUNT);
        vm.assertEq(token.balanceOf(treasury), 0);
        vm.assertEq(purchase.purchaseCount(payer), 0);
    }
}
