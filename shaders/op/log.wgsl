// LOG0 to LOG4. A log is its words in the log area: number of topics, length of the data, address, topics, data. The kernel
// copies the data.

fn op_log(topics_: u32) {
    if (reg(R_FLAGS) & FRAME_STATIC) != 0u {
        halt(HALT_STATIC_VIOLATION);
    }
    topics = topics_;
    is_log = true;
    taken = 2u + topics;
}
