// Compiles the contracts: node build.mjs FOLDER-OF-NODE-MODULES [--check]. With --check nothing is written, and what is
// checked in must be what comes out.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const [modules, mode] = process.argv.slice(2);
const solc = createRequire(path.join(path.resolve(modules), 'package.json'))('solc');

const sources = [
  'IExchange.sol',
  'PingPong.sol',
  'TravellingToken.sol',
  'examples/Abuse.sol',
  'examples/Market.sol',
  'examples/PriceFeed.sol',
  'examples/Shop.sol',
  'test/Probe.sol',
];
const read = (file) => fs.readFileSync(path.join(HERE, file), 'utf8');
const input = {
  language: 'Solidity',
  sources: Object.fromEntries(sources.map((file) => [file, { content: read(file) }])),
  settings: {
    // The oldest EVM that this solc still supports: they run in every environment from Constantinople on.
    evmVersion: 'constantinople',
    optimizer: { enabled: true, runs: 200 },
    // No metadata: the bytecode depends on the source alone.
    metadata: { appendCBOR: false, bytecodeHash: 'none' },
    outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] } },
  },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
const problems = (output.errors ?? []).filter((e) => e.severity !== 'info');
if (problems.length) {
  console.error(problems.map((e) => e.formattedMessage).join('\n'));
  process.exit(1);
}
let stale = 0;
for (const [file, contracts] of Object.entries(output.contracts)) for (const [name, c] of Object.entries(contracts)) {
  const artifact = { contract: name, source: file, compiler: solc.version(), abi: c.abi };
  if (c.evm.bytecode.object) {
    artifact.bytecode = '0x' + c.evm.bytecode.object;
    artifact.deployedBytecode = '0x' + c.evm.deployedBytecode.object;
  }
  const text = JSON.stringify(artifact, null, 1) + '\n';
  const place = path.join(HERE, 'out', name + '.json');
  if (mode !== '--check') fs.writeFileSync(place, text);
  else if (!fs.existsSync(place) || fs.readFileSync(place, 'utf8') !== text) {
    console.error(`contracts/out/${name}.json is stale`);
    stale += 1;
  }
}
process.exit(stale ? 1 : 0);
