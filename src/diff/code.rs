//! An assembler for the programs that the tester makes.

use isolane_spec::opcode::op;
use isolane_spec::{Bytes, Fork, H160, U256};

/// A place in code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label(usize);

/// Code under construction: jump destinations are labels, and data follows the last instruction.
#[derive(Clone, Debug)]
pub struct Code {
    bytes: Vec<u8>,
    fork: Fork,
    labels: Vec<Option<usize>>,
    /// Where two bytes wait for a label's offset.
    fixups: Vec<(usize, Label)>,
    data: Vec<(Label, Vec<u8>)>,
}

impl Code {
    /// No code yet.
    #[must_use]
    pub fn new(fork: Fork) -> Self {
        Self { bytes: Vec::with_capacity(256), fork, labels: Vec::new(), fixups: Vec::new(), data: Vec::new() }
    }

    /// Bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is no code yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Appends an opcode or any byte.
    pub fn op(&mut self, byte: u8) -> &mut Self {
        self.bytes.push(byte);
        self
    }

    /// Appends opcodes or any bytes.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Pushes a value with the shortest opcode that the fork has.
    pub fn push(&mut self, value: U256) -> &mut Self {
        let bytes = value.to_big_endian();
        let width = value.bits().div_ceil(8);
        let shortest = usize::from(self.fork < Fork::Shanghai);
        self.push_width(&bytes, width.max(shortest))
    }

    /// Pushes the low `width` bytes of a value; none of them with PUSH0.
    pub fn push_wide(&mut self, value: U256, width: usize) -> &mut Self {
        let width = width.clamp(value.bits().div_ceil(8).max(usize::from(self.fork < Fork::Shanghai)), 32);
        self.push_width(&value.to_big_endian(), width)
    }

    fn push_width(&mut self, bytes: &[u8; 32], width: usize) -> &mut Self {
        if width == 0 {
            return self.op(op::PUSH0);
        }
        self.bytes.push(op::PUSH1 + width as u8 - 1);
        self.bytes.extend_from_slice(&bytes[32 - width..]);
        self
    }

    /// Pushes an address.
    pub fn push_address(&mut self, address: H160) -> &mut Self {
        self.push(U256::from_big_endian(&address.0))
    }

    /// A label that is placed later.
    pub fn new_label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// Places a jump destination.
    pub fn place(&mut self, label: Label) -> &mut Self {
        self.labels[label.0] = Some(self.bytes.len());
        self.op(op::JUMPDEST)
    }

    /// Pushes the offset of a label.
    pub fn push_label(&mut self, label: Label) -> &mut Self {
        self.bytes.push(op::PUSH2);
        self.fixups.push((self.bytes.len(), label));
        self.raw(&[0, 0])
    }

    /// Data that will follow the code; its label is where it starts.
    pub fn add_data(&mut self, data: Vec<u8>) -> Label {
        let label = self.new_label();
        self.data.push((label, data));
        label
    }

    /// The finished code. A label beyond 64 KiB, or never placed, is 0: no jump destination.
    #[must_use]
    pub fn finish(mut self) -> Bytes {
        for (label, data) in std::mem::take(&mut self.data) {
            self.labels[label.0] = Some(self.bytes.len());
            self.bytes.extend_from_slice(&data);
        }
        for (at, label) in self.fixups {
            let offset = self.labels[label.0].and_then(|offset| u16::try_from(offset).ok()).unwrap_or_default();
            self.bytes[at..at + 2].copy_from_slice(&offset.to_be_bytes());
        }
        self.bytes.into()
    }
}

/// One instruction of finished code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Offset of the opcode.
    pub at: usize,
    /// The opcode.
    pub byte: u8,
    /// Its length with the data of a PUSH, as far as the code goes.
    pub len: usize,
}

/// The instructions of code, read from the start.
#[must_use]
pub fn instructions(code: &[u8]) -> Vec<Instruction> {
    let mut list = Vec::new();
    let mut at = 0;
    while let Some(&byte) = code.get(at) {
        let immediate = if (op::PUSH1..=op::PUSH32).contains(&byte) { usize::from(byte - op::PUSH1) + 1 } else { 0 };
        let len = (1 + immediate).min(code.len() - at);
        list.push(Instruction { at, byte, len });
        at += len;
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_put_together() {
        let mut code = Code::new(Fork::Osaka);
        let label = code.new_label();
        let data = code.add_data(vec![0xaa]);
        code.push(0.into()).push(0x1234.into()).push_label(label).op(op::JUMP).place(label).push_label(data);
        let code = code.finish();
        assert_eq!(hex::encode(&code), "5f611234610008565b61000caa");
        let lengths: Vec<usize> = instructions(&code).iter().map(|instruction| instruction.len).collect();
        assert_eq!(lengths, [1, 3, 3, 1, 1, 3, 1]);
        let mut old = Code::new(Fork::Paris);
        old.push(0.into()).push_wide(1.into(), 3);
        assert_eq!(hex::encode(old.finish()), "600062000001");
    }
}
