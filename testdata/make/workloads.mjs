// Usage: node workloads.mjs OUT. Writes one workload a file: the pre-state that 256 transactions by 256 senders need, and the transactions.
// Every transaction is run once on the node, which must succeed, and traced there: the trace names what it reads.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { ethers } from 'ethers';
import { asm, deploy } from './asm.mjs';
import { Chain } from './chain.mjs';
import { call } from './contracts.mjs';
import { Traffic, fresh } from './traffic.mjs';

const out = process.argv[2], COUNT = 256, ETHER = 10n ** 18n, FOREVER = 1n << 255n;
const word = (v) => BigInt(v).toString(16).padStart(64, '0');
const bare = (hex) => hex.replace(/^0x/, '').toLowerCase();
const COINBASE = '00000000000000000000000000000000c01bace0';

// n in the first calldata word.
const P = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
const LOOPS = {
  fibonacci: '0 1 0 CALLDATALOAD loop: DUP1 ISZERO @end JUMPI 1 SWAP1 SUB SWAP2 DUP2 ADD SWAP1 SWAP2 @loop JUMP end: POP 0 MSTORE 32 0 RETURN',
  mulmod_loop: `3 0 CALLDATALOAD loop: DUP1 ISZERO @end JUMPI 1 SWAP1 SUB SWAP1 0x${P.toString(16)} DUP2 DUP1 7 ADD MULMOD SWAP1 POP SWAP1 @loop JUMP end: POP 0 MSTORE 32 0 RETURN`,
  // Each round copies 128 words to the 128 behind them.
  mload_mstore_loop: '0 CALLDATALOAD loop: DUP1 ISZERO @end JUMPI 1 SWAP1 SUB DUP1 0 MSTORE 4096 copy: 32 SWAP1 SUB DUP1 MLOAD DUP2 4096 ADD MSTORE DUP1 @copy JUMPI POP @loop JUMP end: 32 4096 RETURN',
  mcopy_loop: '0 CALLDATALOAD loop: DUP1 ISZERO @end JUMPI 1 SWAP1 SUB DUP1 0 MSTORE 4096 0 4096 MCOPY @loop JUMP end: 32 4096 RETURN',
  hash_10k: '0 CALLDATALOAD loop: DUP1 ISZERO @end JUMPI 1 SWAP1 SUB DUP1 32 MSTORE 64 0 KECCAK256 0 MSTORE @loop JUMP end: 32 0 RETURN',
};

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'isolane-workloads-'));
const chain = await Chain.start('cancun', scratch, { accounts: COUNT, gasLimit: 200_000_000 });
const t = new Traffic(chain, 77);
await t.plain(); await t.modern(); await chain.mine();
await t.uniswapDeploy(); await chain.mine();
const { at, c, u } = t;
for (const [name, code] of Object.entries(LOOPS)) await t.deploy(name, deploy(asm(code)), 0, 1_000_000);
// 40 calls to the middle, each of which makes 49 calls to the leaf: 2,000 calls.
const repeat = (n, target) => asm(`${n} loop: 0 0 0 0 0 ${target} GAS CALL POP 1 SWAP1 SUB DUP1 @loop JUMPI STOP`);
await t.deploy('leaf', deploy(asm('CALLER POP STOP')), 0, 200_000);
await t.deploy('middle', deploy(repeat(49, at.leaf)), 0, 200_000);
await t.deploy('subcall_nested', deploy(repeat(40, at.middle)), 0, 200_000);
await chain.mine();
for (let i = 0; i < COUNT; i++) {
  const me = chain.wallets[i].address;
  for (const token of ['token', 'token2', 'proxy']) await chain.send({ from: i, to: at[token], data: call(c.Token20, 'mint', me, 1_000_000n * ETHER) });
  await chain.send({ from: i, to: at.weth, data: call(c.Weth, 'deposit'), value: ETHER });
  for (const router of ['v2router', 'v3router']) await chain.send({ from: i, to: at.token, data: call(c.Token20, 'approve', at[router], (1n << 256n) - 1n) });
  if (i % 64 === 63) await chain.mine();
}
for (const router of ['v2router', 'v3router']) await chain.send({ to: at.token2, data: call(c.Token20, 'approve', at[router], (1n << 256n) - 1n) });
await chain.mine();
await t.pools(); await chain.mine();

