// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A plain token that anyone can mint, without permits and authorizations
contract PlainToken is ERC20("Plain", "PLAIN") {
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// Does nothing and says nothing, as a fallback function would.
    fallback() external {}
}

/// @title Returns nothing from transfers, as USDT
contract SilentToken {
    mapping(address account => uint256) public balanceOf;
    mapping(address owner => mapping(address spender => uint256)) public allowance;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external {
        allowance[msg.sender][spender] = amount;
    }

    function transfer(address to, uint256 amount) external {
        move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external {
        allowance[from][msg.sender] -= amount;
        move(from, to, amount);
    }

    function move(address from, address to, uint256 amount) private {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// @title Returns false where it should revert, for one sender
contract FalseToken is PlainToken {
    address public refused;

    function refuse(address from) external {
        refused = from;
    }

    function transfer(address to, uint256 amount) public virtual override returns (bool) {
        return msg.sender != refused && super.transfer(to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public virtual override returns (bool) {
        return from != refused && super.transferFrom(from, to, amount);
    }
}

/// @title Says that it moved what it did not move, for one sender
contract LyingToken is FalseToken {
    function transfer(address to, uint256 amount) public override returns (bool) {
        super.transfer(to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        super.transferFrom(from, to, amount);
        return true;
    }
}

/// @title Takes one part in a hundred of transfers: from what arrives, or on top from the sender
contract FeeToken is PlainToken {
    address public taxed;
    bool public onTop;

    /// Only transfers from this account are taxed.
    function tax(address from, bool onTop_) external {
        taxed = from;
        onTop = onTop_;
    }

    function _update(address from, address to, uint256 amount) internal override {
        // Minting is a transfer from zero.
        uint256 fee = from != address(0) && from == taxed ? amount / 100 : 0;
        super._update(from, to, onTop ? amount : amount - fee);
        if (fee != 0) super._update(from, address(0xfee), fee);
    }
}

/// @title Reverts for listed accounts, as USDT and USDC do
contract BlacklistToken is PlainToken {
    error Blacklisted(address account);

    mapping(address account => bool) public blacklisted;

    function blacklist(address account) external {
        blacklisted[account] = true;
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (blacklisted[from]) revert Blacklisted(from);
        if (blacklisted[to]) revert Blacklisted(to);
        super._update(from, to, amount);
    }
}

/// @title Calls the sender's hook before it moves anything, as ERC-777 tokens do
contract CallbackToken is PlainToken {
    address private _hookless;

    function spare(address account) external {
        _hookless = account;
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (from.code.length != 0 && from != _hookless) Hook(from).tokensToSend();
        super._update(from, to, amount);
    }
}

interface Hook {
    function tokensToSend() external;
}

/// @title A payer that does something while it pays
contract Reentrant is Hook {
    address private _target;
    bytes private _call;
    bool private _paying;

    /// How the planned call ended.
    bool public succeeded;
    bytes public answer;

    function plan(address target, bytes calldata call_) external {
        _target = target;
        _call = call_;
    }

    function act(address target, bytes calldata call_) external returns (bytes memory) {
        (bool ok, bytes memory result) = target.call(call_);
        if (ok) return result;
        assembly ("memory-safe") {
            revert(add(result, 32), mload(result))
        }
    }

    function tokensToSend() external {
        if (_target == address(0) || _paying) return;
        _paying = true;
        (succeeded, answer) = _target.call(_call);
        _paying = false;
    }
}
