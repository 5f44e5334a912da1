// The compression function F of BLAKE2b (RFC 7693, section 3.2; EIP-152). Pure and without bindings. A number of 64 bits
// is vec2(low, high). The number of rounds is the caller's: blake2f does them all, and a kernel that must return before
// 2^32 rounds are over calls blake2f_start, blake2f_rounds for some of them at a time, and blake2f_end.

// The message words of the ten kinds of round, 4 bits each, the first in the lowest bits.
const BLAKE2F_SIGMA = array<vec2<u32>, 10>(
    vec2<u32>(0x76543210u, 0xfedcba98u),
    vec2<u32>(0x6df984aeu, 0x357b20c1u),
    vec2<u32>(0xdf250c8bu, 0x491763eau),
    vec2<u32>(0xebcd1397u, 0x8f04a562u),
    vec2<u32>(0xfa427509u, 0xd386cb1eu),
    vec2<u32>(0x38b0a6c2u, 0x91ef57d4u),
    vec2<u32>(0xa4def15cu, 0xb8293670u),
    vec2<u32>(0x931ce7bdu, 0xa2684f05u),
    vec2<u32>(0x803b9ef6u, 0x5a417d2cu),
    vec2<u32>(0x5167482au, 0x0dc3e9bfu),
);

const BLAKE2F_IV = array<vec2<u32>, 8>(
    vec2<u32>(0xf3bcc908u, 0x6a09e667u),
    vec2<u32>(0x84caa73bu, 0xbb67ae85u),
    vec2<u32>(0xfe94f82bu, 0x3c6ef372u),
    vec2<u32>(0x5f1d36f1u, 0xa54ff53au),
    vec2<u32>(0xade682d1u, 0x510e527fu),
    vec2<u32>(0x2b3e6c1fu, 0x9b05688cu),
    vec2<u32>(0xfb41bd6bu, 0x1f83d9abu),
    vec2<u32>(0x137e2179u, 0x5be0cd19u),
);

fn blake2f_add(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2<u32>(low, a.y + b.y + select(0u, 1u, low < a.x));
}

// Rotated right by n, for 0 < n < 32.
fn blake2f_rotr(v: vec2<u32>, n: u32) -> vec2<u32> {
    return (v >> vec2<u32>(n)) | (v.yx << vec2<u32>(32u - n));
}

// One column or diagonal of the state.
struct Blake2fLine {
    a: vec2<u32>,
    b: vec2<u32>,
    c: vec2<u32>,
    d: vec2<u32>,
}

fn blake2f_g(line: Blake2fLine, x: vec2<u32>, y: vec2<u32>) -> Blake2fLine {
    var l = line;
    l.a = blake2f_add(blake2f_add(l.a, l.b), x);
    l.d = (l.d ^ l.a).yx;
    l.c = blake2f_add(l.c, l.d);
    l.b = blake2f_rotr(l.b ^ l.c, 24u);
    l.a = blake2f_add(blake2f_add(l.a, l.b), y);
    l.d = blake2f_rotr(l.d ^ l.a, 16u);
    l.c = blake2f_add(l.c, l.d);
    l.b = blake2f_rotr((l.b ^ l.c).yx, 31u);
    return l;
}

// The working state of F before its first round: h, the offset counter t = vec4(low of t0, high, low of t1, high), and
// whether the block is the last one.
fn blake2f_start(h: ptr<function, array<vec2<u32>, 8>>, t: vec4<u32>, last: bool) -> array<vec2<u32>, 16> {
    var v: array<vec2<u32>, 16>;
    for (var i = 0u; i < 8u; i++) {
        v[i] = (*h)[i];
        v[i + 8u] = BLAKE2F_IV[i];
    }
    v[12] ^= t.xy;
    v[13] ^= t.zw;
    v[14] ^= vec2<u32>(select(0u, 0xffffffffu, last));
    return v;
}

// `count` rounds from round `first` on.
fn blake2f_rounds(
    v: ptr<function, array<vec2<u32>, 16>>,
    m: ptr<function, array<vec2<u32>, 16>>,
    first: u32,
    count: u32,
) {
    var kind = first % 10u;
    for (var done = 0u; done < count; done++) {
        let sigma = BLAKE2F_SIGMA[kind];
        // Four columns, then four diagonals: the rows of a diagonal are one, two and three places further on.
        for (var i = 0u; i < 8u; i++) {
            let turn = i >> 2u;
            let b = 4u + ((i + turn) & 3u);
            let c = 8u + ((i + 2u * turn) & 3u);
            let d = 12u + ((i + 3u * turn) & 3u);
            let words = select(sigma.x, sigma.y, turn != 0u) >> (8u * (i & 3u));
            let line = Blake2fLine((*v)[i & 3u], (*v)[b], (*v)[c], (*v)[d]);
            let mixed = blake2f_g(line, (*m)[words & 15u], (*m)[(words >> 4u) & 15u]);
            (*v)[i & 3u] = mixed.a;
            (*v)[b] = mixed.b;
            (*v)[c] = mixed.c;
            (*v)[d] = mixed.d;
        }
        kind = select(kind + 1u, 0u, kind == 9u);
    }
}

// Works the state after the last round into h.
fn blake2f_end(h: ptr<function, array<vec2<u32>, 8>>, v: ptr<function, array<vec2<u32>, 16>>) {
    for (var i = 0u; i < 8u; i++) {
        (*h)[i] ^= (*v)[i] ^ (*v)[i + 8u];
    }
}

fn blake2f(
    rounds: u32,
    h: ptr<function, array<vec2<u32>, 8>>,
    m: ptr<function, array<vec2<u32>, 16>>,
    t: vec4<u32>,
    last: bool,
) {
    var v = blake2f_start(h, t, last);
    blake2f_rounds(&v, m, 0u, rounds);
    blake2f_end(h, &v);
}
