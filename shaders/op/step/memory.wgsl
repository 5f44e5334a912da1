// MLOAD, MSTORE, MSTORE8, MSIZE.

// The loop has made the range accessible.

fn op_mload() {
    let offset = place(top);
    let at = memory_base + (offset >> 2u);
    var hi = vec4<u32>(lane_load(at + 3u), lane_load(at + 2u), lane_load(at + 1u), lane_load(at));
    var lo = vec4<u32>(lane_load(at + 7u), lane_load(at + 6u), lane_load(at + 5u), lane_load(at + 4u));
    let shift = (offset & 3u) * 8u;
    if shift != 0u {
        let last = lane_load(at + 8u);
        let rest = 32u - shift;
        hi = hi << vec4<u32>(shift) | vec4<u32>(lo.w, hi.xyz) >> vec4<u32>(rest);
        lo = lo << vec4<u32>(shift) | vec4<u32>(last, lo.xyz) >> vec4<u32>(rest);
    }
    unary(Word(lo, hi));
}

fn op_mstore() {
    let offset = place(top);
    let at = memory_base + (offset >> 2u);
    let shift = (offset & 3u) * 8u;
    var hi = second.hi;
    var lo = second.lo;
    if shift != 0u {
        let rest = 32u - shift;
        let first = lane_load(at) & ~(0xffffffffu >> shift);
        let last = lane_load(at + 8u) & (0xffffffffu >> shift);
        lane_store(at + 8u, last | lo.x << rest);
        let low = lo >> vec4<u32>(shift) | vec4<u32>(lo.yzw, hi.x) << vec4<u32>(rest);
        hi = hi >> vec4<u32>(shift) | vec4<u32>(hi.yzw, 0u) << vec4<u32>(rest);
        lo = low;
        hi.w |= first;
    }
    lane_store(at, hi.w);
    lane_store(at + 1u, hi.z);
    lane_store(at + 2u, hi.y);
    lane_store(at + 3u, hi.x);
    lane_store(at + 4u, lo.w);
    lane_store(at + 5u, lo.z);
    lane_store(at + 6u, lo.y);
    lane_store(at + 7u, lo.x);
    drop_items(2u);
}

fn op_mstore8() {
    let offset = place(top);
    let at = memory_base + (offset >> 2u);
    let shift = 24u - (offset & 3u) * 8u;
    lane_store(at, (lane_load(at) & ~(0xffu << shift)) | (second.lo.x & 0xffu) << shift);
    drop_items(2u);
}

fn op_msize() {
    push(word_from_u32(memory_len));
}
