// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.10;

import {EXCHANGE, IExchange, IStateReceiver} from "../IExchange.sol";

/// Does to the exchange what the tests ask for, and does with a delivery what its mode says.
contract Probe is IStateReceiver {
    enum Mode { Accept, Revert, Burn, Reenter, Return }

    Mode public mode;
    bytes public reentry;
    bool public reentrySucceeded;
    IExchange.Origin public last;
    uint256 public lastValue;
    uint256 public calls;
    bytes32 public stateSlot;
    bytes32 public stateValue;
    uint64 public stateEpoch;

    function setMode(Mode newMode, bytes calldata call) external {
        mode = newMode;
        reentry = call;
    }

    /// Calls the exchange with the value that comes along; what it says is what this says.
    function forward(bytes calldata call) external payable returns (bytes memory) {
        (bool success, bytes memory output) = address(EXCHANGE).call{value: msg.value}(call);
        return check(success, output);
    }

    function forwardStatic(bytes calldata call) external view returns (bytes memory) {
        (bool success, bytes memory output) = address(EXCHANGE).staticcall{gas: gasleft() / 2}(call);
        return check(success, output);
    }

    function forwardDelegate(bytes calldata call) external returns (bytes memory) {
        (bool success, bytes memory output) = address(EXCHANGE).delegatecall(call);
        return check(success, output);
    }

    /// Calls the exchange `count` times.
    function forwardMany(bytes calldata call, uint256 count) external {
        for (uint256 i = 0; i < count; i++) {
            (bool success, bytes memory output) = address(EXCHANGE).call(call);
            check(success, output);
        }
    }

    /// One message in a frame that is undone, and the same one in a frame that is kept.
    function forwardUndone(bytes calldata call) external payable {
        try this.forwardAndRevert{value: msg.value}(call) {
            revert("it did not revert");
        } catch {}
        (bool success, bytes memory output) = address(EXCHANGE).call{value: msg.value}(call);
        check(success, output);
    }

    function forwardAndRevert(bytes calldata call) external payable {
        (bool success, bytes memory output) = address(EXCHANGE).call{value: msg.value}(call);
        check(success, output);
        revert("undone");
    }

    function onState(bytes32, address, bytes32 slot, bytes32 value, uint64 epoch) external {
        require(msg.sender == address(EXCHANGE), "not the exchange");
        stateSlot = slot;
        stateValue = value;
        stateEpoch = epoch;
    }

    receive() external payable {
        take();
    }

    fallback() external payable {
        take();
    }

    function take() private {
        if (msg.sender != address(EXCHANGE)) return;
        if (mode == Mode.Revert) revert("mode");
        if (mode == Mode.Burn) while (true) {}
        if (mode == Mode.Reenter) (reentrySucceeded,) = address(EXCHANGE).call(reentry);
        if (mode != Mode.Return) {
            last = EXCHANGE.current();
            lastValue = msg.value;
            calls += 1;
        }
    }

    function check(bool success, bytes memory output) private pure returns (bytes memory) {
        if (!success) assembly ("memory-safe") { revert(add(output, 32), mload(output)) }
        return output;
    }
}
