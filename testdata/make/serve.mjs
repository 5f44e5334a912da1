// Usage: node serve.mjs NODE SERVER. Asks a node and `isolane serve` in front of it the same, through ethers, and compares the answers.
// Prints one JSON line {method: {same, different, ...}} and what differs to standard error.
import { ethers } from 'ethers';

const [nodeUrl, serverUrl] = process.argv.slice(2);
const options = { staticNetwork: true, batchMaxCount: 1, cacheTimeout: -1 };
const network = ethers.Network.from(31337);
const node = new ethers.JsonRpcProvider(nodeUrl, network, options);
const server = new ethers.JsonRpcProvider(serverUrl, network, options);
const tally = {};
let shown = 0;

const count = (method, kind) => { tally[method] ??= { same: 0, different: 0 }; tally[method][kind] = (tally[method][kind] ?? 0) + 1; };
const stable = (value) => JSON.stringify(value, (_, v) => (v && typeof v === 'object' && !Array.isArray(v)
  ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1))) : typeof v === 'bigint' ? '0x' + v.toString(16) : v));

/// The result, or the error as the wire had it.
async function ask(provider, method, params) {
  try {
    return { result: await provider.send(method, params) };
  } catch (e) {
    const error = e?.error ?? e?.info?.error ?? { code: e.code, message: e.message };
    return { error: { code: error.code, message: error.message, data: error.data } };
  }
}

function differs(method, params, ours, theirs, why) {
  count(method, 'different');
  if (shown++ < 20) process.stderr.write(`${method} ${stable(params).slice(0, 700)}\n  ${why}\n  isolane ${stable(ours).slice(0, 700)}\n  node    ${stable(theirs).slice(0, 700)}\n`);
}

/// Accounts as they were before. The node lists those that the transaction makes as well, as empty ones; geth does not.
function prestates(ours, theirs) {
  const shape = (state, other) => Object.fromEntries(Object.entries(state).filter(([address, account]) =>
    address in other || account.balance !== '0x0' || account.nonce || account.code || Object.values(account.storage ?? {}).some((value) => BigInt(value) !== 0n)));
  return stable(shape(ours, theirs)) === stable(shape(theirs, ours)) ? null : 'accounts';
}

/// What changed. The node lists accounts that did not exist as empty ones before; geth does not.
function differences(ours, theirs) {
  const pre = (state) => Object.fromEntries(Object.entries(state.pre).filter(([, account]) => account.balance !== '0x0' || account.nonce || account.code || account.storage));
  if (stable(pre(ours)) !== stable(pre(theirs))) return 'pre';
  return stable(ours.post) === stable(theirs.post) ? null : 'post';
}

/// Asks both. Errors are equal where both are one, and reverts where their data is the same: each node has words of its own.
async function both(method, params, compare = (a, b) => (stable(a) === stable(b) ? null : 'results')) {
  const [theirs, ours] = await Promise.all([ask(node, method, params), ask(server, method, params)]);
  // A call that fails has a list as well, as in geth; the node answers with an error.
  if (method === 'eth_createAccessList' && theirs.error && ours.result?.error) return count(method, 'same');
  if (ours.error || theirs.error) {
    const reverts = theirs.error?.code === 3 || ours.error?.code === 3;
    const same = ours.error && theirs.error && (!reverts || (ours.error.code === theirs.error.code && ours.error.data === theirs.error.data));
    if (same) count(method, 'same'); else differs(method, params, ours, theirs, 'errors');
    if (same) count(method, reverts ? 'reverts' : 'errors');
    return;
  }
  const why = await compare(ours.result, theirs.result, params);
  if (why === null) count(method, 'same'); else differs(method, params, ours.result, theirs.result, why);
}

const empty = (v) => v === undefined || v === null || v === '0x';
/// Calls in calls. Of the first, the node says the gas of the call, and not of the transaction.
function calls(ours, theirs, place = '') {
  for (const field of ['type', 'from', 'to', 'value', 'input', 'output', ...(place === '' ? [] : ['gas', 'gasUsed'])]) {
    if (ours[field] !== theirs[field] && !(empty(ours[field]) && empty(theirs[field]))) return `${place || 'top'}.${field}`;
  }
  if (!ours.error !== !theirs.error) return `${place || 'top'}.error`;
  const logs = (call) => (call.logs ?? []).map(({ address, topics, data }) => ({ address, topics, data }));
  if (stable(logs(ours)) !== stable(logs(theirs))) return `${place || 'top'}.logs`;
  const [a, b] = [ours.calls ?? [], theirs.calls ?? []];
  if (a.length !== b.length) return `${place || 'top'}: ${a.length} calls, ${b.length} there`;
  for (let i = 0; i < a.length; i++) { const why = calls(a[i], b[i], `${place}/${i}`); if (why) return why; }
  return null;
}

/// Instructions, with all that the machine shows.
function structLogs(ours, theirs) {
  for (const field of ['failed', 'gas', 'returnValue']) if (ours[field] !== theirs[field] && !(empty(ours[field]) && empty(theirs[field]))) return field;
  if (ours.structLogs.length !== theirs.structLogs.length) return `${ours.structLogs.length} instructions, ${theirs.structLogs.length} there`;
  for (let i = 0; i < ours.structLogs.length; i++) {
    for (const field of ['pc', 'op', 'gas', 'depth', 'stack']) {
      const [a, b] = [ours.structLogs[i][field], theirs.structLogs[i][field]];
      if (stable(a) !== stable(b)) return `instruction ${i}: ${field}: ${stable(a)}, ${stable(b)} there (${ours.structLogs[i].op})`;
    }
    // Of an instruction that fails or starts a frame, nodes do not agree what it costs.
    const plain = !/^(CALL|CALLCODE|DELEGATECALL|STATICCALL|CREATE|CREATE2)$/.test(ours.structLogs[i].op) && ours.structLogs[i + 1]?.depth === ours.structLogs[i].depth;
    if (plain && ours.structLogs[i].gasCost !== theirs.structLogs[i].gasCost) return `instruction ${i}: gasCost`;
  }
  return null;
}

