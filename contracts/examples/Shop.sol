// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.10;

/// What an honest tenant runs: orders with a little arithmetic, hashing, storage and logs.
contract Shop {
    event Ordered(address indexed buyer, uint256 indexed number, uint256 price, bytes32 receipt);

    uint256 public orders;
    uint256 public turnover;
    bytes32 public chain;
    mapping(address => uint256) public spent;

    /// Orders some pieces; the price falls with their number.
    function order(uint256 pieces) external returns (bytes32 receipt) {
        require(pieces > 0 && pieces <= 100, "1 to 100 pieces");
        uint256 price = 0;
        for (uint256 i = 0; i < pieces; i++) price += 1000 - (i * 7) % 400;
        orders += 1;
        turnover += price;
        spent[msg.sender] += price;
        receipt = keccak256(abi.encode(chain, msg.sender, orders, price));
        chain = receipt;
        emit Ordered(msg.sender, orders, price, receipt);
    }
}
