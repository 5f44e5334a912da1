// Usage: node holders.mjs FOLDER COUNT. Starts anvil with an ERC-20 token of COUNT holders (holder i, at address 0x10000000 + i, has i + 1), prints one JSON
// line {url, token, pid} and serves until stdin closes.
import { ethers } from 'ethers';
import { Chain } from './chain.mjs';
import { own } from './contracts.mjs';

const [folder, count] = [process.argv[2], Number(process.argv[3])];
const token = '0x00000000000000000000000000000000000070ce';
const { bytecode, abi } = own('prague').Token20;
const creation = bytecode + abi.encodeDeploy(['Holders', 'HLD']).slice(2);
// What the constructor leaves is what a call of it returns.
const first = await Chain.start('prague', folder, { accounts: 1 });
const code = await first.rpc('eth_call', { data: creation }, 'latest');
first.stop();
const word = (n) => '0x' + n.toString(16).padStart(64, '0');
const storage = {};
for (let i = 0; i < count; i++) {
  const address = ethers.toBeHex(0x10000000 + i, 32);
  storage[ethers.keccak256(ethers.concat([address, ethers.ZeroHash]))] = word(i + 1);
}
const chain = await Chain.start('prague', folder, { accounts: 1, extra: { [token]: { balance: '0x0', nonce: '0x1', code, storage } } });
const pid = chain.process.pid;
process.stdout.write(JSON.stringify({ url: chain.url, token, pid, last: 0 }) + '\n');
process.stdin.resume();
process.stdin.on('end', () => { chain.stop(); process.exit(0); });
