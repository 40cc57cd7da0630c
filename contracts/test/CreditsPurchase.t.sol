// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {CreditsPurchase} from "../src/CreditsPurchase.sol";
import {ContractWallet} from "./support/ContractWallet.sol";
import {PurchaseTest} from "./support/PurchaseTest.sol";
import {StandardToken} from "./support/StandardToken.sol";
import {Vm} from "./support/Test.sol";
import {IUsdc} from "./support/Usdc.sol";

/// @title The three ways to buy, with the real USDC, and what each refuses
contract CreditsPurchaseTest is PurchaseTest {
    function testFuzz_allowance(address agent_, uint256 fuzzed) external {
        vm.assume(agent_ != address(0));
        uint256 amount = bound(fuzzed, 1, FUNDS);
        approve(amount);
        bytes32 expected = expectPurchase(agent_, payer, address(usdc), amount);
        vm.prank(payer);
        vm.assertEq(purchase.buy(agent_, address(usdc), amount), expected);
        assertPaid(amount);
        vm.assertEq(usdc.allowance(payer, address(purchase)), 0);
    }

    function testFuzz_permit(address agent_, uint256 fuzzed) external {
        vm.assume(agent_ != address(0));
        uint256 amount = bound(fuzzed, 1, FUNDS);
        (uint8 v, bytes32 r, bytes32 s) = signPermit(usdc, PAYER_KEY, address(purchase), amount, FOREVER);
        bytes32 expected = expectPurchase(agent_, payer, address(usdc), amount);
        vm.prank(payer);
        vm.assertEq(purchase.buyWithPermit(agent_, address(usdc), amount, FOREVER, v, r, s), expected);
        assertPaid(amount);
        vm.assertEq(usdc.allowance(payer, address(purchase)), 0);
    }

    function testFuzz_authorization(address agent_, uint256 fuzzed, bytes32 salt, address submitter)
        external
    {
        vm.assume(agent_ != address(0));
        uint256 amount = bound(fuzzed, 1, FUNDS);
        CreditsPurchase.Authorization memory authorization = authorized(agent_, amount, salt);
        bytes32 expected = expectPurchase(agent_, payer, address(usdc), amount);
        vm.prank(submitter);
        vm.assertEq(purchase.buyWithAuthorization(agent_, address(usdc), authorization), expected);
        assertPaid(amount);
    }

    function test_authorization_of_a_contract_wallet() external {
        address wallet = address(new ContractWallet(payer));
        usdc.mint(wallet, PRICE);
        CreditsPurchase.Authorization memory authorization = authorized(agent, PRICE, SALT);
        authorization.payer = wallet;
        bytes32 nonce = purchase.authorizationNonce(agent, SALT);
        bytes32 hash = keccak256(abi.encode(RECEIVE, wallet, purchase, PRICE, 0, FOREVER, nonce));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(PAYER_KEY, typed(usdc, hash));
        authorization.signature = abi.encode("by its owner", v, r, s);
        expectPurchase(agent, wallet, address(usdc), PRICE);
        purchase.buyWithAuthorization(agent, address(usdc), authorization);
        vm.assertEq(usdc.balanceOf(treasury), PRICE);
    }

    function test_authorization_on_a_token_that_takes_signatures_in_parts_only() external {
        StandardToken token = new StandardToken();
        token.mint(payer, PRICE);
        allow(address(token));
        bytes32 nonce = purchase.authorizationNonce(agent, SALT);
        CreditsPurchase.Authorization memory authorization = authorized(agent, PRICE, SALT);
        authorization.signature =
            signReceive(IUsdc(address(token)), PAYER_KEY, address(purchase), PRICE, FOREVER, nonce);
        expectPurchase(agent, payer, address(token), PRICE);
        purchase.buyWithAuthorization(agent, address(token), authorization);
        vm.assertEq(token.balanceOf(treasury), PRICE);
    }

    function test_equal_purchases_have_their_own_ids() external {
        approve(2 * PRICE);
        vm.prank(payer);
        bytes32 first = purchase.buy(agent, address(usdc), PRICE);
        vm.prank(payer);
        bytes32 second = purchase.buy(agent, address(usdc), PRICE);
        vm.assertEq(first, purchase.purchaseIdOf(payer, 0, agent, address(usdc), PRICE));
        vm.assertEq(second, purchase.purchaseIdOf(payer, 1, agent, address(usdc), PRICE));
        vm.assertNotEq(first, second);
        vm.assertEq(purchase.purchaseCount(payer), 2);
        vm.chainId(31_338);
        vm.assertNotEq(first, purchase.purchaseIdOf(payer, 0, agent, address(usdc), PRICE));
    }

    /// What a watcher relies on: all tokens leave through this contract, right before its event.
    function test_the_transfer_to_the_treasury_is_the_log_before_the_event() external {
        CreditsPurchase.Authorization memory authorization = authorized(agent, PRICE, SALT);
        vm.recordLogs();
        purchase.buyWithAuthorization(agent, address(usdc), authorization);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        bytes32 transfer = keccak256("Transfer(address,address,uint256)");
        vm.assertEq(logs.length, 4);
        vm.assertEq(logs[0].topics[0], keccak256("AuthorizationUsed(address,bytes32)"));
        vm.assertEq(logs[1].topics[0], transfer);
        vm.assertEq(logs[2].topics[0], transfer);
        vm.assertEq(logs[2].emitter, address(usdc));
        vm.assertEq(logs[2].topics[1], bytes32(uint256(uint160(address(purchase)))));
        vm.assertEq(logs[2].topics[2], bytes32(uint256(uint160(treasury))));
        vm.assertEq(abi.decode(logs[2].data, (uint256)), PRICE);
        vm.assertEq(logs[3].topics[0], CreditsPurchase.CreditsPurchased.selector);
    }

    function test_tokens_sent_by_mistake_disturb_nothing() external {
        usdc.mint(address(purchase), 7);
        approve(PRICE);
        vm.prank(payer);
        purchase.buy(agent, address(usdc), PRICE);
        vm.assertEq(usdc.balanceOf(treasury), PRICE);
        vm.assertEq(usdc.balanceOf(address(purchase)), 7);
    }

    function test_a_new_treasury_is_paid_from_then_on() external {
        approve(2 * PRICE);
        vm.prank(payer);
        purchase.buy(agent, address(usdc), PRICE);
        vm.prank(owner);
        purchase.setTreasury(stranger);
        vm.prank(payer);
        purchase.buy(agent, address(usdc), PRICE);
        vm.assertEq(usdc.balanceOf(treasury), PRICE);
        vm.assertEq(usdc.balanceOf(stranger), PRICE);
    }

    function test_refuses_bad_terms() external {
        refuses(
            address(0), address(usdc), PRICE, abi.encodeWithSelector(CreditsPurchase.AgentIsZero.selector)
        );
        refuses(agent, address(usdc), 0, abi.encodeWithSelector(CreditsPurchase.AmountIsZero.selector));
        bytes memory notAllowed = abi.encodeWithSelector(CreditsPurchase.TokenNotAllowed.selector, stranger);
        refuses(agent, stranger, PRICE, notAllowed);
        vm.prank(owner);
        purchase.setToken(address(usdc), false);
        notAllowed = abi.encodeWithSelector(CreditsPurchase.TokenNotAllowed.selector, usdc);
        refuses(agent, address(usdc), PRICE, notAllowed);
    }

    function test_refuses_while_paused() external {
        vm.prank(owner);
        purchase.pause();
        bytes memory paused = abi.encodeWithSelector(Pausable.EnforcedPause.selector);
        refuses(agent, address(usdc), PRICE, paused);
        vm.prank(owner);
        purchase.unpause();
        approve(PRICE);
        vm.prank(payer);
        purchase.buy(agent, address(usdc), PRICE);
        assertPaid(PRICE);
    }

    function test_refuses_before_there_is_a_treasury() external {
        purchase = new CreditsPurchase(owner);
        allow(address(usdc));
        refuses(agent, address(usdc), PRICE, abi.encodeWithSelector(CreditsPurchase.TreasuryNotSet.selector));
    }

    function test_refuses_the_treasury_as_payer() external {
        vm.prank(owner);
        purchase.setTreasury(payer);
        refuses(agent, address(usdc), PRICE, abi.encodeWithSelector(CreditsPurchase.PayerIsTreasury.selector));
    }

    function test_refuses_more_than_the_allowance_or_the_balance() external {
        approve(PRICE - 1);
        vm.expectRevert("ERC20: transfer amount exceeds allowance");
        vm.prank(payer);
        purchase.buy(agent, address(usdc), PRICE);
        approve(FUNDS + 1);
        vm.expectRevert("ERC20: transfer amount exceeds balance");
        vm.prank(payer);
        purchase.buy(agent, address(usdc), FUNDS + 1);
        assertPaid(0);
    }

    function test_refuses_a_permit_that_is_too_late() external {
        vm.warp(2_000);
        (uint8 v, bytes32 r, bytes32 s) = signPermit(usdc, PAYER_KEY, address(purchase), PRICE, 1_999);
        vm.expectRevert(CreditsPurchase.PermitRefused.selector);
        vm.prank(payer);
        purchase.buyWithPermit(agent, address(usdc), PRICE, 1_999, v, r, s);
        assertPaid(0);
    }

    function test_refuses_an_authorization_that_is_too_late_or_badly_signed() external {
        vm.warp(2_000);
        CreditsPurchase.Authorization memory authorization = authorized(agent, PRICE, SALT);
        authorization.signature[3] ^= 0x01;
        vm.expectRevert();
        purchase.buyWithAuthorization(agent, address(usdc), authorization);
        authorization.signature = "";
        vm.expectRevert("ECRecover: invalid signature length");
        purchase.buyWithAuthorization(agent, address(usdc), authorization);
        authorization.validBefore = 1_999;
        vm.expectRevert("FiatTokenV2: authorization is expired");
        purchase.buyWithAuthorization(agent, address(usdc), authorization);
        assertPaid(0);
    }

    /// Each way refuses these terms, for this reason.
    function refuses(address agent_, address token, uint256 amount, bytes memory reason) private {
        approve(amount);
        vm.expectRevert(reason);
        vm.prank(payer);
        purchase.buy(agent_, token, amount);

        (uint8 v, bytes32 r, bytes32 s) = signPermit(usdc, PAYER_KEY, address(purchase), amount, FOREVER);
        vm.expectRevert(reason);
        vm.prank(payer);
        purchase.buyWithPermit(agent_, token, amount, FOREVER, v, r, s);

        CreditsPurchase.Authorization memory authorization = authorized(agent_, amount, SALT);
        vm.expectRevert(reason);
        purchase.buyWithAuthorization(agent_, token, authorization);
    }
}
