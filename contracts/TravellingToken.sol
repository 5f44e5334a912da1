// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.10;

import {EXCHANGE, IExchange} from "./IExchange.sol";

/// A token that moves between environments: burned where it leaves, minted where it arrives, minted again at home when
/// it could not arrive. The contract has the same address everywhere.
contract TravellingToken {
    uint64 constant GAS = 200_000;

    struct Journey {
        address from;
        uint256 amount;
    }

    mapping(address => uint256) public balanceOf;
    uint256 public totalSupply;
    mapping(bytes32 => Journey) public journeys;

    event Transfer(address indexed from, address indexed to, uint256 amount);

    /// Whoever asks gets: this is an example.
    function mint(address to, uint256 amount) external {
        credit(to, amount);
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
        emit Transfer(msg.sender, to, amount);
        return true;
    }

    /// Moves tokens of the caller to an account of another environment.
    function travel(bytes32 destination, address to, uint256 amount, uint64 timeout) external returns (bytes32 id) {
        balanceOf[msg.sender] -= amount;
        totalSupply -= amount;
        emit Transfer(msg.sender, address(0), amount);
        bytes memory data = abi.encodeCall(this.arrive, (to, amount));
        id = EXCHANGE.send(destination, address(this), 0, 0, GAS, timeout, address(this), data);
        journeys[id] = Journey(msg.sender, amount);
    }

    /// Tokens of this contract elsewhere arrive.
    function arrive(address to, uint256 amount) external {
        require(msg.sender == address(EXCHANGE), "not the exchange");
        require(EXCHANGE.current().sender == address(this), "not this token");
        credit(to, amount);
    }

    /// Tokens could not arrive: the exchange reports it with an empty call.
    receive() external payable {
        require(msg.sender == address(EXCHANGE), "not the exchange");
        bytes32 id = EXCHANGE.current().failedId;
        Journey memory journey = journeys[id];
        delete journeys[id];
        credit(journey.from, journey.amount);
    }

    function credit(address to, uint256 amount) private {
        balanceOf[to] += amount;
        totalSupply += amount;
        emit Transfer(address(0), to, amount);
    }
}
