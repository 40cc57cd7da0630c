// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {CreditsPurchase} from "../../src/CreditsPurchase.sol";
import {IUsdc, UsdcTest} from "./Usdc.sol";

/// @title A purchase contract that takes USDC, and a payer with 1,000 dollars
abstract contract PurchaseTest is UsdcTest {
    uint256 internal constant PAYER_KEY = 0xa11ce;
    uint256 internal constant FUNDS = 1_000e6;
    uint256 internal constant PRICE = 1e6;
    uint256 internal constant FOREVER = type(uint256).max;
    bytes32 internal constant SALT = "salt";

    address internal immutable owner = named("owner");
    address internal immutable treasury = named("treasury");
    address internal immutable agent = named("agent");
    address internal immutable stranger = named("stranger");
    address internal immutable payer = vm.addr(PAYER_KEY);

    IUsdc internal usdc;
    CreditsPurchase internal purchase;

    function setUp() public virtual {
        usdc = deployUsdc();
        purchase = deployPurchase();
        allow(address(usdc));
        usdc.mint(payer, FUNDS);
    }

    function deployPurchase() internal returns (CreditsPurchase deployed) {
        deployed = new CreditsPurchase(owner);
        vm.prank(owner);
        deployed.setTreasury(treasury);
    }

    function allow(address token) internal {
        vm.prank(owner);
        purchase.setToken(token, true);
    }

    function approve(uint256 amount) internal {
        vm.prank(payer);
        usdc.approve(address(purchase), amount);
    }

    /// What the payer signs to buy for that agent.
    function authorized(address agent_, uint256 amount, bytes32 salt)
        internal
        view
        returns (CreditsPurchase.Authorization memory)
    {
        bytes32 nonce = purchase.authorizationNonce(agent_, salt);
        return CreditsPurchase.Authorization({
            payer: payer,
            amount: amount,
            validAfter: 0,
            validBefore: FOREVER,
            salt: salt,
            signature: signReceive(usdc, PAYER_KEY, address(purchase), amount, FOREVER, nonce)
        });
    }

    /// Announces the event of the payer's next purchase, and gives its id.
    function expectPurchase(address agent_, address payer_, address token, uint256 amount)
        internal
        returns (bytes32 id)
    {
        id = purchase.purchaseIdOf(payer_, purchase.purchaseCount(payer_), agent_, token, amount);
        vm.expectEmit(address(purchase));
        emit CreditsPurchase.CreditsPurchased(id, agent_, payer_, token, amount);
    }

    function assertPaid(uint256 amount) internal view {
        vm.assertEq(usdc.balanceOf(treasury), amount, "the treasury has what was paid");
        vm.assertEq(usdc.balanceOf(payer), FUNDS - amount, "the payer paid exactly that");
        vm.assertEq(usdc.balanceOf(address(purchase)), 0, "nothing stays behind");
    }
}
