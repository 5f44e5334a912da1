// ADDRESS to RETURNDATASIZE: what the frame and the transaction know.

fn op_address() {
    push_lane_address(R_ADDRESS);
}

fn op_origin() {
    push_pool(reg(R_TRANSACTION) + T_ORIGIN);
}

fn op_caller() {
    push_lane_address(R_CALLER);
}

fn op_callvalue() {
    push_lane(R_VALUE);
}

fn op_calldataload() {
    unary(source_load_word(input_source(), place(top)));
}

fn op_calldatasize() {
    push(word_from_u32(reg(R_INPUT_LEN)));
}

fn op_codesize() {
    push(word_from_u32(reg(R_CODE_LEN)));
}

fn op_gasprice() {
    push_pool(reg(R_TRANSACTION) + T_GASPRICE);
}

fn op_returndatasize() {
    push(word_from_u32(reg(R_RETURN_LEN)));
}
