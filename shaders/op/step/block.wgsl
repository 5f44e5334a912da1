// COINBASE to SLOTNUM.

fn push_environment(field: u32) {
    push_pool(reg(R_ENVIRONMENT) + field);
}

fn op_coinbase() {
    push_environment(E_COINBASE);
}

fn op_timestamp() {
    push_environment(E_TIMESTAMP);
}

fn op_number() {
    push_environment(E_NUMBER);
}

fn op_prevrandao() {
    push_environment(E_PREVRANDAO);
}

fn op_gaslimit() {
    push_environment(E_GASLIMIT);
}

fn op_chainid() {
    push_environment(E_CHAINID);
}

fn op_basefee() {
    push_environment(E_BASEFEE);
}

// The versioned hash of a blob of the transaction (EIP-4844); 0 beyond the last.
fn op_blobhash() {
    let index = place(top);
    let transaction = reg(R_TRANSACTION);
    unary(word_zero());
    if index < pool[transaction + T_BLOB_COUNT] {
        pool_at = pool[transaction + T_BLOBS] + 8u * index;
    }
}

fn op_blobbasefee() {
    push_environment(E_BLOBBASEFEE);
}

fn op_slotnum() {
    push_environment(E_SLOTNUM);
}