function accessLists(ours, theirs) {
  const list = (answer) => answer.accessList.map(({ address, storageKeys }) => [address.toLowerCase(), [...storageKeys].sort()]).sort();
  if (stable(list(ours)) !== stable(list(theirs))) return 'lists';
  return ours.gasUsed === theirs.gasUsed ? null : 'gasUsed';
}

/// Estimates: at most 1.5% above the node's, or, by geth's definition, above what the call uses where it has all the gas it may have.
async function estimates(ours, theirs, [call, block]) {
  const [a, b] = [Number(ours), Number(theirs)];
  count('eth_estimateGas', a === b ? 'equal' : a < b ? 'lower' : 'higher');
  if (a <= b * 1.015 && b <= a * 1.2) return null;
  const traced = await node.send('debug_traceCall', [{ ...call, gas: '0x2faf080' }, block, { disableStack: true, disableStorage: true }]);
  return a <= traced.gas * 1.015 ? null : 'more than the definition allows';
}

/// Blocks of calls. The node tells no transfers of SELFDESTRUCT; geth does.
function simulations(ours, theirs) {
  const moved = '0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee';
  const shape = (blocks, pick) => blocks.map((block) => block.calls.map(({ status, returnData, gasUsed, logs }) =>
    ({ status, returnData, gasUsed, logs: status === '0x1' ? logs.map(({ address, topics, data }) => ({ address, topics, data })).filter(pick) : [] })));
  const plain = (log) => log.address !== moved;
  if (stable(shape(ours, plain)) !== stable(shape(theirs, plain))) return 'calls';
  const transfers = (blocks) => shape(blocks, (log) => !plain(log)).flat().flatMap((call) => call.logs).map(stable);
  if (!transfers(theirs).every((log) => transfers(ours).includes(log))) return 'transfers';
  const fields = (blocks) => blocks.map((block) => Object.keys(block).sort());
  const missing = fields(theirs)[0].filter((name) => !fields(ours)[0].includes(name));
  return missing.length ? `fields ${missing}` : null;
}

const latest = await node.getBlockNumber();
const hex = (n) => '0x' + n.toString(16);
const contracts = new Set();
for (let number = 1; number <= latest; number++) {
  const [block, parent] = [await node.send('eth_getBlockByNumber', [hex(number), true]), hex(number - 1)];
  const receipts = await node.send('eth_getBlockReceipts', [hex(number)]);
  receipts.forEach((receipt) => receipt.contractAddress && receipt.status === '0x1' && contracts.add(receipt.contractAddress));
  await both('debug_traceBlockByNumber', [hex(number), { tracer: 'callTracer' }], (a, b) => {
    if (a.length !== b.length) return `${a.length} transactions, ${b.length} there`;
    for (let i = 0; i < a.length; i++) { const why = a[i].txHash !== b[i].txHash ? 'txHash' : calls(a[i].result, b[i].result); if (why) return `transaction ${i}: ${why}`; }
    return null;
  });
  // What each transaction of the block would have done as a call on the parent.
  const some = block.transactions.filter((_, i) => i < 12 || i % 9 === 0);
  for (const tx of some) {
    const call = { from: tx.from, value: tx.value, input: tx.input, gas: tx.gas, ...(tx.to ? { to: tx.to } : {}), ...(tx.accessList ? { accessList: tx.accessList } : {}) };
    const free = { ...call }; delete free.gas; delete free.accessList;
    await both('eth_call', [call, parent]);
    await both('eth_estimateGas', [free, parent], estimates);
    await both('eth_createAccessList', [call, parent], accessLists);
    await both('debug_traceCall', [call, parent, { tracer: 'callTracer', tracerConfig: { withLog: true } }], (a, b) => calls(a, b));
    await both('debug_traceCall', [call, parent, {}], structLogs);
    await both('debug_traceCall', [call, parent, { tracer: 'prestateTracer' }], prestates);
    await both('debug_traceCall', [call, parent, { tracer: 'prestateTracer', tracerConfig: { diffMode: true } }], differences);
    if (tx.to) await both('eth_simulateV1', [{ blockStateCalls: [{ calls: [call] }], traceTransfers: true }, parent], simulations);
  }
}

// A client as people write them: contracts by their interface, through both.
const token = ['function balanceOf(address) view returns (uint256)', 'function totalSupply() view returns (uint256)', 'function symbol() view returns (string)'];
const owner = (await node.send('eth_getBlockByNumber', [hex(latest), true])).transactions[0]?.from ?? ethers.ZeroAddress;
const said = async (promise) => promise.then((v) => `ok ${v}`, (e) => `${e.code} ${e.data ?? ''}`);
for (const address of contracts) {
  for (const [name, args] of [['balanceOf', [owner]], ['totalSupply', []], ['symbol', []]]) {
    const [theirs, ours] = await Promise.all([node, server].map((p) => said(new ethers.Contract(address, token, p)[name](...args))));
    if (ours === theirs) count('ethers.Contract', 'same'); else differs('ethers.Contract', [address, name], ours, theirs, 'values');
  }
}
for (const method of ['eth_blockNumber', 'eth_chainId', 'net_version', 'web3_clientVersion', 'eth_gasPrice', 'eth_accounts', 'eth_feeHistory', 'eth_noSuchMethod']) {
  await both(method, method === 'eth_feeHistory' ? ['0x2', 'latest', []] : []);
}
process.stdout.write(JSON.stringify(tally) + '\n');
