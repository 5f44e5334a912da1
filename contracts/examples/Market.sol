// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.10;

import {EXCHANGE, IStateReceiver} from "../IExchange.sol";

interface IPriceFeed {
    function price() external view returns (uint256);
}

/// Trades at the price that another environment publishes.
contract Market is IStateReceiver {
    /// Slot 0: what was traded, which the other environment subscribes to.
    uint256 public volume;
    /// The price as it was last heard of, and the epoch that it is of.
    uint256 public price;
    uint64 public priceEpoch;
    mapping(address => uint256) public holdings;

    event Heard(uint256 price, uint64 epoch);
    event Bought(address indexed buyer, uint256 pieces, uint256 cost);

    function onState(bytes32, address, bytes32, bytes32 value, uint64 epoch) external {
        require(msg.sender == address(EXCHANGE), "not the exchange");
        price = uint256(value);
        priceEpoch = epoch;
        emit Heard(price, epoch);
    }

    /// Buys at the price that was heard of.
    function buy(uint256 pieces) external {
        require(price > 0, "no price yet");
        holdings[msg.sender] += pieces;
        volume += pieces * price;
        emit Bought(msg.sender, pieces, pieces * price);
    }

    /// Whether what was heard of is what the feed says at the start of this epoch; looked up there.
    function inStep(bytes32 environment, address feed) external view returns (bool) {
        bytes memory answer = EXCHANGE.read(environment, feed, abi.encodeCall(IPriceFeed.price, ()));
        return abi.decode(answer, (uint256)) == price;
    }

    /// As `inStep`, and reverts if it is not.
    function requireInStep(bytes32 environment, address feed) external view {
        require(this.inStep(environment, feed), "out of step");
    }
}
