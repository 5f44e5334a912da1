override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    serves = QUEUE_PRECOMPILE;
    if !take(id.x) {
        return;
    }
    _ = begin();
    precompile();
    conclude();
}
