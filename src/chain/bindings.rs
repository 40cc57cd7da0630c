//! The contracts, as far as they are called and read.

use alloy::sol;

sol! {
    /// ERC-1271.
    interface ContractWallet {
        function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4);
    }

    /// Several calls in one transaction.
    interface Multicall3 {
        struct Call3 {
            address target;
            bool allowFailure;
            bytes callData;
        }

        struct Result {
            bool success;
            bytes returnData;
        }

        function aggregate3(Call3[] calls) external payable returns (Result[] returnData);
    }

    /// Permit2's nonces.
    interface Permit2 {
        function nonceBitmap(address owner, uint256 wordPos) external view returns (uint256);
    }

    /// x402's `x402ExactPermit2Proxy`.
    interface Permit2Proxy {
        struct TokenPermissions {
            address token;
            uint256 amount;
        }

        struct PermitTransferFrom {
            TokenPermissions permitted;
            uint256 nonce;
            uint256 deadline;
        }

        struct Witness {
            address to;
            uint256 validAfter;
        }

        function PERMIT2() external view returns (address);
        function settle(
            PermitTransferFrom permit,
            address owner,
            Witness witness,
            bytes signature
        ) external;
    }

    /// EIP-20 with EIP-3009, and Circle's additions to it.
    interface Token {
        event Transfer(address indexed from, address indexed to, uint256 value);
        event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);
        event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);

        function transfer(address to, uint256 value) external returns (bool);
        function balanceOf(address account) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
        function DOMAIN_SEPARATOR() external view returns (bytes32);
        function authorizationState(address authorizer, bytes32 nonce) external view returns (bool);

        /// The form that every EIP-3009 token has.
        function transferWithAuthorization(
            address from,
            address to,
            uint256 value,
            uint256 validAfter,
            uint256 validBefore,
            bytes32 nonce,
            uint8 v,
            bytes32 r,
            bytes32 s
        ) external;

        /// The form for contract wallets, which Circle's token has since its version 2.2.
        function transferWithAuthorization(
            address from,
            address to,
            uint256 value,
            uint256 validAfter,
            uint256 validBefore,
            bytes32 nonce,
            bytes signature
        ) external;
    }
}

sol! {
    /// `contracts/src/CreditsPurchase.sol`, as far as it is read.
    interface CreditsPurchase {
        event CreditsPurchased(
            bytes32 indexed purchaseId,
            address indexed agent,
            address indexed payer,
            address token,
            uint256 amount
        );
    }
}
