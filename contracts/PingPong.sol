// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.10;

import {EXCHANGE} from "./IExchange.sol";

/// A ball that two environments play to each other, with some native asset under way.
contract PingPong {
    /// Gas of a hit. A ball is paid for with all hits that are to come.
    uint64 constant GAS = 350_000;

    uint256 public hits;
    /// The environment and the account that the last ball came from.
    bytes32 public lastSource;
    address public lastSender;
    /// The message that came back, and why.
    bytes32 public failedId;
    uint8 public failure;

    /// Plays the first ball, with what comes along as a gift for the other side.
    function serve(bytes32 destination, address peer, uint256 rounds) external payable returns (bytes32 id) {
        return play(destination, peer, rounds, msg.value);
    }

    /// Gets the ball; only the exchange plays it here.
    function ball(uint256 rounds) external payable {
        require(msg.sender == address(EXCHANGE), "not the exchange");
        hits += 1;
        lastSource = EXCHANGE.current().source;
        lastSender = EXCHANGE.current().sender;
        if (rounds > 0) play(lastSource, lastSender, rounds - 1, 0);
    }

    /// The gift of a ball that could not be delivered comes back.
    receive() external payable {
        if (msg.sender == address(EXCHANGE)) {
            failedId = EXCHANGE.current().failedId;
            failure = EXCHANGE.current().failure;
        }
    }

    function play(bytes32 destination, address peer, uint256 rounds, uint256 gift) private returns (bytes32 id) {
        bytes memory data = abi.encodeCall(this.ball, (rounds));
        uint64 gas = GAS * uint64(rounds + 1);
        return EXCHANGE.send{value: gift}(destination, peer, 0, gift, gas, type(uint64).max, address(this), data);
    }
}
