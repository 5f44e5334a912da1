// What the senders do: deployments, set-up, and generators of single transactions. All random choices come from one seeded generator.
import { ethers } from 'ethers';
import { asm, deploy } from './asm.mjs';
import { call, init, levelOf, own, uniswap } from './contracts.mjs';
import { since } from './chain.mjs';

export function random(seed) {
  let a = seed >>> 0;
  const next = () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const pick = (n) => Math.floor(next() * n);
  return { next, pick, of: (list) => list[pick(list.length)] };
}

export const fresh = (n) => '0x' + ethers.id(`isolane receiver ${n}`).slice(26);
const ETHER = 10n ** 18n;
const word = (v) => BigInt(v).toString(16).padStart(64, '0');
const MAX = (1n << 256n) - 1n;

/// Hand-assembled contracts. Each ends in a way that leaves something to see in storage or in a log.
function probes(fork) {
  const at = (name) => since(fork, name);
  const environment = ['ADDRESS', 'ORIGIN', 'CALLER', 'CALLVALUE', 'CALLDATASIZE', 'CODESIZE', 'GASPRICE', 'COINBASE', 'TIMESTAMP', 'NUMBER', 'GASLIMIT', 'MSIZE', 'PC', 'GAS',
    'NUMBER 1 SWAP1 SUB BLOCKHASH', 'NUMBER 2 SWAP1 SUB BLOCKHASH', 'NUMBER BLOCKHASH', 'ADDRESS BALANCE', 'CALLER EXTCODESIZE',
    ...(at('byzantium') ? ['RETURNDATASIZE'] : []), ...(at('petersburg') ? ['ADDRESS EXTCODEHASH', '1 255 SHL', '255 NOT 4 SAR'] : []),
    ...(at('istanbul') ? ['CHAINID', 'SELFBALANCE'] : []), ...(at('london') ? ['BASEFEE'] : []), ...(at('shanghai') ? ['PUSH0'] : []),
    ...(at('cancun') ? ['0 BLOBHASH', 'BLOBBASEFEE'] : []), ...(at('osaka') ? ['CALLVALUE CLZ', 'ADDRESS CLZ', '0 CLZ'] : [])];
  const list = {
    // The environment into storage and one log.
    environment: environment.map((e, i) => `${e} DUP1 ${i * 32} MSTORE ${i} SSTORE`).join(' ') + ` ${environment.length * 32} 0 LOG0 STOP`,
    // First calldata word: an address to call with the rest of the calldata; stores success and a hash of the output.
    precompile: `32 CALLDATASIZE SUB DUP1 32 0 CALLDATACOPY 512 4096 DUP3 0 0 0 CALLDATALOAD GAS CALL
      CALLER SSTORE 512 4096 KECCAK256 0 CALLDATALOAD SSTORE STOP`,
    // A call that comes back to itself until the depth in the first calldata word is used up; counts in storage.
    recursion: `0 CALLDATALOAD DUP1 ISZERO @end JUMPI 1 SWAP1 SUB 0 MSTORE 0 0 32 0 0 ADDRESS 2000 GAS SUB CALL POP end: 0 SLOAD 1 ADD 0 SSTORE STOP`,
    stackUnderflow: 'ADD STOP', badJump: '3 JUMP STOP', invalid: 'INVALID', stackOverflow: 'again: 1 @again JUMP',
    hugeMemory: '1 0xffffffffffff MSTORE STOP',
    // CALLCODE and DELEGATECALL into the token-less counter: writes to the caller's own storage.
    counter: '0 SLOAD CALLVALUE ADD 1 ADD 0 SSTORE CALLER 1 SSTORE STOP',
    callcode: '0 0 0 0 CALLVALUE 0 CALLDATALOAD 50000 CALLCODE 2 SSTORE STOP',
    // A gas-counted loop that ends out of gas when asked for too much.
    spin: '0 CALLDATALOAD loop: DUP1 ISZERO @end JUMPI 1 SWAP1 SUB @loop JUMP end: 1 0 SSTORE STOP',
    // Returns what it got, so a call with value 0 shows calldata copying.
    echo: 'CALLDATASIZE 0 0 CALLDATACOPY CALLDATASIZE 0 LOG0 CALLDATASIZE 0 RETURN',
  };
  if (at('homestead')) list.delegatecall = '0 0 0 0 0 CALLDATALOAD 50000 DELEGATECALL 3 SSTORE STOP';
  if (at('byzantium')) {
    list.static = '0 0 0 0 0 CALLDATALOAD 50000 STATICCALL 4 SSTORE RETURNDATASIZE 5 SSTORE STOP';
    list.revert = '0xbad 0 MSTORE 1 0 SSTORE 32 0 REVERT';
    list.outOfBounds = '1 0 0 RETURNDATACOPY STOP';
  }
  return Object.fromEntries(Object.entries(list).map(([k, v]) => [k, asm(v)]));
}

