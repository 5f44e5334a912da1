// The compression function of RIPEMD-160 (Dobbertin, Bosselaers, Preneel 1996). Pure and without bindings. Words are
// little-endian. Small before fast: one loop over the 80 steps of both lines.

// Message word and rotation of each step, 4 bits each, the first step in the lowest bits.
const RIPEMD160_WORD_LEFT = array<u32, 10>(
    0x76543210u, 0xfedcba98u,
    0x3f6a1d47u, 0x8be2590cu,
    0x18f94ea3u, 0xc5bd6072u,
    0x4c80ab91u, 0x265ef73du,
    0xa2c79504u, 0xdf6b831eu,
);
const RIPEMD160_WORD_RIGHT = array<u32, 10>(
    0x4b2907e5u, 0xc3a18f6du,
    0xa5d073b6u, 0x2194c8feu,
    0x96e7315fu, 0xd40a2c8bu,
    0x0fb31468u, 0xea79d2c5u,
    0x78514afcu, 0xb930ed26u,
);
const RIPEMD160_ROTATE_LEFT = array<u32, 10>(
    0x9785cfebu, 0x8976fedbu,
    0xf79bd867u, 0xcd7b9fc7u,
    0xfd9e76dbu, 0x57c56d8eu,
    0x89fefecbu, 0xc56865e9u,
    0xcd86b5f9u, 0x658bedc5u,
);
const RIPEMD160_ROTATE_RIGHT = array<u32, 10>(
    0x5ffdb998u, 0x6ceeb877u,
    0xb98c7fd9u, 0xbdf67c77u,
    0xe668bf79u, 0x57dde5dcu,
    0xe6eeb85fu, 0x8f5c9c96u,
    0x6e5c9c58u, 0xbbdf56d8u,
);
// Added in each of the five rounds.
const RIPEMD160_K_LEFT = array<u32, 5>(0u, 0x5a827999u, 0x6ed9eba1u, 0x8f1bbcdcu, 0xa953fd4eu);
const RIPEMD160_K_RIGHT = array<u32, 5>(0x50a28be6u, 0x5c4dd124u, 0x6d703ef3u, 0x7a6d76e9u, 0u);

// The bitwise function of round 0 to 4.
fn ripemd160_f(round: u32, x: u32, y: u32, z: u32) -> u32 {
    switch round {
        case 0u: { return x ^ y ^ z; }
        case 1u: { return (x & y) | (~x & z); }
        case 2u: { return (x | ~y) ^ z; }
        case 3u: { return (x & z) | (y & ~z); }
        default: { return x ^ (y | ~z); }
    }
}

fn ripemd160_rotl(x: u32, n: u32) -> u32 {
    return (x << n) | (x >> (32u - n));
}

// The working variables of one line: x is a to d.
struct Ripemd160Line {
    x: vec4<u32>,
    e: u32,
}

fn ripemd160_step(line: Ripemd160Line, round: u32, added: u32, rotate: u32) -> Ripemd160Line {
    let sum = line.x.x + ripemd160_f(round, line.x.y, line.x.z, line.x.w) + added;
    let b = ripemd160_rotl(sum, rotate) + line.e;
    return Ripemd160Line(vec4<u32>(line.e, b, line.x.y, ripemd160_rotl(line.x.z, 10u)), line.x.w);
}

fn ripemd160_compress(state: ptr<function, array<u32, 5>>, block: ptr<function, array<u32, 16>>) {
    let before = Ripemd160Line(vec4<u32>((*state)[0], (*state)[1], (*state)[2], (*state)[3]), (*state)[4]);
    var left = before;
    var right = before;
    for (var step = 0u; step < 80u; step++) {
        let round = step >> 4u;
        let at = step >> 3u;
        let bits = 4u * (step & 7u);
        let left_word = (*block)[(RIPEMD160_WORD_LEFT[at] >> bits) & 15u];
        let right_word = (*block)[(RIPEMD160_WORD_RIGHT[at] >> bits) & 15u];
        let left_rotate = (RIPEMD160_ROTATE_LEFT[at] >> bits) & 15u;
        let right_rotate = (RIPEMD160_ROTATE_RIGHT[at] >> bits) & 15u;
        left = ripemd160_step(left, round, RIPEMD160_K_LEFT[round] + left_word, left_rotate);
        right = ripemd160_step(right, 4u - round, RIPEMD160_K_RIGHT[round] + right_word, right_rotate);
    }
    (*state)[0] = before.x.y + left.x.z + right.x.w;
    (*state)[1] = before.x.z + left.x.w + right.e;
    (*state)[2] = before.x.w + left.e + right.x.x;
    (*state)[3] = before.e + left.x.x + right.x.y;
    (*state)[4] = before.x.x + left.x.y + right.x.z;
}
