// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

// Contracts that compile for every EVM version since Homestead: no return data, no static calls, no shifts needed.

/// Wrapped ether, the project's own: the same interface as WETH9.
contract Weth {
    string public constant name = "Wrapped Ether";
    string public constant symbol = "WETH";
    uint8 public constant decimals = 18;
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;
    event Approval(address indexed owner, address indexed spender, uint256 value);
    event Transfer(address indexed from, address indexed to, uint256 value);
    event Deposit(address indexed to, uint256 value);
    event Withdrawal(address indexed from, uint256 value);

    receive() external payable { deposit(); }

    function deposit() public payable {
        balanceOf[msg.sender] += msg.value;
        emit Deposit(msg.sender, msg.value);
    }
    function withdraw(uint256 value) external {
        balanceOf[msg.sender] -= value;
        emit Withdrawal(msg.sender, value);
        payable(msg.sender).transfer(value);
    }
    function totalSupply() external view returns (uint256) { return address(this).balance; }
    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }
    function transfer(address to, uint256 value) external returns (bool) { return move(msg.sender, to, value); }
    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        uint256 allowed = allowance[from][msg.sender];
        if (from != msg.sender && allowed != type(uint256).max) allowance[from][msg.sender] = allowed - value;
        return move(from, to, value);
    }
    function move(address from, address to, uint256 value) internal returns (bool) {
        balanceOf[from] -= value;
        balanceOf[to] += value;
        emit Transfer(from, to, value);
        return true;
    }
}

/// A wallet whose owners confirm on chain; the call runs with the last confirmation.
contract Multisig {
    struct Proposal { address to; uint256 value; bytes data; uint256 votes; bool done; }
    address[] public owners;
    mapping(address => bool) public isOwner;
    mapping(uint256 => mapping(address => bool)) public voted;
    Proposal[] public proposals;
    uint256 public immutable threshold;
    event Proposed(uint256 indexed id, address indexed by, address to, uint256 value);
    event Voted(uint256 indexed id, address indexed by);
    event Executed(uint256 indexed id, bool ok);

    constructor(address[] memory owners_, uint256 threshold_) payable {
        owners = owners_;
        threshold = threshold_;
        for (uint256 i = 0; i < owners_.length; i++) isOwner[owners_[i]] = true;
    }
    receive() external payable {}

    function propose(address to, uint256 value, bytes calldata data) external returns (uint256 id) {
        require(isOwner[msg.sender], "not an owner");
        id = proposals.length;
        proposals.push(Proposal(to, value, data, 0, false));
        emit Proposed(id, msg.sender, to, value);
        vote(id);
    }
    function vote(uint256 id) public {
        require(isOwner[msg.sender] && !voted[id][msg.sender], "cannot vote");
        Proposal storage p = proposals[id];
        require(!p.done, "done");
        voted[id][msg.sender] = true;
        p.votes++;
        emit Voted(id, msg.sender);
        if (p.votes == threshold) {
            p.done = true;
            (bool ok, ) = p.to.call{value: p.value}(p.data);
            emit Executed(id, ok);
        }
    }
}

/// Several calls in one transaction; failures are counted, not raised.
contract Multicall {
    event Ran(uint256 succeeded, uint256 failed);
    receive() external payable {}
    function run(address[] calldata to, uint256[] calldata value, bytes[] calldata data) external payable {
        uint256 succeeded;
        for (uint256 i = 0; i < to.length; i++) {
            (bool ok, ) = to[i].call{value: value[i]}(data[i]);
            if (ok) succeeded++;
        }
        emit Ran(succeeded, to.length - succeeded);
    }
}

/// A contract that can end itself.
contract Child {
    uint256 public seed;
    constructor(uint256 seed_) payable { seed = seed_; }
    receive() external payable {}
    function poke() external payable { seed++; }
    function end(address payable heir) external { selfdestruct(heir); }
}

/// Creates children and ends them in the same or in a later transaction.
contract Spawner {
    Child[] public children;
    event Born(address child);
    receive() external payable {}
    function spawn(uint256 count) external payable {
        for (uint256 i = 0; i < count; i++) {
            Child c = new Child{value: msg.value / count}(i + 1);
            children.push(c);
            emit Born(address(c));
        }
    }
    function spawnAndEnd(address payable heir) external payable {
        Child c = new Child{value: msg.value}(7);
        c.poke();
        c.end(heir);
        // The account lives until the end of the transaction: money sent now is lost with it (before EIP-6780 too).
        payable(address(c)).transfer(0);
        emit Born(address(c));
    }
    function endFirst(address payable heir) external {
        Child c = children[children.length - 1];
        children.pop();
        c.end(heir);
    }
}

/// Storage traffic with refunds, logs of every arity, hashing and failures on demand.
contract Juggler {
    mapping(uint256 => uint256) public slot;
    event One(uint256 indexed a);
    event Two(uint256 indexed a, uint256 indexed b);
    event Three(uint256 indexed a, uint256 indexed b, uint256 indexed c, bytes data);
    event None(uint256 a) anonymous;

    function set(uint256 from, uint256 count, uint256 value) external {
        for (uint256 i = 0; i < count; i++) slot[from + i] = value;
    }
    /// Sets, clears and restores the same slots.
    function dance(uint256 from, uint256 count) external {
        for (uint256 i = from; i < from + count; i++) {
            uint256 old = slot[i];
            slot[i] = old + 1;
            slot[i] = 0;
            slot[i] = old;
        }
    }
    function shout(uint256 a, bytes calldata data) external {
        emit None(a);
        emit One(a);
        emit Two(a, a + 1);
        emit Three(a, a + 1, a + 2, data);
    }
    function hash(uint256 rounds) external returns (bytes32 h) {
        for (uint256 i = 0; i < rounds; i++) h = keccak256(abi.encodePacked(h, i));
        slot[uint256(h)] = 1;
    }
    function fail(string calldata why) external pure { revert(why); }
    function failAfterWriting(uint256 key) external {
        slot[key] = 99;
        require(slot[key] == 98, "as asked");
    }
    function breakAssert(uint256 a) external pure returns (uint256) { return a / (a - a); }
    function burn() external { while (true) slot[gasleft()] = 1; }
}
