// An anvil process on 127.0.0.1 and what is needed to send it signed transactions and mine them in chosen blocks.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { ethers } from 'ethers';

export const CHAIN_ID = 31337;
export const FORKS = ['frontier', 'homestead', 'tangerine', 'spuriousdragon', 'byzantium', 'petersburg', 'istanbul', 'berlin', 'london', 'paris',
  'shanghai', 'cancun', 'prague', 'osaka'];
export const since = (fork, name) => FORKS.indexOf(fork) >= FORKS.indexOf(name);

/// Runtime codes of the system contracts as the EIPs give them (4788, 2935, 7002, 7251).
export const SYSTEM_CONTRACTS = {
  '0x000f3df6d732807ef1319fb7b8bb8522d0beac02': {
    since: 'cancun',
    code: '0x3373fffffffffffffffffffffffffffffffffffffffe14604d57602036146024575f5ffd5b5f35801560495762001fff810690815414603c575f5ffd5b62001fff01545f5260205ff35b5f5ffd5b62001fff42064281555f359062001fff015500',
  },
  '0x0000f90827f1c53a10cb7a02335b175320002935': {
    since: 'prague',
    code: '0x3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff81430311604257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500',
  },
  '0x00000961ef480eb55e80d19ad83579a64c007002': {
    since: 'prague',
    code: '0x3373fffffffffffffffffffffffffffffffffffffffe1460cb5760115f54807fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff146101f457600182026001905f5b5f82111560685781019083028483029004916001019190604d565b909390049250505036603814608857366101f457346101f4575f5260205ff35b34106101f457600154600101600155600354806003026004013381556001015f35815560010160203590553360601b5f5260385f601437604c5fa0600101600355005b6003546002548082038060101160df575060105b5f5b8181146101835782810160030260040181604c02815460601b8152601401816001015481526020019060020154807fffffffffffffffffffffffffffffffff00000000000000000000000000000000168252906010019060401c908160381c81600701538160301c81600601538160281c81600501538160201c81600401538160181c81600301538160101c81600201538160081c81600101535360010160e1565b910180921461019557906002556101a0565b90505f6002555f6003555b5f54807fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff14156101cd57505f5b6001546002828201116101e25750505f6101e8565b01600290035b5f555f600155604c025ff35b5f5ffd',
  },
  '0x0000bbddc7ce488642fb579f8b00f3a590007251': {
    since: 'prague',
    code: '0x3373fffffffffffffffffffffffffffffffffffffffe1460d35760115f54807fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff1461019a57600182026001905f5b5f82111560685781019083028483029004916001019190604d565b9093900492505050366060146088573661019a573461019a575f5260205ff35b341061019a57600154600101600155600354806004026004013381556001015f358155600101602035815560010160403590553360601b5f5260605f60143760745fa0600101600355005b6003546002548082038060021160e7575060025b5f5b8181146101295782810160040260040181607402815460601b815260140181600101548152602001816002015481526020019060030154905260010160e9565b910180921461013b5790600255610146565b90505f6002555f6003555b5f54807fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff141561017357505f5b6001546001828201116101885750505f61018e565b01600190035b5f555f6001556074025ff35b5f5ffd',
  },
};

export const key = (i) => ethers.id(`isolane test account ${i}`);

function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => { const { port } = server.address(); server.close(() => resolve(port)); });
  });
}

