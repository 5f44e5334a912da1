// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity >=0.8.10;

/// The system address of an environment that allows messaging: see docs/exchange.md.
///
/// An environment is named by `bytes32("its-name")`, and so is an asset: it has the name of its home, the environment
/// whose native asset it is. At home it is native (`msg.value`, `balance`); abroad it is in the ledger here.
interface IExchange {
    /// What is behind the running call.
    struct Origin {
        /// 0 a refund, 1 a slot that this environment subscribes to, 2 a message, 3 a data call.
        uint8 kind;
        /// The message; zero for a data call.
        bytes32 id;
        /// The environment that it comes from.
        bytes32 source;
        /// The account there; this exchange's address for what the exchange itself sends.
        address sender;
        /// Its number among those of its kind from there to here.
        uint64 nonce;
        /// The epoch that it was sent in.
        uint64 epoch;
        /// What it brings: also in `msg.value` if it is native here, else in `balanceOf` of the recipient.
        bytes32 asset;
        /// How much.
        uint256 value;
        /// Of a refund: the message that failed.
        bytes32 failedId;
        /// Of a refund: why. 1 unknown environment, 2 denied, 3 outbox full, 4 inbox full, 5 more gas than the inbox
        /// has, 6 assets refused, 7 timeout, 8 reverted, 9 halted, 10 rolled back.
        uint8 failure;
    }

    /// Sends a message, which is delivered in the next epoch or later: `to` is called there by this address with
    /// `data` and `gasLimit`, which is paid for here. It carries `value` of `asset`; zero is the native asset, which
    /// comes as `msg.value`, another goes from the caller's balance here. If it fails, or is not delivered by the end
    /// of epoch `timeout`, `refund` (zero: the caller) is called here with what it carried, with 100,000 gas and no
    /// data; if that fails too, `refund` can claim it.
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

    /// Calls an account of another environment, as it was at the start of the epoch, without changing anything.
    function read(bytes32 environment, address to, bytes calldata data) external view returns (bytes memory output);

    /// What is behind the running call; reverts if it comes from a transaction of this environment.
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

    /// Moves all that the caller can claim of an asset to an account, without a call.
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
interface IStateReceiver {
    /// `slot` of `account` in `source` had this value at the end of that epoch, and another one before it.
    function onState(bytes32 source, address account, bytes32 slot, bytes32 value, uint64 epoch) external;
}

// The address of the exchange in every environment: "isolane" in ASCII.
IExchange constant EXCHANGE = IExchange(address(0x69736f6c616e65));
