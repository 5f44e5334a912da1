// Compiles the project's own Solidity and loads the artifacts that the Uniswap packages ship.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { ethers } from 'ethers';
import solc from 'solc';

const require = createRequire(import.meta.url);
const HERE = path.dirname(fileURLToPath(import.meta.url));

function compile(files, evmVersion) {
  const sources = Object.fromEntries(files.map((f) => [f, { content: fs.readFileSync(path.join(HERE, 'contracts', f), 'utf8') }]));
  const input = {
    language: 'Solidity', sources,
    // No metadata: the bytecode depends on the source alone.
    settings: { evmVersion, optimizer: { enabled: true, runs: 200 }, metadata: { appendCBOR: false, bytecodeHash: 'none' },
      outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object'] } } },
  };
  const findImport = (name) => {
    const own = path.join(HERE, 'contracts', name);
    return { contents: fs.readFileSync(fs.existsSync(own) ? own : require.resolve(name), 'utf8') };
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: findImport }));
  const errors = (output.errors ?? []).filter((e) => e.severity === 'error');
  if (errors.length) throw new Error(errors.map((e) => e.formattedMessage).join('\n'));
  const found = {};
  for (const file of files) for (const [name, c] of Object.entries(output.contracts[file] ?? {})) {
    if (c.evm.bytecode.object) found[name] = { bytecode: '0x' + c.evm.bytecode.object, abi: new ethers.Interface(c.abi) };
  }
  return found;
}

const cache = new Map();
/// Every own contract that exists in a fork, compiled for the newest EVM version the fork has (of those where the output differs).
export function own(level) {
  const plan = [['homestead', ['Plain.sol', 'Token20.sol']], ['byzantium', ['Tokens.sol']], ['constantinople', ['Create2.sol']], ['cancun', ['Cancun.sol']]];
  const order = ['homestead', 'byzantium', 'constantinople', 'istanbul', 'london', 'paris', 'shanghai', 'cancun', 'prague', 'osaka'];
  if (!cache.has(level)) {
    const files = plan.filter(([v]) => order.indexOf(v) <= order.indexOf(level)).flatMap(([, f]) => f);
    cache.set(level, compile(files, level));
  }
  return cache.get(level);
}
export function levelOf(fork) {
  return { frontier: 'homestead', homestead: 'homestead', tangerine: 'homestead', spuriousdragon: 'homestead', byzantium: 'byzantium', petersburg: 'constantinople',
    istanbul: 'istanbul', berlin: 'istanbul', london: 'london', paris: 'paris', shanghai: 'shanghai', cancun: 'cancun', prague: 'prague', osaka: 'prague' }[fork];
}

function artifact(name) {
  const json = JSON.parse(fs.readFileSync(require.resolve(name), 'utf8'));
  const code = json.bytecode?.object ?? json.bytecode ?? json.evm.bytecode.object;
  return { bytecode: code.startsWith('0x') ? code : '0x' + code, abi: new ethers.Interface(json.abi) };
}
export function uniswap() {
  return {
    FactoryV2: artifact('@uniswap/v2-core/build/UniswapV2Factory.json'),
    PairV2: artifact('@uniswap/v2-core/build/UniswapV2Pair.json'),
    RouterV2: artifact('@uniswap/v2-periphery/build/UniswapV2Router02.json'),
    FactoryV3: artifact('@uniswap/v3-core/artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json'),
    PoolV3: artifact('@uniswap/v3-core/artifacts/contracts/UniswapV3Pool.sol/UniswapV3Pool.json'),
    RouterV3: artifact('@uniswap/v3-periphery/artifacts/contracts/SwapRouter.sol/SwapRouter.json'),
    Positions: artifact('@uniswap/v3-periphery/artifacts/contracts/NonfungiblePositionManager.sol/NonfungiblePositionManager.json'),
  };
}
export const init = (c, ...args) => c.bytecode + c.abi.encodeDeploy(args).slice(2);
export const call = (c, name, ...args) => c.abi.encodeFunctionData(name, args);
