//! The interface of the system address, as the Solidity file `contracts/IExchange.sol` has it; a test compares the two.

// What the macro writes has documentation only where the interface has it.
#![allow(missing_docs)]

alloy_sol_types::sol! {
    /// The system address of an environment.
    #[derive(Debug, PartialEq, Eq)]
    interface IExchange {
        /// What called: a delivery, or a data call.
        struct Origin {
            uint8 kind;
            bytes32 id;
            bytes32 source;
            address sender;
            uint64 nonce;
            uint64 epoch;
            bytes32 asset;
            uint256 value;
            bytes32 failedId;
            uint8 failure;
        }

        /// Sends a message.
        function send(
            bytes32 destination,
            address to,
            bytes32 asset,
            uint256 value,
            uint64 gasLimit,
            uint64 timeout,
            address refund,
            bytes calldata data
        ) external payable returns (bytes32 id);
        /// Calls an account of another environment without changing anything, as of the start of the epoch.
        function read(bytes32 environment, address to, bytes calldata data) external view returns (bytes memory output);
        /// Who is behind the running call.
        function current() external view returns (Origin memory origin);
        /// This environment.
        function environment() external view returns (bytes32 id);
        /// The running epoch.
        function epoch() external view returns (uint64 number);
        /// How much of an asset from abroad an account has here.
        function balanceOf(bytes32 asset, address account) external view returns (uint256 balance);
        /// How much of an asset from abroad all accounts have here.
        function totalSupply(bytes32 asset) external view returns (uint256 supply);
        /// Gives some of the caller's asset from abroad to another account here.
        function transfer(bytes32 asset, address to, uint256 value) external returns (bool success);
        /// What an account can claim of refunds that failed.
        function claimable(bytes32 asset, address account) external view returns (uint256 value);
        /// Moves what the caller can claim to an account.
        function claim(bytes32 asset, address to) external returns (uint256 value);

        error UnknownFunction(bytes4 selector);
        error MalformedCall();
        error DirectCallOnly();
        error NotPayable(uint256 value);
        error UnknownEnvironment(bytes32 environment);
        error DestinationDenied(bytes32 destination);
        error InvalidRecipient(address account);
        error ValueMismatch(uint256 expected, uint256 got);
        error ValueOverflow();
        error InsufficientBalance(bytes32 asset, uint256 balance, uint256 required);
        error AssetsRefused();
        error IndependentOrder();
        error OutboxFull(uint64 limit);
        error OutboxBytesExceeded(uint64 limit);
        error TimeoutPassed(uint64 timeout, uint64 earliest);
        error NothingClaimable(bytes32 asset, address account);
        error NoOrigin();
        error ReadDenied(bytes32 environment);
        error ReadUnavailable();
        error ReadReverted(bytes output);
        error ReadHalted();
    }

    /// What a contract implements to get the slots that its environment subscribes to.
    #[derive(Debug, PartialEq, Eq)]
    interface IStateReceiver {
        /// A slot of another environment's account has a new value since the end of that epoch.
        function onState(bytes32 source, address account, bytes32 slot, bytes32 value, uint64 epoch) external;
    }
}