export class Traffic {
  constructor(chain, seed) {
    this.chain = chain; this.fork = chain.fork; this.rng = random(seed); this.at = {}; this.c = own(levelOf(this.fork));
    this.serial = 0; this.nfts = []; this.probes = probes(this.fork);
    this.has = (f) => since(this.fork, f);
  }
  who() { return this.rng.pick(this.chain.wallets.length); }
  address(i) { return this.chain.wallets[i].address; }
  async deploy(name, data, from = 0, gasLimit = 6_000_000, value = 0n) {
    this.at[name] = this.chain.next(from);
    await this.chain.send({ from, data, gasLimit, to: null, value });
  }

  /// Block 1: what every fork can run.
  async plain() {
    const { c } = this;
    await this.deploy('token', init(c.Token20, 'Isolane', 'ISO'));
    await this.deploy('token2', init(c.Token20, 'Other', 'OTH'));
    await this.deploy('weth', init(c.Weth));
    await this.deploy('multisig', init(c.Multisig, [0, 1, 2, 3].map((i) => this.address(i)), 2), 0, 3_000_000, 5n * ETHER);
    await this.deploy('multicall', init(c.Multicall));
    await this.deploy('spawner', init(c.Spawner));
    await this.deploy('juggler', init(c.Juggler));
    for (const [name, code] of Object.entries(this.probes)) await this.deploy('probe.' + name, deploy(code), 1, 400_000);
  }
  /// Block 2: contracts that need Byzantium and later.
  async modern() {
    const { c } = this;
    if (this.has('byzantium')) {
      await this.deploy('nft', init(c.Nft));
      await this.deploy('items', init(c.Items));
      await this.deploy('logic', init(c.ProxiedToken));
      await this.deploy('proxy', init(c.TokenProxy, this.at.logic));
    }
    if (this.has('petersburg')) {
      await this.deploy('maker2', init(c.Maker2));
      await this.deploy('cloner', init(c.CloneMaker));
    }
    if (this.has('cancun')) {
      await this.deploy('transient', init(c.Transient));
      await this.deploy('delegate', init(c.Delegate));
    }
  }
  async uniswapDeploy() {
    if (!this.has('istanbul')) return;
    const u = this.u = uniswap(), zero = ethers.ZeroAddress;
    await this.deploy('v2factory', init(u.FactoryV2, zero));
    await this.deploy('v2router', init(u.RouterV2, this.at.v2factory, this.at.weth));
    await this.deploy('v3factory', init(u.FactoryV3));
    await this.deploy('v3router', init(u.RouterV3, this.at.v3factory, this.at.weth));
    await this.deploy('v3positions', init(u.Positions, this.at.v3factory, this.at.weth, zero));
  }
  /// Block 3: balances and allowances; Block 4: pools.
  async balances() {
    const { c, at, chain } = this, n = chain.wallets.length;
    for (const token of ['token', 'token2', ...(at.proxy ? ['proxy'] : [])]) {
      for (let i = 0; i < n; i++) await chain.send({ from: i, to: at[token], data: call(c.Token20, 'mint', this.address(i), 1_000_000n * ETHER) });
    }
    for (let i = 0; i < n; i++) await chain.send({ from: i, to: at.weth, data: call(c.Weth, 'deposit'), value: 100n * ETHER });
    if (at.nft) for (let i = 0; i < 4; i++) {
      await chain.send({ from: i, to: at.nft, data: call(c.Nft, 'mint', this.address(i), 20), gasLimit: 2_000_000 });
      for (let k = 0; k < 20; k++) this.nfts.push(i);
      await chain.send({ from: i, to: at.items, data: call(c.Items, 'mint', this.address(i), [1, 2, 3], [1000, 1000, 1000]), gasLimit: 400_000 });
    }
    if (!this.u) return;
    for (let i = 0; i < n; i++) for (const [token, router] of [['token', 'v2router'], ['token2', 'v2router'], ['token', 'v3router'], ['token2', 'v3router']]) {
      await chain.send({ from: i, to: at[token], data: call(c.Token20, 'approve', at[router], MAX) });
    }
  }
  async pools() {
    if (!this.u) return;
    const { c, at, u, chain } = this, me = this.address(0), late = chain.time + 100_000;
    await chain.send({ to: at.v2router, gasLimit: 5_000_000, data: call(u.RouterV2, 'addLiquidity', at.token, at.token2, 10_000n * ETHER, 20_000n * ETHER, 0, 0, me, late) });
    await chain.send({ to: at.v2router, gasLimit: 5_000_000, value: 50n * ETHER, data: call(u.RouterV2, 'addLiquidityETH', at.token, 10_000n * ETHER, 0, 0, me, late) });
    const [a, b] = [at.token, at.token2].sort((x, y) => (BigInt(x) < BigInt(y) ? -1 : 1));
    await chain.send({ to: at.v3positions, gasLimit: 7_000_000, data: call(u.Positions, 'createAndInitializePoolIfNecessary', a, b, 3000, 1n << 96n) });
    for (const t of ['token', 'token2']) await chain.send({ to: at[t], data: call(c.Token20, 'approve', at.v3positions, MAX) });
    for (const range of [887220, 6000]) await chain.send({ to: at.v3positions, gasLimit: 2_000_000, data: call(u.Positions, 'mint',
      [a, b, 3000, -range, range, 50_000n * ETHER, 50_000n * ETHER, 0, 0, me, late]) });
  }

