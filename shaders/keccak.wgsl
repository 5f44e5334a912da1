// Keccak-f[1600] (FIPS 202, section 3). Pure and without bindings. Of the 64-bit words, vec2(low, high), word
// x + 5 y is the one at x, y.
//
// One round in a loop keeps the code small; within it all indices are constant, so that the state stays in registers.

// v rotated left by n, for 0 < n < 32.
fn keccak_rotl(v: vec2<u32>, n: u32) -> vec2<u32> {
    return (v << vec2<u32>(n)) | (v.yx >> vec2<u32>(32u - n));
}

// The bits of the round constants: only bits 2^j - 1 are ever set, so a mask of 24 rounds for each says all.
fn keccak_round_constant(round: u32) -> vec2<u32> {
    var low = ((0x50f4f1u >> round) & 1u);
    low |= ((0x0db916u >> round) & 1u) << 1u;
    low |= ((0x8c7f94u >> round) & 1u) << 3u;
    low |= ((0x327356u >> round) & 1u) << 7u;
    low |= ((0xb5d4deu >> round) & 1u) << 15u;
    low |= ((0xd81c68u >> round) & 1u) << 31u;
    return vec2<u32>(low, ((0xbbe0ccu >> round) & 1u) << 31u);
}

fn keccak_f(state: ptr<function, array<vec2<u32>, 25>>) {
    var a0 = (*state)[0];
    var a1 = (*state)[1];
    var a2 = (*state)[2];
    var a3 = (*state)[3];
    var a4 = (*state)[4];
    var a5 = (*state)[5];
    var a6 = (*state)[6];
    var a7 = (*state)[7];
    var a8 = (*state)[8];
    var a9 = (*state)[9];
    var a10 = (*state)[10];
    var a11 = (*state)[11];
    var a12 = (*state)[12];
    var a13 = (*state)[13];
    var a14 = (*state)[14];
    var a15 = (*state)[15];
    var a16 = (*state)[16];
    var a17 = (*state)[17];
    var a18 = (*state)[18];
    var a19 = (*state)[19];
    var a20 = (*state)[20];
    var a21 = (*state)[21];
    var a22 = (*state)[22];
    var a23 = (*state)[23];
    var a24 = (*state)[24];
    for (var round = 0u; round < 24u; round++) {
        // Theta.
        let c0 = a0 ^ a5 ^ a10 ^ a15 ^ a20;
        let c1 = a1 ^ a6 ^ a11 ^ a16 ^ a21;
        let c2 = a2 ^ a7 ^ a12 ^ a17 ^ a22;
        let c3 = a3 ^ a8 ^ a13 ^ a18 ^ a23;
        let c4 = a4 ^ a9 ^ a14 ^ a19 ^ a24;
        let d0 = c4 ^ keccak_rotl(c1, 1u);
        let d1 = c0 ^ keccak_rotl(c2, 1u);
        let d2 = c1 ^ keccak_rotl(c3, 1u);
        let d3 = c2 ^ keccak_rotl(c4, 1u);
        let d4 = c3 ^ keccak_rotl(c0, 1u);
        // Theta's second half, rho and pi.
        let b0 = a0 ^ d0;
        let b1 = keccak_rotl((a6 ^ d1).yx, 12u);
        let b2 = keccak_rotl((a12 ^ d2).yx, 11u);
        let b3 = keccak_rotl(a18 ^ d3, 21u);
        let b4 = keccak_rotl(a24 ^ d4, 14u);
        let b5 = keccak_rotl(a3 ^ d3, 28u);
        let b6 = keccak_rotl(a9 ^ d4, 20u);
        let b7 = keccak_rotl(a10 ^ d0, 3u);
        let b8 = keccak_rotl((a16 ^ d1).yx, 13u);
        let b9 = keccak_rotl((a22 ^ d2).yx, 29u);
        let b10 = keccak_rotl(a1 ^ d1, 1u);
        let b11 = keccak_rotl(a7 ^ d2, 6u);
        let b12 = keccak_rotl(a13 ^ d3, 25u);
        let b13 = keccak_rotl(a19 ^ d4, 8u);
        let b14 = keccak_rotl(a20 ^ d0, 18u);
        let b15 = keccak_rotl(a4 ^ d4, 27u);
        let b16 = keccak_rotl((a5 ^ d0).yx, 4u);
        let b17 = keccak_rotl(a11 ^ d1, 10u);
        let b18 = keccak_rotl(a17 ^ d2, 15u);
        let b19 = keccak_rotl((a23 ^ d3).yx, 24u);
        let b20 = keccak_rotl((a2 ^ d2).yx, 30u);
        let b21 = keccak_rotl((a8 ^ d3).yx, 23u);
        let b22 = keccak_rotl((a14 ^ d4).yx, 7u);
        let b23 = keccak_rotl((a15 ^ d0).yx, 9u);
        let b24 = keccak_rotl(a21 ^ d1, 2u);
        // Chi and iota.
        a0 = b0 ^ (~b1 & b2) ^ keccak_round_constant(round);
        a1 = b1 ^ (~b2 & b3);
        a2 = b2 ^ (~b3 & b4);
        a3 = b3 ^ (~b4 & b0);
        a4 = b4 ^ (~b0 & b1);
        a5 = b5 ^ (~b6 & b7);
        a6 = b6 ^ (~b7 & b8);
        a7 = b7 ^ (~b8 & b9);
        a8 = b8 ^ (~b9 & b5);
        a9 = b9 ^ (~b5 & b6);
        a10 = b10 ^ (~b11 & b12);
        a11 = b11 ^ (~b12 & b13);
        a12 = b12 ^ (~b13 & b14);
        a13 = b13 ^ (~b14 & b10);
        a14 = b14 ^ (~b10 & b11);
        a15 = b15 ^ (~b16 & b17);
        a16 = b16 ^ (~b17 & b18);
        a17 = b17 ^ (~b18 & b19);
        a18 = b18 ^ (~b19 & b15);
        a19 = b19 ^ (~b15 & b16);
        a20 = b20 ^ (~b21 & b22);
        a21 = b21 ^ (~b22 & b23);
        a22 = b22 ^ (~b23 & b24);
        a23 = b23 ^ (~b24 & b20);
        a24 = b24 ^ (~b20 & b21);
    }
    (*state)[0] = a0;
    (*state)[1] = a1;
    (*state)[2] = a2;
    (*state)[3] = a3;
    (*state)[4] = a4;
    (*state)[5] = a5;
    (*state)[6] = a6;
    (*state)[7] = a7;
    (*state)[8] = a8;
    (*state)[9] = a9;
    (*state)[10] = a10;
    (*state)[11] = a11;
    (*state)[12] = a12;
    (*state)[13] = a13;
    (*state)[14] = a14;
    (*state)[15] = a15;
    (*state)[16] = a16;
    (*state)[17] = a17;
    (*state)[18] = a18;
    (*state)[19] = a19;
    (*state)[20] = a20;
    (*state)[21] = a21;
    (*state)[22] = a22;
    (*state)[23] = a23;
    (*state)[24] = a24;
}
