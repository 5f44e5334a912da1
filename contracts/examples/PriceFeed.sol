// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.10;

import {EXCHANGE, IStateReceiver} from "../IExchange.sol";

/// Publishes a price. A market of another environment subscribes to slot 0; this one subscribes to the market's volume.
contract PriceFeed is IStateReceiver {
    /// Slot 0.
    uint256 public price;
    /// The market's volume as it was last heard of, and the epoch that it is of.
    uint256 public volume;
    uint64 public volumeEpoch;

    event Heard(uint256 volume, uint64 epoch);

    function set(uint256 value) external {
        price = value;
    }

    function onState(bytes32, address, bytes32, bytes32 value, uint64 epoch) external {
        require(msg.sender == address(EXCHANGE), "not the exchange");
        volume = uint256(value);
        volumeEpoch = epoch;
        emit Heard(volume, epoch);
    }
}
