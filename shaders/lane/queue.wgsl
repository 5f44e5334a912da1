// Lanes stand in queues, one for each kernel. A kernel may put a lane into the queue of one that runs later in the same
// round, or into the next round's.

// The queue that this kernel serves.
var<private> serves: u32;

fn queue_counter(queue: u32, side: u32) -> u32 {
    return side * 8u + queue;
}

// Takes the invocation's lane from the kernel's queue; false where there is none.
fn take(index: u32) -> bool {
    let side = atomicLoad(&control[CONTROL_SIDE]);
    let counter = queue_counter(serves, side);
    if index >= atomicLoad(&control[counter]) || index >= params.lanes {
        return false;
    }
    lane = atomicLoad(&control[CONTROL_QUEUES + counter * params.lanes + index]);
    escaped = 0u;
    return lane < params.lanes;
}

fn put(queue: u32, side: u32) {
    let counter = queue_counter(queue, side);
    let place = atomicAdd(&control[counter], 1u);
    if place < params.lanes {
        atomicStore(&control[CONTROL_QUEUES + counter * params.lanes + place], lane);
    }
}

// Puts the lane into a queue that is served after this kernel's: in this round, or else in the next.
fn enqueue(queue: u32) {
    let side = atomicLoad(&control[CONTROL_SIDE]);
    put(queue, select(side ^ 1u, side, queue > serves));
}
