// The registers of a lane, where they lie.

fn reg(place: u32) -> u32 {
    return lane_load(place);
}

fn set_reg(place: u32, value: u32) {
    lane_store(place, value);
}

fn load_registers() {}

fn store_registers() {}
