// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {CreditsPurchase} from "../../src/CreditsPurchase.sol";
import {FeeToken} from "./Tokens.sol";
import {PurchaseTest} from "./PurchaseTest.sol";
import {IUsdc} from "./Usdc.sol";
import {Vm} from "./Test.sol";

/// @title Random people at a purchase contract, and books kept apart from it
/// @dev Three payers, two treasuries, USDC and a token that sometimes takes a fee. Any purchase may be
/// refused; the books follow from the events alone.
contract Handler is PurchaseTest {
    address public immutable firstTreasury = treasury;
    address public immutable secondTreasury = named("second treasury");
    FeeToken public fee;

    /// What the events say was paid, by token and treasury.
    mapping(address token => mapping(address treasury => uint256)) public paid;
    /// What was sent to the contract by mistake and not rescued.
    mapping(address token => uint256) public strayed;
    mapping(bytes32 id => bool) public seen;
    uint256 public events;
    bool public anIdCameTwice;

    function open() external returns (CreditsPurchase, IUsdc) {
        setUp();
        fee = new FeeToken();
        allow(address(fee));
        for (uint256 i = 0; i < 3; i++) {
            usdc.mint(vm.addr(key(i)), 64 * FUNDS);
            fee.mint(vm.addr(key(i)), 64 * FUNDS);
        }
        return (purchase, usdc);
    }

    function buy(uint256 who, bool taxedToken, uint256 amount, uint256 allowance, address agent_) external {
        address token = taxedToken ? address(fee) : address(usdc);
        amount = bound(amount, 0, FUNDS);
        vm.prank(vm.addr(key(who)));
        IUsdc(token).approve(address(purchase), bound(allowance, 0, 2 * FUNDS));
        attempt(vm.addr(key(who)), abi.encodeCall(CreditsPurchase.buy, (agent_, token, amount)));
    }

    function buyWithPermit(uint256 who, uint256 amount, bool frontRun, address agent_) external {
        amount = bound(amount, 0, FUNDS);
        address from = vm.addr(key(who));
        (uint8 v, bytes32 r, bytes32 s) = signPermit(usdc, key(who), address(purchase), amount, FOREVER);
        if (frontRun) usdc.permit(from, address(purchase), amount, FOREVER, v, r, s);
        attempt(
            from,
            abi.encodeCall(CreditsPurchase.buyWithPermit, (agent_, address(usdc), amount, FOREVER, v, r, s))
        );
    }

    function buyWithAuthorization(uint256 who, uint256 amount, address agent_, bytes32 salt, address thief)
        external
    {
        amount = bound(amount, 0, FUNDS);
        bytes32 nonce = purchase.authorizationNonce(agent_, salt);
        CreditsPurchase.Authorization memory authorization = CreditsPurchase.Authorization({
            payer: vm.addr(key(who)),
            amount: amount,
            validAfter: 0,
            validBefore: FOREVER,
            salt: salt,
            signature: signReceive(usdc, key(who), address(purchase), amount, FOREVER, nonce)
        });
        address[2] memory agents = [thief, agent_];
        for (uint256 i = 0; i < 2; i++) {
            bytes memory call = abi.encodeCall(
                CreditsPurchase.buyWithAuthorization, (agents[i], address(usdc), authorization)
            );
            attempt(stranger, call);
            attempt(stranger, call);
        }
    }

    function stray(bool taxedToken, uint256 amount) external {
        amount = bound(amount, 1, 1e6);
        address token = taxedToken ? address(fee) : address(usdc);
        FeeToken(token).mint(address(purchase), amount);
        strayed[token] += amount;
    }

    function rescue(bool taxedToken, uint256 amount) external {
        if (fee.taxed() == address(purchase)) return;
        address token = taxedToken ? address(fee) : address(usdc);
        amount = bound(amount, 0, strayed[token]);
        vm.prank(owner);
        purchase.rescue(token, stranger, amount);
        strayed[token] -= amount;
    }

    function setTreasury(bool first) external {
        vm.prank(owner);
        purchase.setTreasury(first ? treasury : secondTreasury);
    }

    function setToken(uint8 allowed) external {
        vm.prank(owner);
        purchase.setToken(address(usdc), allowed % 4 != 0);
    }

    function pause(uint8 stop) external {
        if (purchase.paused()) {
            vm.prank(owner);
            purchase.unpause();
        } else if (stop % 4 == 0) {
            vm.prank(owner);
            purchase.pause();
        }
    }

    function tax(uint8 whom, bool onTop) external {
        address[4] memory taxed = [address(0), vm.addr(key(0)), address(purchase), address(0)];
        fee.tax(taxed[whom % 4], onTop);
    }

    /// Calls, and books what the event says, if there is one.
    function attempt(address caller, bytes memory call) private {
        vm.recordLogs();
        vm.prank(caller);
        (bool ok,) = address(purchase).call(call);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        if (!ok) return;
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].emitter != address(purchase)) continue;
            (address token, uint256 amount) = abi.decode(logs[i].data, (address, uint256));
            paid[token][purchase.treasury()] += amount;
            anIdCameTwice = anIdCameTwice || seen[logs[i].topics[1]];
            seen[logs[i].topics[1]] = true;
            events++;
        }
    }

    function key(uint256 who) public pure returns (uint256) {
        return PAYER_KEY + 1 + who % 3;
    }
}
