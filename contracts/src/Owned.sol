// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";

/// @title An owner that is handed over in two steps and never lost
/// @notice The owner is the only constructor argument, so the owner alone decides the CREATE2 address.
abstract contract Owned is Ownable2Step {
    /// @notice Ownership can be handed over, not given up: nobody could pause or mend the contract then.
    error OwnerRequired();

    constructor(address owner_) Ownable(owner_) {}

    /// @notice Always refused.
    function renounceOwnership() public pure override {
        revert OwnerRequired();
    }
}