  /// Makes the accounts that delegate, which otherwise begin with their first delegation.
  async authorities() {
    for (let i = 0; i < 6; i++) await this.chain.send({ to: new ethers.Wallet(ethers.id(`isolane authority ${i}`)).address, value: 1n });
  }

  // Generators: each returns the fields of one transaction, or undefined where the fork has no such thing.
  transfer() {
    const k = this.rng.pick(12);
    const to = k < 5 ? this.address(this.who()) : k < 10 ? fresh(this.serial++) : k === 10 ? '0x000000000000000000000000000000000000c0de' : '0x00000000000000000000000000000000000000' + this.rng.of(['01', '02', '04', 'ff']);
    return { to, value: BigInt(this.rng.pick(1_000_000)) * BigInt(this.rng.of([0, 1, 1, 10 ** 9])), gasLimit: this.rng.of([21000, 21000, 30000, 90000]), data: to.endsWith('0004') ? '0x010203' : '0x', ...(to.startsWith('0x0000') ? { gasLimit: 90000 } : {}) };
  }
  typed() {
    const from = this.who(), base = { from, to: this.rng.of([this.at.token, this.at.weth]), data: call(this.c.Token20, 'transfer', fresh(this.serial++), 5n), gasLimit: 120_000 };
    const accessList = [{ address: base.to, storageKeys: ['0x' + word(0), ethers.keccak256('0x' + this.address(from).slice(2).toLowerCase().padStart(64, '0') + word(0))] }, { address: this.at.juggler, storageKeys: [] }];
    const kinds = [...(this.has('berlin') ? [{ type: 1, accessList }] : []), ...(this.has('london') ? [{ type: 2 }, { type: 2, accessList, maxPriorityFeePerGas: 0n }, { type: 2, maxFeePerGas: 3_000_000_000n, maxPriorityFeePerGas: 3_000_000_000n }] : [])];
    return kinds.length ? { ...base, ...this.rng.of(kinds) } : undefined;
  }
  erc20() {
    const { c, at } = this, from = this.who(), token = this.rng.of([at.token, at.token2, at.weth, ...(at.proxy ? [at.proxy] : [])]);
    return [
      { from, to: token, data: call(c.Token20, 'transfer', this.address(this.who()), BigInt(this.rng.pick(1e9))) },
      { from, to: token, data: call(c.Token20, 'transfer', fresh(this.serial++), BigInt(this.rng.pick(1e9))) },
      { from, to: token, data: call(c.Token20, 'approve', this.address(this.who()), BigInt(this.rng.pick(1e9))) },
      { from, to: token, data: call(c.Token20, 'transferFrom', this.address(this.who()), fresh(this.serial), 1n) },
      { from, to: token, data: call(c.Token20, 'transfer', this.address(this.who()), MAX / 2n) },
      { from, to: at.weth, data: this.rng.of(['0x', call(c.Weth, 'deposit')]), value: 1000n },
      { from, to: at.weth, data: call(c.Weth, 'withdraw', BigInt(this.rng.pick(1000))) },
    ][this.rng.pick(7)];
  }
  collectible() {
    if (!this.at.nft) return undefined;
    const { c, at } = this, id = this.rng.pick(this.nfts.length), owner = this.nfts[id], to = this.who(), k = this.rng.pick(5);
    if (k < 2) { this.nfts[id] = to; return { from: owner, to: at.nft, data: call(c.Nft, 'transferFrom', this.address(owner), this.address(to), id) }; }
    if (k === 2) return { from: this.who(), to: at.nft, data: call(c.Nft, 'safeTransferFrom(address,address,uint256)', this.address(owner), at.token, id), gasLimit: 150_000 };
    if (k === 3) return { from: this.rng.pick(4), to: at.items, data: call(c.Items, 'safeTransferFrom', this.address(this.rng.pick(4)), this.address(this.who()), 1, 3, '0x'), gasLimit: 120_000 };
    return { from: 0, to: at.items, data: call(c.Items, 'safeBatchTransferFrom', this.address(0), this.address(this.who()), [1, 2, 3], [1, 2, 0], '0x'), gasLimit: 200_000 };
  }
  swap() {
    if (!this.u) return undefined;
    const { at, u } = this, from = this.who(), me = this.address(from), late = this.chain.time + 100_000, k = this.rng.pick(6);
    const pair = this.rng.of([[at.token, at.token2], [at.token2, at.token]]), amount = BigInt(1 + this.rng.pick(1000)) * 10n ** 15n;
    if (k < 2) return { from, to: at.v2router, gasLimit: 300_000, data: call(u.RouterV2, 'swapExactTokensForTokens', amount, 0, pair, me, late) };
    if (k === 2) return { from, to: at.v2router, gasLimit: 300_000, value: amount, data: call(u.RouterV2, 'swapExactETHForTokens', 0, [at.weth, at.token], me, late) };
    if (k === 3 && this.rng.pick(3) === 0) return { from, to: at.v2router, gasLimit: 300_000, data: call(u.RouterV2, 'swapExactTokensForTokens', amount, MAX, pair, me, late) };
    if (k < 5) return { from, to: at.v3router, gasLimit: 400_000, data: call(u.RouterV3, 'exactInputSingle', [pair[0], pair[1], 3000, me, late, amount, 0, 0]) };
    return { from, to: at.v3router, gasLimit: 400_000, data: call(u.RouterV3, 'exactOutputSingle', [pair[0], pair[1], 3000, me, late, amount, MAX / 2n, 0]) };
  }
  wallet() {
    const { c, at } = this, from = this.rng.pick(4), k = this.rng.pick(4);
    if (k === 0) { this.proposals = (this.proposals ?? 0) + 1; return { from, to: at.multisig, gasLimit: 400_000, data: call(c.Multisig, 'propose', fresh(this.serial++), 1000n, '0x') }; }
    if (k === 1) return { from, to: at.multisig, gasLimit: 300_000, data: call(c.Multisig, 'vote', Math.max(0, (this.proposals ?? 1) - 1)) };
    const n = 1 + this.rng.pick(5), to = [], value = [], data = [];
    for (let i = 0; i < n; i++) {
      const one = this.rng.of([() => [at.juggler, 0n, call(c.Juggler, 'set', this.rng.pick(50), 2, this.rng.pick(3))], () => [fresh(this.serial++), 3n, '0x'], () => [at.juggler, 0n, call(c.Juggler, 'failAfterWriting', 1)], () => [at.token, 0n, call(c.Token20, 'transfer', at.weth, 1n)]])();
      to.push(one[0]); value.push(one[1]); data.push(one[2]);
    }
    return { from, to: at.multicall, gasLimit: 900_000, value: value.reduce((a, b) => a + b, 0n), data: call(c.Multicall, 'run', to, value, data) };
  }
  storage() {
    const { c, at } = this, from = this.who(), pick = this.rng.pick;
    return { from, to: at.juggler, gasLimit: 400_000, data: [() => call(c.Juggler, 'set', pick(40), 1 + pick(6), pick(3)), () => call(c.Juggler, 'dance', pick(40), 1 + pick(5)),
      () => call(c.Juggler, 'shout', pick(1000), ethers.id(String(pick(9)))), () => call(c.Juggler, 'hash', 20 + pick(60))][pick(4)]() };
  }
  lives() {
    const { c, at } = this, from = this.who(), k = this.rng.pick(6), heir = this.rng.of([fresh(this.serial++), this.address(from), at.weth]);
    if (k === 0) return { from, to: at.spawner, gasLimit: 1_500_000, value: 4n, data: call(c.Spawner, 'spawn', 1 + this.rng.pick(3)) };
    if (k === 1) return { from, to: at.spawner, gasLimit: 900_000, value: 9n, data: call(c.Spawner, 'spawnAndEnd', heir) };
    if (k === 2) return { from, to: at.spawner, gasLimit: 400_000, data: call(c.Spawner, 'endFirst', heir) };
    if (at.maker2 && k === 3) return { from, to: at.maker2, gasLimit: 500_000, value: 2n, data: call(c.Maker2, 'make', '0x' + word(this.rng.pick(6))) };
    if (at.maker2 && k === 4) return { from, to: at.maker2, gasLimit: 500_000, data: call(c.Maker2, 'makeQuietly', '0x' + word(this.rng.pick(6))) };
    if (at.cloner && this.rng.pick(3) === 0) return { from, to: at.cloner, gasLimit: 150_000, data: call(c.CloneMaker, 'make', this.rng.of([at.token, at.logic])) };
    return { from, to: null, gasLimit: 200_000, value: this.rng.of([0n, 7n]), data: this.rng.of([deploy(asm('CALLER SELFDESTRUCT')), asm('CALLER SELFDESTRUCT'), asm('INVALID'), '0x', asm('0xef 0 MSTORE8 1 0 RETURN'), asm('30000 0 RETURN'), deploy(asm('0 SLOAD 1 ADD 0 SSTORE STOP'))]) };
  }
  failing() {
    const { c, at } = this, from = this.who(), k = this.rng.pick(10), list = Object.keys(this.probes).filter((p) => !['precompile', 'recursion', 'callcode', 'delegatecall', 'static', 'spin'].includes(p));
    if (k < 3) return { from, to: at['probe.' + this.rng.of(list)], gasLimit: 600_000, value: BigInt(this.rng.pick(3)), data: '0x' + word(this.rng.pick(99)) };
    if (k === 3) return { from, to: at.juggler, gasLimit: 200_000, data: call(c.Juggler, 'fail', 'a reason') };
    if (k === 4) return { from, to: at.juggler, gasLimit: 60_000, data: call(c.Juggler, 'burn') };
    if (k === 5) return { from, to: at.juggler, gasLimit: 60_000, data: call(c.Juggler, 'breakAssert', 1) };
    if (k === 6) return { from, to: at['probe.recursion'], gasLimit: 900_000, data: '0x' + word(this.rng.pick(40)) };
    if (k === 7) return { from, to: at['probe.spin'], gasLimit: 100_000, data: '0x' + word(this.rng.of([1, 100, 1000, 100_000])) };
    const target = this.rng.of(['probe.callcode', 'probe.delegatecall', 'probe.static'].filter((p) => at[p]));
    return { from, to: at[target], gasLimit: 250_000, value: k === 8 && target === 'probe.callcode' ? 5n : 0n, data: '0x' + at[this.rng.of(['probe.counter', 'probe.environment', ...(at['probe.revert'] ? ['probe.revert'] : [])])].slice(2).padStart(64, '0') };
  }
  precompile() {
    const from = this.who(), n = 1 + this.rng.pick(this.has('osaka') ? 18 : this.has('prague') ? 17 : this.has('cancun') ? 10 : this.has('istanbul') ? 9 : this.has('byzantium') ? 8 : 4);
    const g1 = word(1) + word(2);
    const input = { 1: ethers.id('message').slice(2) + word(28) + ethers.id('r').slice(2) + '0'.repeat(8) + ethers.id('s').slice(10), 5: word(32) + word(1) + word(32) + ethers.id('b').slice(2) + '05' + ethers.id('m').slice(2),
      6: g1 + g1, 7: g1 + word(this.rng.pick(1e9)), 8: '', 9: '0000000c' + ethers.id('h').slice(2).repeat(6) + ethers.id('t').slice(2) + '01' }[n] ?? ethers.id('data' + this.rng.pick(20)).slice(2).repeat(this.rng.pick(5));
    return { from, to: this.at['probe.precompile'], gasLimit: 700_000, data: '0x' + word(n === 18 ? 0x100 : n) + input };
  }
  transientStorage() {
    if (!this.has('cancun')) return undefined;
    const { c, at } = this;
    return { from: this.who(), type: 2, to: at.transient, gasLimit: 400_000, data: this.rng.of([call(c.Transient, 'guarded', false), call(c.Transient, 'guarded', true), call(c.Transient, 'sum', 1 + this.rng.pick(20), ethers.id('x'))]) };
  }
  delegation() {
    if (!this.has('prague')) return undefined;
    const { c, at, chain } = this, k = this.rng.pick(5), from = 4 + this.rng.pick(8);
    // Receivers of authorizations are wallets of their own, which send nothing themselves, so that their nonces are known.
    const authority = new ethers.Wallet(ethers.id(`isolane authority ${this.rng.pick(6)}`));
    this.authority ??= new Map();
    const nonce = this.authority.get(authority.address) ?? 0;
    const batch = call(c.Delegate, 'batch', [this.onlyKnown ? this.address(1) : fresh(this.serial++), at.token], [0n, 0n], ['0x', call(c.Token20, 'approve', at.weth, 9n)]);
    if (k === 4) return { from, type: 2, to: authority.address, gasLimit: 300_000, data: this.rng.of(['0x', batch]), value: 3n };
    const good = k !== 3, target = this.rng.of([at.delegate, at.delegate, ethers.ZeroAddress]);
    const entry = authority.authorizeSync({ address: target, nonce: good ? nonce : nonce + 5, chainId: this.rng.of([0, chain.legacyChainId]) });
    if (good) this.authority.set(authority.address, nonce + 1);
    return { from, type: 4, to: authority.address, gasLimit: 400_000, data: this.rng.of(['0x', batch]), authorizationList: [entry] };
  }

