// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Owned} from "./Owned.sol";

/// @title Heads of transparency logs, where their operator cannot take them back
/// @notice Anyone reads, the operator's key appends. A log is known by the SHA-256 of its origin line
/// (C2SP tlog-checkpoint). This contract cannot see whether one tree extends another: the auditor does,
/// with consistency proofs between the anchored heads.
contract CheckpointAnchor is Owned {
    /// @notice A log's newest head, and how many heads were anchored.
    struct Head {
        uint64 count;
        uint64 size;
        bytes32 root;
    }

    /// @notice The key that appends. Zero until the owner proposes one and it accepts.
    address public operator;

    /// @notice The key that the owner proposes.
    address public pendingOperator;

    mapping(bytes32 origin => Head) private _heads;

    /// @notice A head was anchored. A log's indexes run from 0 without gaps, so nobody can hide one.
    event CheckpointAnchored(bytes32 indexed origin, uint64 indexed index, uint64 size, bytes32 root);
    event OperatorProposed(address indexed operator);
    event OperatorSet(address indexed previous, address indexed operator);

    error NotOperator(address caller);
    error NotPendingOperator(address caller);
    /// @notice A log of no entries has nothing to anchor.
    error TreeIsEmpty();
    /// @notice A log only grows.
    error TreeShrinks(uint64 anchoredSize, uint64 size);
    /// @notice One size, two roots: the log forked.
    error RootDiffers(uint64 size, bytes32 anchoredRoot, bytes32 root);

    constructor(address owner_) Owned(owner_) {}

    /// @notice Anchors a head. The newest head once more changes nothing and emits nothing, so that an
    /// operator who does not know whether it arrived may send it again.
    /// @param origin SHA-256 of the checkpoint's origin line
    /// @param size entries in the tree
    /// @param root the tree's RFC 6962 root
    function append(bytes32 origin, uint64 size, bytes32 root) external {
        if (msg.sender != operator) revert NotOperator(msg.sender);
        if (size == 0) revert TreeIsEmpty();
        Head storage anchored = _heads[origin];
        uint64 anchoredSize = anchored.size;
        if (size < anchoredSize) revert TreeShrinks(anchoredSize, size);
        if (size == anchoredSize) {
            if (root != anchored.root) revert RootDiffers(size, anchored.root, root);
            return;
        }
        uint64 index = anchored.count;
        anchored.count = index + 1;
        anchored.size = size;
        anchored.root = root;
        emit CheckpointAnchored(origin, index, size, root);
    }

    /// @notice A log's newest head; all zero if there is none.
    function latest(bytes32 origin) external view returns (Head memory) {
        return _heads[origin];
    }

    /// @notice Names the next operator, who has to accept. Zero withdraws the proposal.
    function proposeOperator(address operator_) external onlyOwner {
        pendingOperator = operator_;
        emit OperatorProposed(operator_);
    }

    /// @notice The proposed operator takes over from the present one.
    function acceptOperator() external {
        if (msg.sender != pendingOperator) revert NotPendingOperator(msg.sender);
        _setOperator(msg.sender);
    }

    /// @notice Takes the operator's right away at once, and any proposal with it: for a key that leaked.
    function removeOperator() external onlyOwner {
        _setOperator(address(0));
    }

    function _setOperator(address operator_) private {
        emit OperatorSet(operator, operator_);
        operator = operator_;
        delete pendingOperator;
    }
}
