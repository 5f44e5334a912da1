// Ends a round: its queues are empty now, and the next round's become this one's.

@compute @workgroup_size(1)
fn main() {
    let side = atomicLoad(&control[CONTROL_SIDE]);
    atomicStore(&control[CONTROL_ACTIVE], atomicLoad(&control[side * 8u + QUEUE_STEP]));
    for (var queue = 0u; queue < QUEUE_COUNT; queue += 1u) {
        atomicStore(&control[side * 8u + queue], 0u);
    }
    atomicStore(&control[CONTROL_SIDE], side ^ 1u);
}
