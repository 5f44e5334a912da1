//! 256-bit words against primitive-types.

use crate::harness::{Kernel, Random, on_every_device};
use isolane_shaders::{DIVISION, WORD, link};
use isolane_spec::{U256, word};

/// Loads and stores of words.
const HELPERS: &str = "
fn load(at: u32) -> Word {
    return Word(
        vec4<u32>(input[at], input[at + 1u], input[at + 2u], input[at + 3u]),
        vec4<u32>(input[at + 4u], input[at + 5u], input[at + 6u], input[at + 7u]),
    );
}

fn store(at: u32, w: Word) {
    for (var i = 0u; i < 8u; i++) {
        output[at + i] = word_limb(w, i);
    }
}
";

fn limbs(w: &U256) -> [u32; 8] {
    std::array::from_fn(|i| (w.0[i / 2] >> (32 * (i % 2))) as u32)
}

fn from_limbs(limbs: &[u32]) -> U256 {
    U256(std::array::from_fn(|i| u64::from(limbs[2 * i]) | u64::from(limbs[2 * i + 1]) << 32))
}

/// Values around which arithmetic goes wrong.
fn edges() -> Vec<U256> {
    let one = U256::one();
    let mut edges: Vec<U256> = (0..4).chain([10, 255, 8191, 65_535, 1_000_000_007]).map(U256::from).collect();
    for bit in [13, 16, 26, 31, 32, 48, 63, 64, 96, 127, 128, 160, 192, 224, 240, 247, 255] {
        edges.extend([(one << bit) - one, one << bit, (one << bit) + one]);
    }
    let ten = U256::from(10);
    edges.extend([ten.pow(18.into()), ten.pow(27.into()), ten.pow(77.into())]);
    // Knuth's cases: a quotient digit estimated too high, by one and by two.
    let hex = |text: &str| U256::from_str_radix(text, 16).expect("hexadecimal digits");
    edges.extend([
        hex("7fff800100000000000000000000000000000000000000000000000000000000"),
        hex("8000000000000000000000000000000000000000000000000000000000000003"),
        hex("80000000fffe0000000000000000000000000000000000000000000000000000"),
        hex("800000000000000000000000ffff"),
        hex("7fffffff8000"),
        hex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"),
    ]);
    edges.extend([U256::MAX, U256::MAX - 1, word::negate(&one), word::negate(&U256::from(5)), word::negate(&ten)]);
    edges
}

/// Random bits, of a random length or of digits that are nearly all ones or all zeros.
fn random_word(random: &mut Random) -> U256 {
    let w = U256(std::array::from_fn(|_| match random.below(3) {
        0 => (0..4).fold(0, |limb, _| limb << 16 | [0, 1, 0x7fff, 0x8000, 0xfffe, 0xffff][random.below(6) as usize]),
        _ => random.next(),
    }));
    w >> random.below(256)
}

/// Pairs of edges with edges as third operand, then random triples.
fn operands(seed: u64, randoms: usize) -> Vec<[U256; 3]> {
    let mut random = Random::new(seed);
    let edges = edges();
    let mut triples = Vec::new();
    for a in &edges {
        for b in &edges {
            let index = random.below(edges.len() as u64) as usize;
            triples.push([*a, *b, edges[index]]);
        }
    }
    triples.extend((0..randoms).map(|_| std::array::from_fn(|_| random_word(&mut random))));
    triples
}

fn flatten(triples: &[[U256; 3]]) -> Vec<u32> {
    triples.iter().flatten().flat_map(limbs).collect()
}

fn check(names: &[&str], operands: &[U256; 3], expected: &[U256], got: &[u32]) {
    assert_eq!(names.len(), expected.len());
    for ((name, expected), got) in names.iter().zip(expected).zip(got.chunks_exact(8)) {
        let got = from_limbs(got);
        assert!(*expected == got, "{name} of {operands:x?}: expected {expected:#x}, got {got:#x}");
    }
}

fn flag(condition: bool) -> U256 {
    U256::from(u8::from(condition))
}

fn signed_less(a: &U256, b: &U256) -> bool {
    (word::is_negative(a), word::is_negative(b)) == (true, false)
        || word::is_negative(a) == word::is_negative(b) && a < b
}

fn sar(w: &U256, n: usize) -> U256 {
    if word::is_negative(w) { !(!*w >> n) } else { *w >> n }
}

