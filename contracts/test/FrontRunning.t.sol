// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {CreditsPurchase} from "../src/CreditsPurchase.sol";
import {PurchaseTest} from "./support/PurchaseTest.sol";
import {IUsdc} from "./support/Usdc.sol";

/// @title What someone who sees a purchase before it is mined can do with it: nothing but complete it
contract FrontRunningTest is PurchaseTest {
    function test_a_permit_submitted_first_by_a_stranger_still_buys() external {
        (uint8 v, bytes32 r, bytes32 s) = signPermit(usdc, PAYER_KEY, address(purchase), PRICE, FOREVER);
        vm.prank(stranger);
        usdc.permit(payer, address(purchase), PRICE, FOREVER, v, r, s);
        expectPurchase(agent, payer, address(usdc), PRICE);
        vm.prank(payer);
        purchase.buyWithPermit(agent, address(usdc), PRICE, FOREVER, v, r, s);
        assertPaid(PRICE);
    }

    function test_a_permit_buys_once() external {
        (uint8 v, bytes32 r, bytes32 s) = signPermit(usdc, PAYER_KEY, address(purchase), PRICE, FOREVER);
        vm.prank(payer);
        purchase.buyWithPermit(agent, address(usdc), PRICE, FOREVER, v, r, s);
        vm.expectRevert(CreditsPurchase.PermitRefused.selector);
        vm.prank(payer);
        purchase.buyWithPermit(agent, address(usdc), PRICE, FOREVER, v, r, s);
        assertPaid(PRICE);
    }

    function testFuzz_a_permit_or_an_allowance_buys_for_nobody_else(address thief) external {
        vm.assume(thief != payer && thief != address(0));
        // These are refused for other reasons.
        vm.assume(thief != treasury && thief != address(usdc));
        (uint8 v, bytes32 r, bytes32 s) = signPermit(usdc, PAYER_KEY, address(purchase), PRICE, FOREVER);
        vm.expectRevert(CreditsPurchase.PermitRefused.selector);
        vm.prank(thief);
        purchase.buyWithPermit(thief, address(usdc), PRICE, FOREVER, v, r, s);
        usdc.permit(payer, address(purchase), PRICE, FOREVER, v, r, s);
        vm.expectRevert("ERC20: transfer amount exceeds allowance");
        vm.prank(thief);
        purchase.buy(thief, address(usdc), PRICE);
        assertPaid(0);
    }

    function testFuzz_an_authorization_cannot_be_turned_to_another_agent(address thief, bytes32 salt)
        external
    {
        vm.assume(thief != agent && thief != address(0));
        CreditsPurchase.Authorization memory authorization = authorized(agent, PRICE, SALT);
        authorization.salt = salt;
        vm.expectRevert("FiatTokenV2: invalid signature");
        vm.prank(thief);
        purchase.buyWithAuthorization(thief, address(usdc), authorization);
        authorization.salt = SALT;
        vm.expectRevert("FiatTokenV2: invalid signature");
        vm.prank(thief);
        purchase.buyWithAuthorization(thief, address(usdc), authorization);
        assertPaid(0);
    }

    function testFuzz_an_authorization_cannot_buy_another_amount(uint256 amount) external {
        vm.assume(amount != PRICE && amount != 0);
        CreditsPurchase.Authorization memory authorization = authorized(agent, PRICE, SALT);
        authorization.amount = amount;
        vm.expectRevert("FiatTokenV2: invalid signature");
        purchase.buyWithAuthorization(agent, address(usdc), authorization);
        assertPaid(0);
    }

    function test_a_copy_submitted_first_credits_the_same_agent_once() external {
        CreditsPurchase.Authorization memory authorization = authorized(agent, PRICE, SALT);
        expectPurchase(agent, payer, address(usdc), PRICE);
        vm.prank(stranger);
        purchase.buyWithAuthorization(agent, address(usdc), authorization);
        vm.expectRevert("FiatTokenV2: authorization is used or canceled");
        purchase.buyWithAuthorization(agent, address(usdc), authorization);
        assertPaid(PRICE);
    }

    function test_an_authorization_works_nowhere_else() external {
        CreditsPurchase.Authorization memory authorization = authorized(agent, PRICE, SALT);
        bytes memory signature = authorization.signature;
        bytes32 nonce = purchase.authorizationNonce(agent, SALT);
        (bytes32 r, bytes32 s, uint8 v) = parts(signature);

        vm.expectRevert("FiatTokenV2: caller must be the payee");
        vm.prank(stranger);
        usdc.receiveWithAuthorization(payer, address(purchase), PRICE, 0, FOREVER, nonce, v, r, s);
        vm.expectRevert("FiatTokenV2: invalid signature");
        vm.prank(stranger);
        usdc.receiveWithAuthorization(payer, stranger, PRICE, 0, FOREVER, nonce, v, r, s);
        vm.expectRevert("FiatTokenV2: invalid signature");
        usdc.transferWithAuthorization(payer, address(purchase), PRICE, 0, FOREVER, nonce, v, r, s);

        CreditsPurchase another = deployPurchase();
        vm.prank(owner);
        another.setToken(address(usdc), true);
        vm.expectRevert("FiatTokenV2: invalid signature");
        another.buyWithAuthorization(agent, address(usdc), authorization);

        IUsdc otherToken = deployUsdc();
        otherToken.mint(payer, PRICE);
        allow(address(otherToken));
        vm.expectRevert("FiatTokenV2: invalid signature");
        purchase.buyWithAuthorization(agent, address(otherToken), authorization);
        assertPaid(0);
    }

    function test_a_cancelled_authorization_buys_nothing() external {
        CreditsPurchase.Authorization memory authorization = authorized(agent, PRICE, SALT);
        bytes32 nonce = purchase.authorizationNonce(agent, SALT);
        bytes32 cancel = keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");
        bytes32 hash = typed(usdc, keccak256(abi.encode(cancel, payer, nonce)));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(PAYER_KEY, hash);
        usdc.cancelAuthorization(payer, nonce, v, r, s);
        vm.expectRevert("FiatTokenV2: authorization is used or canceled");
        purchase.buyWithAuthorization(agent, address(usdc), authorization);
        assertPaid(0);
    }

    function parts(bytes memory signature) private pure returns (bytes32 r, bytes32 s, uint8 v) {
        assembly ("memory-safe") {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
            v := byte(0, mload(add(signature, 96)))
        }
    }
}
