// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A token with EIP-3009 as the EIP has it: signatures in three parts only
/// @dev As much as a purchase needs: no nonces, no times. (OpenZeppelin's needs a younger EVM.)
contract StandardToken is ERC20("Standard", "STD") {
    bytes32 public constant DOMAIN_SEPARATOR = keccak256("Standard");

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        bytes32 type_ = keccak256(
            "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
        );
        bytes32 hash = keccak256(abi.encode(type_, from, to, value, validAfter, validBefore, nonce));
        hash = keccak256(abi.encodePacked(hex"1901", DOMAIN_SEPARATOR, hash));
        require(to == msg.sender && ecrecover(hash, v, r, s) == from);
        _transfer(from, to, value);
    }
}