export class Chain {
  /// `extra` are further genesis accounts, `without` system contracts that are left out, `accounts` how many funded senders there are, `most` how many
  /// transactions a block has before it is mined by itself.
  static async start(fork, folder, { accounts = 24, extra = {}, without = [], gasLimit = 60_000_000, most = Infinity } = {}) {
    const chain = new Chain();
    chain.most = most;
    chain.fork = fork;
    chain.wallets = Array.from({ length: accounts }, (_, i) => new ethers.Wallet(key(i)));
    chain.nonces = new Map(chain.wallets.map((w) => [w.address, 0]));
    const alloc = { ...extra };
    for (const w of chain.wallets) alloc[w.address.toLowerCase()] = { balance: '0x' + (10n ** 24n).toString(16) };
    for (const [address, c] of Object.entries(SYSTEM_CONTRACTS)) {
      if (since(fork, c.since) && !without.includes(address)) alloc[address] = { balance: '0x0', nonce: '0x1', code: c.code };
    }
    const genesis = {
      config: { chainId: CHAIN_ID }, nonce: '0x0', timestamp: '0x65f00000', extraData: '0x', gasLimit: '0x' + gasLimit.toString(16), difficulty: '0x20000',
      mixHash: ethers.ZeroHash, coinbase: ethers.ZeroAddress, alloc,
    };
    if (since(fork, 'london')) genesis.baseFeePerGas = '0x3b9aca00';
    fs.mkdirSync(folder, { recursive: true });
    const file = path.join(folder, 'genesis.json');
    fs.writeFileSync(file, JSON.stringify(genesis));
    const require = createRequire(import.meta.url);
    const binary = require.resolve(`@foundry-rs/anvil-${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}/bin/anvil`);
    const port = await freePort();
    chain.process = spawn(binary, ['--host', '127.0.0.1', '--port', String(port), '--hardfork', fork, '--init', file, '--chain-id', String(CHAIN_ID),
      '--accounts', '0', '--no-mining', '--order', 'fifo', '--gas-limit', String(gasLimit), '--disable-default-create2-deployer', '--silent',
      '--timestamp', String(0x65f00000), '--disable-min-priority-fee', ...(since(fork, 'osaka') ? ['--enable-tx-gas-limit'] : [])],
      { stdio: ['ignore', 'ignore', 'inherit'] });
    process.on('exit', () => chain.process.kill());
    chain.url = `http://127.0.0.1:${port}`;
    for (let i = 0; ; i++) {
      try { await chain.rpc('eth_chainId'); break; } catch (e) { if (i > 100) throw e; await new Promise((r) => setTimeout(r, 50)); }
    }
    chain.time = Number((await chain.rpc('eth_getBlockByNumber', 'latest', false)).timestamp);
    chain.pending = [];
    return chain;
  }

  async rpc(method, ...params) {
    const reply = await fetch(this.url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }) });
    const json = await reply.json();
    if (json.error) throw new Error(`${method}: ${json.error.message} ${JSON.stringify(json.error.data ?? '')}`);
    return json.result;
  }

  get legacyChainId() { return since(this.fork, 'spuriousdragon') ? CHAIN_ID : 0; }

  /// Signs and submits; returns the hash. `fields.from` is an index into the wallets. The nonce is kept here, so failing transactions count too.
  async send({ from = 0, raw: _raw, ...fields }) {
    const wallet = this.wallets[from];
    const nonce = this.nonces.get(wallet.address);
    const base = { nonce, gasLimit: 100_000, value: 0n, data: '0x', type: 0, ...fields };
    if (base.type === 0) { base.chainId ??= this.legacyChainId; base.gasPrice ??= 10_000_000_000n; }
    else base.chainId = CHAIN_ID;
    if (base.type === 1) base.gasPrice ??= 11_000_000_000n;
    if (base.type >= 2) { base.maxFeePerGas ??= 20_000_000_000n; base.maxPriorityFeePerGas ??= 1_500_000_000n; }
    if (base.type === 3) base.maxFeePerBlobGas ??= 10n ** 9n;
    const tx = ethers.Transaction.from(base);
    tx.signature = wallet.signingKey.sign(tx.unsignedHash);
    const hash = await this.rpc('eth_sendRawTransaction', tx.serialized);
    this.nonces.set(wallet.address, nonce + 1);
    this.pending.push(hash);
    if (this.pending.length >= this.most) await this.mine();
    return hash;
  }

  /// The address the next transaction of a sender would create.
  next(from = 0) { const w = this.wallets[from]; return ethers.getCreateAddress({ from: w.address, nonce: this.nonces.get(w.address) }); }

  /// Mines everything sent since the last block and waits until all receipts are there. Returns the block's number and the failed hashes.
  async mine({ coinbase = '0x000000000000000000000000000000000000c0de', step = 12 } = {}) {
    await this.rpc('anvil_setCoinbase', coinbase);
    this.time += step;
    await this.rpc('evm_setNextBlockTimestamp', this.time);
    await this.rpc('evm_mine');
    const number = Number(await this.rpc('eth_blockNumber'));
    const block = await this.rpc('eth_getBlockByNumber', '0x' + number.toString(16), false);
    const mined = new Set(block.transactions);
    const missing = this.pending.filter((h) => !mined.has(h));
    if (missing.length) throw new Error(`${this.fork} block ${number}: ${missing.length} of ${this.pending.length} transactions were not mined`);
    let receipts;
    for (let i = 0; ; i++) {
      receipts = await this.rpc('eth_getBlockReceipts', '0x' + number.toString(16)) ?? [];
      if (receipts.length === this.pending.length) break;
      if (i > 200) throw new Error(`${this.fork} block ${number}: receipts did not come`);
      await new Promise((r) => setTimeout(r, 20));
    }
    const failed = receipts.filter((r) => r.status === '0x0').map((r) => r.transactionHash);
    this.pending = [];
    return { number, failed, count: receipts.length, gasUsed: Number(block.gasUsed) };
  }

  stop() { this.process.kill(); }
}
