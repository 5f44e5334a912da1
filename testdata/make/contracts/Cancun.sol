// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// Transient storage, MCOPY, blob hashes and the blob base fee.
contract Transient {
    event Saw(uint256 value, bytes32 blob, uint256 blobBaseFee);
    uint256 public runs;
    modifier locked() {
        assembly { if tload(0) { mstore(0, 0x10c) revert(28, 4) } tstore(0, 1) }
        _;
        assembly { tstore(0, 0) }
    }
    function guarded(bool again) external locked {
        runs++;
        if (again) Transient(address(this)).guarded(false);
    }
    function sum(uint256 count, bytes calldata data) external {
        uint256 total;
        bytes32 blob = blobhash(0);
        for (uint256 i = 1; i <= count; i++) {
            assembly { tstore(i, add(tload(sub(i, 1)), i)) total := tload(i) }
        }
        bytes memory twice = abi.encodePacked(data, data);
        assembly { mcopy(add(twice, 33), add(twice, 32), div(mload(twice), 2)) }
        emit Saw(total + uint256(keccak256(twice)) % 1000, blob, block.blobbasefee);
    }
}

/// What an externally owned account delegates to (EIP-7702).
contract Delegate {
    event Batched(address self, uint256 calls);
    uint256 public count;
    receive() external payable {}
    function batch(address[] calldata to, uint256[] calldata value, bytes[] calldata data) external payable {
        for (uint256 i = 0; i < to.length; i++) {
            (bool ok, ) = to[i].call{value: value[i]}(data[i]);
            require(ok, "a call failed");
        }
        count++;
        emit Batched(address(this), to.length);
    }
}
