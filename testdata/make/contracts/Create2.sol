// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import "@openzeppelin/contracts/proxy/Clones.sol";
import "./Plain.sol";

/// CREATE2 (Constantinople and later): creation, collision, and creation again after the end.
contract Maker2 {
    event Made(address at);
    function make(bytes32 salt) external payable returns (address at) {
        at = address(new Child{salt: salt, value: msg.value}(uint256(salt)));
        emit Made(at);
    }
    function makeQuietly(bytes32 salt) external {
        bytes memory code = abi.encodePacked(type(Child).creationCode, abi.encode(uint256(salt)));
        address at;
        assembly { at := create2(0, add(code, 32), mload(code), salt) }
        emit Made(at);
    }
    function end(address payable child, address payable heir) external { Child(child).end(heir); }
}

/// EIP-1167 clones.
contract CloneMaker {
    event Cloned(address clone);
    function make(address implementation) external returns (address c) {
        c = Clones.clone(implementation);
        emit Cloned(c);
    }
}
