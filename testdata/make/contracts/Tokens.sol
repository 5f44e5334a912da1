// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

// Need Byzantium: try/catch and return data.
import "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import "@openzeppelin/contracts/token/ERC1155/ERC1155.sol";
import "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";

contract Nft is ERC721 {
    uint256 public next;
    constructor() ERC721("Own nft", "NFT") {}
    function mint(address to, uint256 count) external {
        for (uint256 i = 0; i < count; i++) _mint(to, next++);
    }
}

contract Items is ERC1155 {
    constructor() ERC1155("ipfs://none/{id}") {}
    function mint(address to, uint256[] calldata ids, uint256[] calldata amounts) external {
        _mintBatch(to, ids, amounts, "");
    }
}

/// ERC-20 behind a proxy: the storage lives in the proxy.
contract ProxiedToken is ERC20 {
    constructor() ERC20("", "") {}
    function mint(address to, uint256 value) external { _mint(to, value); }
    function name() public pure override returns (string memory) { return "Proxied"; }
    function symbol() public pure override returns (string memory) { return "PRX"; }
}

contract TokenProxy is ERC1967Proxy {
    constructor(address logic) ERC1967Proxy(logic, "") {}
}
