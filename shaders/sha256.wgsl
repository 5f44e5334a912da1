// The compression function of SHA-256 (FIPS 180-4, section 6.2.2). Pure and without bindings. Words are big-endian.

// The round constants, by four rounds.
const SHA256_K = array<vec4<u32>, 16>(
    vec4<u32>(0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u),
    vec4<u32>(0x3956c25bu, 0x59f111f1u, 0x923f82a4u, 0xab1c5ed5u),
    vec4<u32>(0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u),
    vec4<u32>(0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u),
    vec4<u32>(0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu),
    vec4<u32>(0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau),
    vec4<u32>(0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u),
    vec4<u32>(0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u),
    vec4<u32>(0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu, 0x53380d13u),
    vec4<u32>(0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u),
    vec4<u32>(0xa2bfe8a1u, 0xa81a664bu, 0xc24b8b70u, 0xc76c51a3u),
    vec4<u32>(0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u),
    vec4<u32>(0x19a4c116u, 0x1e376c08u, 0x2748774cu, 0x34b0bcb5u),
    vec4<u32>(0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u),
    vec4<u32>(0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u),
    vec4<u32>(0x90befffau, 0xa4506cebu, 0xbef9a3f7u, 0xc67178f2u),
);

fn sha256_rotr(x: u32, n: u32) -> u32 {
    return (x >> n) | (x << (32u - n));
}

// The message schedule 16 rounds on: w[t - 16], w[t - 15], w[t - 7], w[t - 2].
fn sha256_schedule(w16: u32, w15: u32, w7: u32, w2: u32) -> u32 {
    let s0 = sha256_rotr(w15, 7u) ^ sha256_rotr(w15, 18u) ^ (w15 >> 3u);
    let s1 = sha256_rotr(w2, 17u) ^ sha256_rotr(w2, 19u) ^ (w2 >> 10u);
    return w16 + s0 + w7 + s1;
}

// The working variables: x is a to d, y is e to h.
struct Sha256Rounds {
    x: vec4<u32>,
    y: vec4<u32>,
}

fn sha256_round(s: Sha256Rounds, kw: u32) -> Sha256Rounds {
    let e = s.y.x;
    let a = s.x.x;
    let choice = (e & s.y.y) ^ (~e & s.y.z);
    let t1 = s.y.w + (sha256_rotr(e, 6u) ^ sha256_rotr(e, 11u) ^ sha256_rotr(e, 25u)) + choice + kw;
    let majority = (a & s.x.y) ^ (a & s.x.z) ^ (s.x.y & s.x.z);
    let t2 = (sha256_rotr(a, 2u) ^ sha256_rotr(a, 13u) ^ sha256_rotr(a, 22u)) + majority;
    return Sha256Rounds(vec4<u32>(t1 + t2, s.x.xyz), vec4<u32>(s.x.w + t1, s.y.xyz));
}

fn sha256_rounds(state: Sha256Rounds, kw: vec4<u32>) -> Sha256Rounds {
    var s = sha256_round(state, kw.x);
    s = sha256_round(s, kw.y);
    s = sha256_round(s, kw.z);
    return sha256_round(s, kw.w);
}

fn sha256_compress(state: ptr<function, array<u32, 8>>, block: ptr<function, array<u32, 16>>) {
    let before = Sha256Rounds(
        vec4<u32>((*state)[0], (*state)[1], (*state)[2], (*state)[3]),
        vec4<u32>((*state)[4], (*state)[5], (*state)[6], (*state)[7]),
    );
    var s = before;
    // The last 16 words of the schedule, the oldest first.
    var w0 = vec4<u32>((*block)[0], (*block)[1], (*block)[2], (*block)[3]);
    var w1 = vec4<u32>((*block)[4], (*block)[5], (*block)[6], (*block)[7]);
    var w2 = vec4<u32>((*block)[8], (*block)[9], (*block)[10], (*block)[11]);
    var w3 = vec4<u32>((*block)[12], (*block)[13], (*block)[14], (*block)[15]);
    for (var four = 0u; four < 16u; four++) {
        s = sha256_rounds(s, SHA256_K[four] + w0);
        // Of the four new words, the last two need the first two.
        let x = sha256_schedule(w0.x, w0.y, w2.y, w3.z);
        let y = sha256_schedule(w0.y, w0.z, w2.z, w3.w);
        let z = sha256_schedule(w0.z, w0.w, w2.w, x);
        let w = sha256_schedule(w0.w, w1.x, w3.x, y);
        w0 = w1;
        w1 = w2;
        w2 = w3;
        w3 = vec4<u32>(x, y, z, w);
    }
    s.x += before.x;
    s.y += before.y;
    (*state)[0] = s.x.x;
    (*state)[1] = s.x.y;
    (*state)[2] = s.x.z;
    (*state)[3] = s.x.w;
    (*state)[4] = s.y.x;
    (*state)[5] = s.y.y;
    (*state)[6] = s.y.z;
    (*state)[7] = s.y.w;
}
