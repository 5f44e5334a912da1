// A small assembler: mnemonics separated by blanks, numbers become the shortest PUSH, `@name` pushes a label, `name:` sets it.
const NAMES = {
  STOP: 0x00, ADD: 0x01, MUL: 0x02, SUB: 0x03, DIV: 0x04, MOD: 0x06, ADDMOD: 0x08, MULMOD: 0x09, EXP: 0x0a, LT: 0x10, GT: 0x11, EQ: 0x14,
  ISZERO: 0x15, AND: 0x16, OR: 0x17, XOR: 0x18, NOT: 0x19, BYTE: 0x1a, SHL: 0x1b, SHR: 0x1c, SAR: 0x1d, CLZ: 0x1e, KECCAK256: 0x20, ADDRESS: 0x30,
  BALANCE: 0x31, ORIGIN: 0x32, CALLER: 0x33, CALLVALUE: 0x34, CALLDATALOAD: 0x35, CALLDATASIZE: 0x36, CALLDATACOPY: 0x37, CODESIZE: 0x38,
  CODECOPY: 0x39, GASPRICE: 0x3a, EXTCODESIZE: 0x3b, EXTCODECOPY: 0x3c, RETURNDATASIZE: 0x3d, RETURNDATACOPY: 0x3e, EXTCODEHASH: 0x3f,
  BLOCKHASH: 0x40, COINBASE: 0x41, TIMESTAMP: 0x42, NUMBER: 0x43, PREVRANDAO: 0x44, GASLIMIT: 0x45, CHAINID: 0x46, SELFBALANCE: 0x47,
  BASEFEE: 0x48, BLOBHASH: 0x49, BLOBBASEFEE: 0x4a, POP: 0x50, MLOAD: 0x51, MSTORE: 0x52, MSTORE8: 0x53, SLOAD: 0x54, SSTORE: 0x55, JUMP: 0x56,
  JUMPI: 0x57, PC: 0x58, MSIZE: 0x59, GAS: 0x5a, JUMPDEST: 0x5b, TLOAD: 0x5c, TSTORE: 0x5d, MCOPY: 0x5e, PUSH0: 0x5f, LOG0: 0xa0, LOG1: 0xa1,
  LOG2: 0xa2, LOG3: 0xa3, LOG4: 0xa4, CREATE: 0xf0, CALL: 0xf1, CALLCODE: 0xf2, RETURN: 0xf3, DELEGATECALL: 0xf4, CREATE2: 0xf5,
  STATICCALL: 0xfa, REVERT: 0xfd, INVALID: 0xfe, SELFDESTRUCT: 0xff,
};
for (let i = 1; i <= 16; i++) { NAMES['DUP' + i] = 0x7f + i; NAMES['SWAP' + i] = 0x8f + i; }

export function asm(text) {
  const bytes = [], labels = {}, uses = [];
  for (const word of text.trim().split(/\s+/)) {
    if (word.endsWith(':')) { labels[word.slice(0, -1)] = bytes.length; bytes.push(0x5b); }
    else if (word.startsWith('@')) { bytes.push(0x61); uses.push([bytes.length, word.slice(1)]); bytes.push(0, 0); }
    else if (word in NAMES) bytes.push(NAMES[word]);
    else {
      let hex = BigInt(word).toString(16);
      if (hex.length % 2) hex = '0' + hex;
      bytes.push(0x5f + hex.length / 2, ...Buffer.from(hex, 'hex'));
    }
  }
  for (const [at, name] of uses) {
    if (!(name in labels)) throw new Error(`no label ${name}`);
    bytes[at] = labels[name] >> 8; bytes[at + 1] = labels[name] & 255;
  }
  return '0x' + Buffer.from(bytes).toString('hex');
}

/// Init code that returns `runtime` as the contract's code.
export function deploy(runtime) {
  const body = runtime.slice(2), size = body.length / 2;
  const head = asm(`${size} ${0} ${0} CODECOPY ${size} ${0} RETURN`).length / 2 - 1;
  return asm(`${size} ${head} ${0} CODECOPY ${size} ${0} RETURN`) + body;
}
