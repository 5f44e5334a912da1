// Undoes everything since the running frame started.

// EIP-161's one exception (mainnet block 2,675,119): the touch of RIPEMD-160 outlives the frame that is undone.
fn is_ripemd(address: Address) -> bool {
    return address.lo.x == 3u && (address.lo.y | address.lo.z | address.lo.w | address.hi) == 0u;
}

fn revert_to(undo_mark: u32, refund_mark: u32) {
    set_reg(R_REFUND, refund_mark);
    var count = reg(R_UNDOS);
    while count > undo_mark {
        count -= 1u;
        let entry = params.undos + count * U_SIZE;
        let kind = lane_load(entry + U_KIND);
        let index = kind >> 8u;
        let old = entry + U_OLD;
        switch kind & 0xffu {
            case UNDO_BALANCE: { lane_store_word(account_at(index) + A_BALANCE, lane_load_word(old)); }
            case UNDO_NONCE: {
                lane_store(account_at(index) + A_NONCE, lane_load(old));
                lane_store(account_at(index) + A_NONCE + 1u, lane_load(old + 1u));
            }
            case UNDO_CODE: {
                lane_store_word(account_at(index) + A_CODE_HASH, lane_load_word(old));
                lane_store(account_at(index) + A_CODE, lane_load(old + 8u));
            }
            case UNDO_FLAGS: {
                var flags = lane_load(old);
                if is_ripemd(account_address(index)) {
                    flags |= account_flags(index) & FLAG_TOUCHED;
                }
                lane_store(account_at(index) + A_FLAGS, flags);
            }
            case UNDO_SLOT: { lane_store_word(slot_at(index) + S_VALUE, lane_load_word(old)); }
            default: { lane_store(slot_at(index) + S_WARM, lane_load(old)); }
        }
    }
    set_reg(R_UNDOS, undo_mark);
}