const me = (i) => chain.wallets[i].address, other = (i) => me((i * 37 + 11) % COUNT);
const loop = (name, n, gas) => () => ({ to: at[name], data: '0x' + word(n), gas });
const WORKLOADS = {
  transfer: (i) => ({ to: i % 2 ? other(i) : fresh(10_000 + i), value: 1000n + BigInt(i), gas: 21_000 }),
  erc20_transfer: (i) => ({ to: at.token, data: call(c.Token20, 'transfer', other(i), 1000n + BigInt(i)), gas: 100_000 }),
  erc20_new_receiver: (i) => ({ to: at.token, data: call(c.Token20, 'transfer', fresh(20_000 + i), 1000n + BigInt(i)), gas: 100_000 }),
  weth_deposit: (i) => ({ to: at.weth, data: call(c.Weth, 'deposit'), value: 1_000_000n + BigInt(i), gas: 100_000 }),
  proxy_transfer: (i) => ({ to: at.proxy, data: call(c.Token20, 'transfer', other(i), 1000n + BigInt(i)), gas: 120_000 }),
  univ2_swap: (i) => ({ to: at.v2router, data: call(u.RouterV2, 'swapExactTokensForTokens', ETHER + BigInt(i) * 10n ** 15n, 0, [at.token, at.token2], me(i), FOREVER), gas: 300_000 }),
  univ3_swap: (i) => ({ to: at.v3router, data: call(u.RouterV3, 'exactInputSingle', [at.token, at.token2, 3000, me(i), FOREVER, ETHER + BigInt(i) * 10n ** 15n, 0, 0]), gas: 400_000 }),
  fibonacci: loop('fibonacci', 10_000, 1_000_000),
  mulmod_loop: loop('mulmod_loop', 10_000, 2_000_000),
  mload_mstore_loop: loop('mload_mstore_loop', 100, 2_000_000),
  mcopy_loop: loop('mcopy_loop', 1000, 2_000_000),
  hash_10k: loop('hash_10k', 10_000, 3_000_000),
  subcall_nested: () => ({ to: at.subcall_nested, data: '0x', gas: 3_000_000 }),
};

fs.mkdirSync(out, { recursive: true });
for (const name of fs.readdirSync(out)) if (name.endsWith('.txt.zst')) fs.unlinkSync(path.join(out, name));
for (const [name, make] of Object.entries(WORKLOADS)) {
  const accounts = new Map([[COINBASE, { balance: '0x' + ETHER.toString(16) }]]), slots = new Map(), transactions = [];
  const see = (address, account) => {
    address = bare(address);
    if (!accounts.has(address)) accounts.set(address, account);
    for (const [slot, value] of Object.entries(account.storage ?? {})) slots.set(address + ' ' + word(slot), word(value));
  };
  for (let i = 0; i < COUNT; i++) {
    const { to, value = 0n, data = '0x', gas } = make(i);
    const request = { from: me(i), to, value: '0x' + value.toString(16), data, gas: '0x' + gas.toString(16), gasPrice: '0x0' };
    // All transactions of a loop run the same path: the first shows what they read.
    if (i === 0 || !(name in LOOPS || name === 'subcall_nested')) {
      await chain.rpc('eth_call', request, 'latest');
      const seen = await chain.rpc('debug_traceCall', request, 'latest', { tracer: 'prestateTracer' });
      for (const [address, account] of Object.entries(seen)) {
        // Accounts that are not there are not written down.
        if (BigInt(account.balance ?? 0) || account.nonce || (account.code ?? '0x') !== '0x' || Object.keys(account.storage ?? {}).length) see(address, account);
      }
    }
    see(me(i), { balance: await chain.rpc('eth_getBalance', me(i), 'latest'), nonce: chain.nonces.get(me(i)) });
    transactions.push(`T ${bare(me(i))} ${bare(to)} ${word(value)} ${gas} ${chain.nonces.get(me(i))} ${bare(data) || '-'}`);
  }
  accounts.delete('0'.repeat(40));
  const lines = [`W ${name}`, ...[...accounts].sort().map(([a, v]) => `A ${a} ${word(v.balance ?? 0)} ${Number(v.nonce ?? 0)} ${bare(v.code ?? '') || '-'}`),
    ...[...slots].sort().filter(([, v]) => BigInt('0x' + v)).map(([k, v]) => `S ${k} ${v}`), ...transactions];
  const packed = spawnSync('zstd', ['-19', '-q', '-c'], { input: lines.join('\n') + '\n', maxBuffer: 1 << 28 });
  if (packed.status !== 0) throw new Error(`zstd: ${packed.stderr ?? packed.error}`);
  fs.writeFileSync(path.join(out, name + '.txt.zst'), packed.stdout);
  console.log(`${name}: ${accounts.size} accounts, ${slots.size} slots, ${transactions.length} transactions, ${packed.stdout.length} bytes`);
}
chain.stop();
fs.rmSync(scratch, { recursive: true });
process.exit(0);
