// The registers of a lane, taken out once and put back once: for a kernel that touches them in so many places that each
// access as code of its own takes software drivers half a minute to compile.

var<private> registers: array<u32, R_SIZE>;

fn reg(place: u32) -> u32 {
    return registers[place];
}

fn set_reg(place: u32, value: u32) {
    registers[place] = value;
}

fn load_registers() {
    for (var i = 0u; i < opaque(R_SIZE); i += 1u) {
        registers[i] = lane_load(i);
    }
}

fn store_registers() {
    for (var i = 0u; i < opaque(R_SIZE); i += 1u) {
        lane_store(i, registers[i]);
    }
}
