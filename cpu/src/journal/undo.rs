//! Going back to an earlier point of a transaction.

use super::{Journal, RIPEMD, Undo};

/// A point to go back to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checkpoint {
    undo: usize,
    logs: usize,
    messages: usize,
    refund: i64,
}

impl Journal {
    /// What was done until now stays.
    pub(super) fn forget_undo(&mut self) {
        self.undo.clear();
        self.undone_codes.clear();
        self.undone_transient.clear();
    }

    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { undo: self.undo.len(), logs: self.logs.len(), messages: self.messages.len(), refund: self.refund }
    }

    /// Undoes everything since the checkpoint.
    pub fn revert(&mut self, to: Checkpoint) {
        self.logs.truncate(to.logs);
        self.messages.truncate(to.messages);
        self.refund = to.refund;
        // EIP-161's one exception: the touch of RIPEMD-160 outlives the frame that is undone.
        let mut kept = None;
        while self.undo.len() > to.undo {
            let Some(undo) = self.undo.pop() else { break };
            match undo {
                Undo::Balance(account, old) => self.entry(account).info.balance = old,
                Undo::Nonce(account, old) => self.entry(account).info.nonce = old,
                Undo::Code(account) => {
                    let Some((hash, code, program)) = self.undone_codes.pop() else { continue };
                    let entry = self.entry(account);
                    entry.info.code_hash = hash;
                    entry.new_code = code;
                    entry.program = program;
                    entry.delegation = None;
                }
                Undo::WarmAccount(account) => self.entry(account).warm = false,
                Undo::Touch(account) => {
                    let entry = self.entry(account);
                    entry.touched = entry.address == RIPEMD;
                    if entry.touched {
                        kept = Some(Undo::Touch(account));
                    }
                }
                Undo::Exists(account) => self.entry(account).exists = false,
                Undo::Created(account) => self.entry(account).created = false,
                Undo::Destroyed(account) => self.entry(account).destroyed = false,
                Undo::Slot(slot, old) => self.slots[slot as usize].value = old,
                Undo::WarmSlot(slot) => self.slots[slot as usize].warm = false,
                Undo::Transient(account) => {
                    let Some((key, old)) = self.undone_transient.pop() else { continue };
                    self.transient.insert((account, key), old);
                }
            }
        }
        self.undo.extend(kept);
    }
}
