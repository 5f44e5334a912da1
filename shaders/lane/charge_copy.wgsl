// The price of copying that many bytes, by words.
fn charge_copy(len: u32) {
    // Beyond reach the memory costs more than there is in any case.
    charge((min(len, MEMORY_REACH) + 31u) / 32u * schedule(G_COPY_WORD));
}
