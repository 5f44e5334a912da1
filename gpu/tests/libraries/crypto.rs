//! Permutations and compression functions against public implementations.

use crate::harness::{Kernel, Random, on_every_device};
use isolane_shaders::{BLAKE2F, KECCAK_F, RIPEMD160, SHA256, link};
use ripemd::Digest;

fn pairs(words: &[u32]) -> impl Iterator<Item = u64> {
    words.chunks_exact(2).map(|pair| u64::from(pair[0]) | u64::from(pair[1]) << 32)
}

#[test]
fn keccak() {
    let kernel = Kernel {
        name: "keccak.wgsl",
        library: link(&[KECCAK_F]),
        helpers: "",
        body: "
    var state: array<vec2<u32>, 25>;
    for (var i = 0u; i < 25u; i++) {
        let at = lane * 50u + 2u * i;
        state[i] = vec2<u32>(input[at], input[at + 1u]);
    }
    keccak_f(&state);
    for (var i = 0u; i < 25u; i++) {
        let at = lane * 50u + 2u * i;
        output[at] = state[i].x;
        output[at + 1u] = state[i].y;
    }",
        input: 50,
        output: 50,
    };
    let mut random = Random::new(5);
    let mut lanes = vec![[0; 50], [u32::MAX; 50]];
    // Each bit alone shows a rotation or a place that is wrong.
    lanes.extend((0..1600).map(|bit| std::array::from_fn(|i| u32::from(i == bit / 32) << (bit % 32))));
    lanes.extend((0..2048).map(|_| random.words::<50>()));
    on_every_device(&kernel, lanes.as_flattened(), |lane, got| {
        let mut expected: [u64; 25] = pairs(&lanes[lane]).collect::<Vec<_>>().try_into().expect("25 words");
        keccak::Keccak::new().with_f1600(|f| f(&mut expected));
        assert!(pairs(got).eq(expected), "lane {lane}: {:x?}", lanes[lane]);
    });
}

#[test]
fn sha256() {
    let kernel = Kernel {
        name: "sha256.wgsl",
        library: link(&[SHA256]),
        helpers: "",
        body: "
    var state: array<u32, 8>;
    var block: array<u32, 16>;
    for (var i = 0u; i < 8u; i++) {
        state[i] = input[lane * 24u + i];
    }
    for (var i = 0u; i < 16u; i++) {
        block[i] = input[lane * 24u + 8u + i];
    }
    sha256_compress(&state, &block);
    for (var i = 0u; i < 8u; i++) {
        output[lane * 8u + i] = state[i];
    }",
        input: 24,
        output: 8,
    };
    let mut random = Random::new(6);
    let mut lanes = vec![[0; 24], [u32::MAX; 24]];
    lanes.extend((0..4096).map(|_| random.words::<24>()));
    on_every_device(&kernel, lanes.as_flattened(), |lane, got| {
        let (state, words) = lanes[lane].split_at(8);
        let mut expected: [u32; 8] = state.try_into().expect("8 words");
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        sha2::block_api::compress256(&mut expected, &[bytes.try_into().expect("64 bytes")]);
        assert_eq!(got, expected, "lane {lane}: {:x?}", lanes[lane]);
    });
}

/// A message of at most three blocks with its padding (as MD4 pads), and the number of blocks.
fn padded(message: &[u8]) -> [u32; 49] {
    let mut bytes = message.to_vec();
    bytes.push(0x80);
    while bytes.len() % 64 != 56 {
        bytes.push(0);
    }
    bytes.extend((8 * message.len() as u64).to_le_bytes());
    let mut words = [0; 49];
    words[0] = bytes.len() as u32 / 64;
    for (word, bytes) in words[1..].iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_le_bytes(bytes.try_into().expect("4 bytes"));
    }
    words
}

#[test]
fn ripemd160() {
    let kernel = Kernel {
        name: "ripemd160.wgsl",
        library: link(&[RIPEMD160]),
        helpers: "",
        body: "
    var state = array<u32, 5>(0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u);
    for (var number = 0u; number < input[lane * 49u]; number++) {
        var block: array<u32, 16>;
        for (var i = 0u; i < 16u; i++) {
            block[i] = input[lane * 49u + 1u + 16u * number + i];
        }
        ripemd160_compress(&state, &block);
    }
    for (var i = 0u; i < 5u; i++) {
        output[lane * 5u + i] = state[i];
    }",
        input: 49,
        output: 5,
    };
    let mut random = Random::new(7);
    let message = |i: usize| (0..i % 183).map(|_| random.next() as u8).collect();
    let messages: Vec<Vec<u8>> = (0..4096).map(message).collect();
    let lanes: Vec<[u32; 49]> = messages.iter().map(|message| padded(message)).collect();
    on_every_device(&kernel, lanes.as_flattened(), |lane, got| {
        let digest: Vec<u8> = got.iter().flat_map(|word| word.to_le_bytes()).collect();
        let expected = ripemd::Ripemd160::digest(&messages[lane]);
        assert_eq!(digest, expected[..], "{:02x?}", messages[lane]);
    });
}

#[test]
fn blake2f() {
    let kernel = Kernel {
        name: "blake2f.wgsl",
        library: link(&[BLAKE2F]),
        helpers: "",
        // Every other lane goes in two parts, with the state kept between them.
        body: "
    let at = lane * 54u;
    var h: array<vec2<u32>, 8>;
    var m: array<vec2<u32>, 16>;
    for (var i = 0u; i < 8u; i++) {
        h[i] = vec2<u32>(input[at + 2u * i], input[at + 2u * i + 1u]);
    }
    for (var i = 0u; i < 16u; i++) {
        m[i] = vec2<u32>(input[at + 16u + 2u * i], input[at + 17u + 2u * i]);
    }
    let t = vec4<u32>(input[at + 48u], input[at + 49u], input[at + 50u], input[at + 51u]);
    let rounds = input[at + 52u];
    let last = input[at + 53u] != 0u;
    if (lane & 1u) == 0u {
        blake2f(rounds, &h, &m, t, last);
    } else {
        var v = blake2f_start(&h, t, last);
        let first = rounds / 3u;
        blake2f_rounds(&v, &m, 0u, first);
        blake2f_rounds(&v, &m, first, rounds - first);
        blake2f_end(&h, &v);
    }
    for (var i = 0u; i < 8u; i++) {
        output[lane * 16u + 2u * i] = h[i].x;
        output[lane * 16u + 2u * i + 1u] = h[i].y;
    }",
        input: 54,
        output: 16,
    };
    let mut random = Random::new(8);
    let lane = |i: u32| {
        let mut words = random.words::<54>();
        words[52] = [i % 64, 12, 300][i as usize % 3];
        words[53] &= 1;
        words
    };
    let lanes: Vec<[u32; 54]> = (0..2048).map(lane).collect();
    on_every_device(&kernel, lanes.as_flattened(), |lane, got| {
        // The input of the precompile (EIP-152): rounds are big-endian, all else is little-endian.
        let words = &lanes[lane];
        let mut input = words[52].to_be_bytes().to_vec();
        input.extend(words[..52].iter().flat_map(|word| word.to_le_bytes()));
        input.push(words[53] as u8);
        let expected = revm_precompile::blake2::run(&input, u64::MAX).expect("a valid input");
        let got: Vec<u8> = got.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(got, expected.bytes[..], "lane {lane}: {words:x?}");
    });
}
