// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title A wallet that is a contract (ERC-1271): it takes what its owner signed, with a note before it
contract ContractWallet {
    address private immutable _owner;

    constructor(address owner) {
        _owner = owner;
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        (, uint8 v, bytes32 r, bytes32 s) = abi.decode(signature, (string, uint8, bytes32, bytes32));
        return ecrecover(hash, v, r, s) == _owner ? this.isValidSignature.selector : bytes4(0);
    }
}
