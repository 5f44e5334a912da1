// What every kernel is bound to: one uniform and seven storage buffers, which any WebGPU device has.

@group(0) @binding(0) var<uniform> params: Params;
// Environments, transactions, inputs, gas schedules, messages.
@group(0) @binding(1) var<storage, read> pool: array<u32>;
// Decoded code.
@group(0) @binding(2) var<storage, read> codes: array<u32>;
// The states from before the transactions: open-addressed tables of accounts and slots.
@group(0) @binding(3) var<storage, read> tables: array<u32>;
// All that lanes own but for their stacks, interleaved.
@group(0) @binding(4) var<storage, read_write> words: array<u32>;
// Stacks: two vectors a slot, interleaved.
@group(0) @binding(5) var<storage, read_write> stacks: array<vec4<u32>>;
// Counters and queues.
@group(0) @binding(6) var<storage, read_write> control: array<atomic<u32>>;
// Reports to the host.
@group(0) @binding(7) var<storage, read_write> outbox: array<u32>;
