// Usage: node record.mjs FORK FOLDER [small|proofs]. Starts anvil, makes the fork's chain, prints one JSON line {url, fork, last, keep} and serves until stdin closes.
// With `small` the blocks have few transactions: anvil takes the square of their number to trace them. With `proofs` the chain is small and short, and
// without most of what makes anvil's state roots others than those of its states (testdata/README.md).
import { Chain, since } from './chain.mjs';
import { Traffic } from './traffic.mjs';
import { blobs } from './blobs.mjs';

const [fork, folder, kind] = process.argv.slice(2);
const proofs = kind === 'proofs', small = proofs || kind === 'small';
const beaconRoots = '0x000f3df6d732807ef1319fb7b8bb8522d0beac02';
const chain = await Chain.start(fork, folder, { without: proofs ? [beaconRoots] : [], accounts: small ? 12 : 24, most: small ? 12 : Infinity });
const t = new Traffic(chain, 1000 + fork.length * 7 + fork.charCodeAt(0));
const keep = {};
const mined = async (name, options) => {
  const block = await chain.mine(options);
  process.stderr.write(`${fork} ${block.number} ${name}: ${block.count} transactions, ${block.failed.length} failed, ${block.gasUsed} gas\n`);
  return block.number;
};
await t.plain(); keep[await mined('deployments')] = 'deployments of small contracts and of hand-assembled ones';
await t.modern(); await mined('more deployments');
await t.uniswapDeploy(); await mined('Uniswap');
await t.balances(); await mined('balances');
await t.pools(); const pools = await mined('pools');
if (fork === 'london' || fork === 'osaka') keep[pools] = 'Uniswap v2 and v3 pools are created and filled';
if (proofs) {
  await t.burst(24, [t.erc20, t.typed]); await mined('tokens');
  await t.burst(24, [t.swap]); await mined('swaps');
  await t.burst(24, [t.storage, t.failing, t.lives]); await mined('edges');
  t.onlyKnown = true;
  await t.authorities(); await mined('authorities');
  await t.burst(12, [t.delegation, t.transientStorage]); await mined('delegations');
  await mined('empty');
  await t.burst(1, [t.typed]);
  serve(await mined('one'));
} else {
  await everything();
}

function serve(last, transfers, edges) {
  process.stdout.write(JSON.stringify({ url: chain.url, fork, last, keep, transfers, edges }) + '\n');
  process.stdin.resume();
  process.stdin.on('end', () => { chain.stop(); process.exit(0); });
}

async function everything() {
  await t.burst(small ? 36 : 120, [t.transfer, t.transfer, t.transfer, t.typed]); const transfers = await mined('transfers', { coinbase: chain.wallets[5].address });
  keep[transfers] = 'plain transfers; the fee recipient is one of the senders';
  await t.burst(small ? 24 : 40, [t.lives, t.failing, t.precompile, t.storage]);
  const edges = await mined('edges');
  keep[edges] = 'creations, self-destructs, failures, precompiles, refunds';
  if (since(fork, 'istanbul')) { await t.burst(small ? 24 : 40, [t.swap]); keep[await mined('swaps')] = 'Uniswap v2 and v3 swaps'; }
  if (since(fork, 'prague')) { await t.burst(small ? 24 : 40, [t.delegation, t.transientStorage, t.typed]); keep[await mined('delegations')] = 'EIP-7702 delegations, transient storage'; }
  if (since(fork, 'cancun')) { await blobs(t); await t.burst(12, [t.transientStorage]); keep[await mined('blobs')] = 'blob transactions and transient storage'; }
  if (since(fork, 'prague')) { await t.requests(); keep[await mined('requests')] = 'EIP-7002 and EIP-7251 requests, more than one block takes up'; }
  await t.burst(small ? 48 : 180, t.all()); keep[await mined('everything')] = 'all kinds mixed';
  await mined('empty');
  await t.burst(1, [t.transfer]); const last = await mined('one'); keep[last] = 'one transfer after an empty block';
  serve(last, transfers, edges);
}