  /// Withdrawal and consolidation requests: 20 and 4, where a block takes up 16 and 2; and some that the contracts refuse.
  async requests() {
    const key = (i) => ethers.id(`validator ${i}`).slice(2) + ethers.id(String(i)).slice(2, 34);
    for (let i = 0; i < 20; i++) await this.chain.send({ from: i % this.chain.wallets.length, type: 2, to: '0x00000961ef480eb55e80d19ad83579a64c007002', data: '0x' + key(i) + (i * 1000).toString(16).padStart(16, '0'), value: 1n, gasLimit: 250_000 });
    for (let i = 0; i < 4; i++) await this.chain.send({ from: i, type: 2, to: '0x0000bbddc7ce488642fb579f8b00f3a590007251', data: '0x' + key(i) + key(i + 9), value: 1n, gasLimit: 300_000 });
    await this.chain.send({ from: 5, to: '0x00000961ef480eb55e80d19ad83579a64c007002', data: '0x' + key(1) + '0'.repeat(16), value: 0n });
    await this.chain.send({ from: 5, to: '0x00000961ef480eb55e80d19ad83579a64c007002', data: '0x1234', value: 1n });
  }

  all() { return [this.transfer, this.typed, this.erc20, this.erc20, this.collectible, this.swap, this.swap, this.wallet, this.storage, this.lives, this.failing, this.precompile, this.transientStorage, this.delegation]; }
  /// Sends `count` transactions of the given generators.
  async burst(count, generators) {
    for (let sent = 0, tries = 0; sent < count; tries++) {
      if (tries > 40 * count) throw new Error('no generator of this burst works in ' + this.fork);
      const fields = this.rng.of(generators).call(this);
      if (!fields) continue;
      fields.from ??= this.who();
      await this.chain.send(fields);
      sent++;
    }
  }
}
