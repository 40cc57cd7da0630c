// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {IReceiveWithAuthorization} from "./IReceiveWithAuthorization.sol";
import {Owned} from "./Owned.sol";

/// @title Buys credits for an AgentAddress with an allow-listed token
/// @notice Pulls exactly the amount from the payer, passes it on to the treasury, and emits
/// `CreditsPurchased`, from which the service credits the agent. It knows no prices and no balances of
/// credits, and holds no tokens between transactions.
/// @dev Every way in moves the tokens payer -> this contract -> treasury, so a watcher can leave out all
/// transfers that leave this contract and count its events alone.
contract CreditsPurchase is Owned, Pausable, ReentrancyGuard {
    using SafeERC20 for IERC20;

    /// @notice A payer's EIP-3009 authorization, less what this contract fills in: `to` is this contract,
    /// and the nonce is `authorizationNonce(agent, salt)`.
    struct Authorization {
        address payer;
        uint256 amount;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 salt;
        /// `r ‖ s ‖ v`, or whatever the payer's contract wallet accepts (ERC-1271).
        bytes signature;
    }

    /// A purchase under way: its terms, and the balances before anything moved.
    struct Purchase {
        address agent;
        address payer;
        IERC20 token;
        uint256 amount;
        address treasury;
        uint256 heldBefore;
        uint256 treasuryBefore;
    }

    /// @notice Where the tokens go. Zero until the owner sets it.
    address public treasury;

    /// @notice The tokens that are taken.
    mapping(address token => bool allowed) public isTokenAllowed;

    /// @notice How many purchases a payer has made; the next one's place in `purchaseIdOf`.
    mapping(address payer => uint256 count) public purchaseCount;

    /// @notice `amount` base units of `token` came from `payer` and are with the treasury: credit `agent`.
    /// @dev The log directly before is the token's `Transfer(this, treasury, amount)`, for tokens that emit
    /// nothing else.
    event CreditsPurchased(
        bytes32 indexed purchaseId,
        address indexed agent,
        address indexed payer,
        address token,
        uint256 amount
    );
    event TreasurySet(address indexed treasury);
    event TokenSet(address indexed token, bool allowed);
    event Rescued(address indexed token, address indexed to, uint256 amount);

    /// @notice Credits cannot belong to the zero address.
    error AgentIsZero();
    error AmountIsZero();
    error TokenNotAllowed(address token);
    /// @notice The owner has not said yet where the tokens go.
    error TreasuryNotSet();
    /// @notice The treasury must be an address other than zero and this contract.
    error TreasuryNotUsable(address treasury);
    /// @notice The treasury would pay itself, and nothing would have been paid.
    error PayerIsTreasury();
    /// @notice A token must be a contract.
    error NotAContract(address token);
    /// @notice The token refused the permit, and the allowance at hand does not cover the amount.
    error PermitRefused();
    /// @notice The token took a fee, or lied: after the pull this contract holds another balance than expected.
    error PulledInexactly(uint256 expectedBalance, uint256 balance);
    /// @notice The same, of the treasury's balance after the tokens were passed on.
    error ForwardedInexactly(uint256 expectedBalance, uint256 balance);
    /// @notice The same, of what this contract is left with: it must be what it had before.
    error Retained(uint256 expectedBalance, uint256 balance);

    constructor(address owner_) Owned(owner_) {}

    /// @notice Buys with an allowance that the caller has given to this contract.
    /// @param agent the AgentAddress to credit
    /// @param amount in the token's base units
    /// @return purchaseId see `purchaseIdOf`
    function buy(address agent, address token, uint256 amount)
        external
        nonReentrant
        whenNotPaused
        returns (bytes32 purchaseId)
    {
        Purchase memory purchase = _begin(agent, msg.sender, token, amount);
        purchase.token.safeTransferFrom(msg.sender, address(this), amount);
        return _finish(purchase);
    }

    /// @notice Buys with an allowance that the caller gives by an EIP-2612 permit of exactly `amount`.
    /// @dev The permit does not name the agent, so only the permit's signer may call. Anyone can submit the
    /// permit to the token first; then it fails here, but has done its work, and the allowance decides.
    function buyWithPermit(
        address agent,
        address token,
        uint256 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant whenNotPaused returns (bytes32 purchaseId) {
        Purchase memory purchase = _begin(agent, msg.sender, token, amount);
        try IERC20Permit(token).permit(msg.sender, address(this), amount, deadline, v, r, s) {}
        catch {
            if (purchase.token.allowance(msg.sender, address(this)) < amount) revert PermitRefused();
        }
        purchase.token.safeTransferFrom(msg.sender, address(this), amount);
        return _finish(purchase);
    }

    /// @notice Buys with a payer's signed `ReceiveWithAuthorization` (EIP-3009). Anyone may submit it.
    /// @dev Only this contract can use the authorization, since it is its `to`; and only for this agent,
    /// since the agent is in the nonce that the payer signed. So a copy that is submitted first does
    /// exactly what the payer asked for, and the later one fails at the token.
    function buyWithAuthorization(address agent, address token, Authorization calldata authorization)
        external
        nonReentrant
        whenNotPaused
        returns (bytes32 purchaseId)
    {
        Purchase memory purchase = _begin(agent, authorization.payer, token, authorization.amount);
        _receive(token, authorization, authorizationNonce(agent, authorization.salt));
        return _finish(purchase);
    }

    /// @notice Sets where the tokens of later purchases go.
    function setTreasury(address treasury_) external onlyOwner {
        if (treasury_ == address(0) || treasury_ == address(this)) revert TreasuryNotUsable(treasury_);
        treasury = treasury_;
        emit TreasurySet(treasury_);
    }

    /// @notice Allows or forbids a token. Never allow one that takes fees or changes balances by itself.
    function setToken(address token, bool allowed) external onlyOwner {
        if (allowed && token.code.length == 0) revert NotAContract(token);
        isTokenAllowed[token] = allowed;
        emit TokenSet(token, allowed);
    }

    /// @notice Stops all purchases.
    function pause() external onlyOwner {
        _pause();
    }

    /// @notice Lets purchases through again.
    function unpause() external onlyOwner {
        _unpause();
    }

    /// @notice Moves tokens that someone sent here by mistake. No purchase ever leaves any.
    function rescue(address token, address to, uint256 amount) external onlyOwner nonReentrant {
        emit Rescued(token, to, amount);
        IERC20(token).safeTransfer(to, amount);
    }

    /// @notice The EIP-3009 nonce that binds an authorization to an agent.
    /// @param salt any value that this payer has not used with this agent and token
    function authorizationNonce(address agent, bytes32 salt) public pure returns (bytes32) {
        return keccak256(abi.encode(agent, salt));
    }

    /// @notice The id of a payer's purchase number `sequence` (from 0), bound to all that it stands for.
    /// @dev Unique over chains, contracts, payers and a payer's purchases. A purchase that a reorganization
    /// replaces by one with other terms has another id.
    function purchaseIdOf(address payer, uint256 sequence, address agent, address token, uint256 amount)
        public
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(block.chainid, address(this), payer, sequence, agent, token, amount));
    }

    /// Checks the terms and remembers the balances.
    function _begin(address agent, address payer, address token, uint256 amount)
        private
        view
        returns (Purchase memory purchase)
    {
        if (agent == address(0)) revert AgentIsZero();
        if (amount == 0) revert AmountIsZero();
        if (!isTokenAllowed[token]) revert TokenNotAllowed(token);
        // Read once: a token that calls back cannot change it under way.
        address treasury_ = treasury;
        if (treasury_ == address(0)) revert TreasuryNotSet();
        if (payer == treasury_) revert PayerIsTreasury();
        purchase = Purchase({
            agent: agent,
            payer: payer,
            token: IERC20(token),
            amount: amount,
            treasury: treasury_,
            heldBefore: IERC20(token).balanceOf(address(this)),
            treasuryBefore: IERC20(token).balanceOf(treasury_)
        });
    }

    /// Passes on what was pulled, proves it by the balances, and tells the service.
    function _finish(Purchase memory purchase) private returns (bytes32 purchaseId) {
        IERC20 token = purchase.token;
        uint256 amount = purchase.amount;
        uint256 held = token.balanceOf(address(this));
        uint256 expected = purchase.heldBefore + amount;
        if (held != expected) revert PulledInexactly(expected, held);

        token.safeTransfer(purchase.treasury, amount);
        uint256 received = token.balanceOf(purchase.treasury);
        expected = purchase.treasuryBefore + amount;
        if (received != expected) revert ForwardedInexactly(expected, received);
        held = token.balanceOf(address(this));
        if (held != purchase.heldBefore) revert Retained(purchase.heldBefore, held);

        address payer = purchase.payer;
        uint256 sequence = purchaseCount[payer]++;
        purchaseId = purchaseIdOf(payer, sequence, purchase.agent, address(token), amount);
        emit CreditsPurchased(purchaseId, purchase.agent, payer, address(token), amount);
    }

    /// Every EIP-3009 token takes a signature of 65 bytes in parts; one of another length is a contract
    /// wallet's, which newer tokens take whole.
    function _receive(address token, Authorization calldata authorization, bytes32 nonce) private {
        bytes calldata signature = authorization.signature;
        if (signature.length == 65) {
            IReceiveWithAuthorization(token)
                .receiveWithAuthorization(
                    authorization.payer,
                    address(this),
                    authorization.amount,
                    authorization.validAfter,
                    authorization.validBefore,
                    nonce,
                    uint8(signature[64]),
                    bytes32(signature[0:32]),
                    bytes32(signature[32:64])
                );
        } else {
            IReceiveWithAuthorization(token)
                .receiveWithAuthorization(
                    authorization.payer,
                    address(this),
                    authorization.amount,
                    authorization.validAfter,
                    authorization.validBefore,
                    nonce,
                    signature
                );
        }
    }
}
