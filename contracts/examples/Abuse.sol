// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.10;

/// What a bad tenant runs: everything that a shared service fears.
contract Abuse {
    event Flood(bytes data);

    uint256 public survived;
    uint256 private next;
    mapping(uint256 => uint256) private slots;

    /// Never ends.
    function loop() external pure {
        for (;;) {}
    }

    /// Asks for as much memory at once.
    function memoryFlood(uint256 size) external pure returns (uint256 last) {
        assembly {
            mstore(size, 1)
            last := mload(size)
        }
    }

    /// Calls itself that deep.
    function recurse(uint256 depth) external {
        if (depth > 0) this.recurse(depth - 1);
    }

    /// Logs that many kilobytes.
    function logFlood(uint256 kilobytes) external {
        bytes memory data = new bytes(1024);
        for (uint256 i = 0; i < kilobytes; i++) emit Flood(data);
    }

    /// Writes that many slots that nobody wrote before.
    function storageFlood(uint256 count) external {
        for (uint256 i = 0; i < count; i++) slots[next++] = 1;
    }

    /// Tries to outlive a flood that is cut off.
    function persist(uint256 count) external {
        try this.storageFlood{gas: gasleft() / 2}(count) {} catch {}
        survived += 1;
    }
}
