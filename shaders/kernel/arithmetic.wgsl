// One division or exponentiation a lane.

override WORKGROUP: u32 = 64u;

var<private> kind: u32;
var<private> taken: u32;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    serves = QUEUE_ARITHMETIC;
    if !take(id.x) {
        return;
    }
    taken = 2u;
    dispatch(begin());
    if !is_stuck() {
        // The third operand means something where three are taken.
        replace(taken, word_heavy(kind, operand(0u), operand(1u), operand(select(0u, 2u, taken == 3u))));
    }
    conclude();
}