#[test]
fn cheap_functions() {
    const NAMES: [&str; 20] = [
        "add",
        "sub",
        "neg",
        "not",
        "and",
        "or",
        "xor",
        "is_zero",
        "eq",
        "lt",
        "slt",
        "shl",
        "shr",
        "sar",
        "byte",
        "clz",
        "bits",
        "signextend",
        "byteswap",
        "mul",
    ];
    let kernel = Kernel {
        name: "word/basic.wgsl",
        library: link(&[WORD]),
        helpers: HELPERS,
        body: "
    let a = load(lane * 24u);
    let b = load(lane * 24u + 8u);
    let n = input[lane * 24u + 16u] & 255u;
    let at = lane * 160u;
    store(at, word_add(a, b));
    store(at + 8u, word_sub(a, b));
    store(at + 16u, word_neg(a));
    store(at + 24u, word_not(a));
    store(at + 32u, word_and(a, b));
    store(at + 40u, word_or(a, b));
    store(at + 48u, word_xor(a, b));
    store(at + 56u, word_from_u32(select(0u, 1u, word_is_zero(a))));
    store(at + 64u, word_from_u32(select(0u, 1u, word_eq(a, b))));
    store(at + 72u, word_from_u32(select(0u, 1u, word_lt(a, b))));
    store(at + 80u, word_from_u32(select(0u, 1u, word_slt(a, b))));
    store(at + 88u, word_shl(a, n));
    store(at + 96u, word_shr(a, n));
    store(at + 104u, word_sar(a, n));
    store(at + 112u, word_byte(n & 31u, a));
    store(at + 120u, word_from_u32(word_clz(a)));
    store(at + 128u, word_from_u32(word_bits(a)));
    store(at + 136u, word_signextend(n % 31u, a));
    store(at + 144u, word_byteswap(a));
    store(at + 152u, word_mul(a, b));",
        input: 24,
        output: 160,
    };
    let mut triples = operands(1, 8192);
    // All shifts and all places of all edges.
    for a in edges() {
        triples.extend((0..256).map(|n| [a, word::negate(&a), U256::from(n)]));
    }
    on_every_device(&kernel, &flatten(&triples), |lane, got| {
        let operands = &triples[lane];
        let [a, b, n] = operands;
        let n = n.low_u32() as usize & 255;
        let bytes = word::to_be(a);
        let sign = 8 * (n % 31) + 7;
        let above = U256::MAX << sign;
        let expected = [
            a.overflowing_add(*b).0,
            a.overflowing_sub(*b).0,
            word::negate(a),
            !*a,
            *a & *b,
            *a | *b,
            *a ^ *b,
            flag(a.is_zero()),
            flag(a == b),
            flag(a < b),
            flag(signed_less(a, b)),
            *a << n,
            *a >> n,
            sar(a, n),
            U256::from(bytes[n & 31]),
            U256::from(a.leading_zeros()),
            U256::from(a.bits()),
            if a.bit(sign) { *a | above } else { *a & !above },
            U256::from_little_endian(&bytes),
            a.overflowing_mul(*b).0,
        ];
        check(&NAMES, operands, &expected, got);
    });
}

fn quotient(a: &U256, b: &U256) -> U256 {
    a.checked_div(*b).unwrap_or_default()
}

fn remainder(a: &U256, b: &U256) -> U256 {
    a.checked_rem(*b).unwrap_or_default()
}

fn signed(negative: bool, magnitude: U256) -> U256 {
    if negative { word::negate(&magnitude) } else { magnitude }
}

fn modulo(wide: primitive_types::U512, n: &U256) -> U256 {
    let rest = wide.checked_rem(primitive_types::U512::from(*n)).unwrap_or_default();
    U256(std::array::from_fn(|i| rest.0[i]))
}

const HEAVY: [&str; 7] = ["div", "sdiv", "mod", "smod", "addmod", "mulmod", "exp"];

fn heavy(operands: &[U256; 3]) -> [U256; 7] {
    let [a, b, n] = operands;
    let magnitude = |w: &U256| signed(word::is_negative(w), *w);
    let (signs, sizes) = ((word::is_negative(a), word::is_negative(b)), (magnitude(a), magnitude(b)));
    let wide = primitive_types::U512::from(*a) + primitive_types::U512::from(*b);
    [
        quotient(a, b),
        signed(signs.0 != signs.1, quotient(&sizes.0, &sizes.1)),
        remainder(a, b),
        signed(signs.0, remainder(&sizes.0, &sizes.1)),
        modulo(wide, n),
        modulo(a.full_mul(*b), n),
        a.overflowing_pow(*b).0,
    ]
}

#[test]
fn one_entry_for_all_heavy_functions() {
    let kernel = Kernel {
        name: "word/division.wgsl, word_heavy",
        library: link(&[WORD, DIVISION]),
        helpers: HELPERS,
        body: "
    let a = load(lane * 24u);
    let b = load(lane * 24u + 8u);
    let n = load(lane * 24u + 16u);
    for (var kind = 0u; kind < 7u; kind++) {
        store(lane * 56u + 8u * kind, word_heavy(kind, a, b, n));
    }",
        input: 24,
        output: 56,
    };
    let mut triples = operands(2, 8192);
    let mut random = Random::new(3);
    // Products and multiples close to the modulus and its multiples: quotients whose estimates are just off.
    for _ in 0..4096 {
        let n = random_word(&mut random);
        let factor = random_word(&mut random) >> (256 - n.leading_zeros()).min(255) as usize;
        let near = n.overflowing_mul(factor).0;
        let off = U256::from(random.below(3)).overflowing_sub(U256::one()).0;
        triples.push([near.overflowing_add(off).0, n, U256::MAX]);
        triples.push([factor, n, n.overflowing_add(off).0]);
    }
    on_every_device(&kernel, &flatten(&triples), |lane, got| {
        check(&HEAVY, &triples[lane], &heavy(&triples[lane]), got);
    });
}

#[test]
fn heavy_functions_by_name() {
    let kernel = Kernel {
        name: "word/division.wgsl, every function by its name",
        library: link(&[WORD, DIVISION]),
        helpers: HELPERS,
        body: "
    let a = load(lane * 24u);
    let b = load(lane * 24u + 8u);
    let n = load(lane * 24u + 16u);
    store(lane * 56u, word_div(a, b));
    store(lane * 56u + 8u, word_sdiv(a, b));
    store(lane * 56u + 16u, word_mod(a, b));
    store(lane * 56u + 24u, word_smod(a, b));
    store(lane * 56u + 32u, word_addmod(a, b, n));
    store(lane * 56u + 40u, word_mulmod(a, b, n));
    store(lane * 56u + 48u, word_exp(a, b));",
        input: 24,
        output: 56,
    };
    let triples = operands(4, 256);
    on_every_device(&kernel, &flatten(&triples), |lane, got| {
        check(&HEAVY, &triples[lane], &heavy(&triples[lane]), got);
    });
}
