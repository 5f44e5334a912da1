//! Where a lane meets the permissions and the budget of its environment.

use crate::lane::Lane;
use crate::op::Trap;
use isolane_spec::{Budget, BudgetKind, Denial, EXCHANGE_ADDRESS, Fork, H160, Halt, Precompile, Rule};

/// What a transaction has used of its budget, besides what the lane counts anyway. Nothing is given back when a frame is
/// undone: it was used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    pub slots: u64,
    pub log_bytes: u64,
    pub messages: u64,
}

/// A budget ran out; the interpreter fills in where.
pub(crate) const fn exceeded(kind: BudgetKind) -> Halt {
    Halt::BudgetExceeded { kind, at: 0 }
}

/// A permission is missing; the interpreter fills in where.
pub(crate) const fn denied(rule: Rule) -> Halt {
    Halt::Denied { rule, pc: 0 }
}

impl Lane {
    /// Starts counting for a transaction.
    pub fn begin(&mut self, limits: Budget) {
        self.steps = 0;
        self.limits = limits;
        self.used = Used::default();
        self.denial = None;
        self.unseen_fee = None;
    }

    /// What a transaction may use.
    pub fn transaction_limits(&self) -> Budget {
        self.environment.budget.min(self.allowance)
    }

    /// The precompile at an address and the fork that prices it.
    #[inline]
    pub fn precompile_at(&self, address: H160) -> Option<(Precompile, Fork)> {
        if self.has_custom_precompiles {
            return self.environment.rules.precompile(address);
        }
        Precompile::at(address, self.fork).map(|precompile| (precompile, self.fork))
    }

    /// The rule that denies a call; what its code delegates to has a rule of its own. `by_contract`: a contract makes it.
    #[inline]
    pub fn denied_call(&self, address: &H160, by_contract: bool, sends_value: bool) -> Option<Rule> {
        if self.restricts_calls { self.find_denied_call(address, by_contract, sends_value) } else { None }
    }

    #[cold]
    #[inline(never)]
    fn find_denied_call(&self, address: &H160, by_contract: bool, sends_value: bool) -> Option<Rule> {
        let permissions = &self.environment.permissions;
        if sends_value && !permissions.value {
            return Some(Rule::Value);
        }
        if let Some((precompile, _)) = self.precompile_at(*address) {
            return permissions.denied_precompiles.contains(precompile).then_some(Rule::Precompile);
        }
        if self.environment.messaging.is_some() && *address == EXCHANGE_ADDRESS {
            return (!permissions.messages).then_some(Rule::Message);
        }
        if by_contract && !permissions.calls {
            return Some(Rule::Call);
        }
        (!permissions.callees.allows(address)).then_some(Rule::Callee)
    }

    /// The rule that denies running what an account delegates to.
    #[inline]
    pub fn denied_delegation(&self, target: &H160) -> Option<Rule> {
        if !self.restricts_calls {
            return None;
        }
        let permissions = &self.environment.permissions;
        if !permissions.delegations {
            return Some(Rule::Delegation);
        }
        (!permissions.callees.allows(target)).then_some(Rule::Callee)
    }

    /// Whether value may not be sent.
    #[inline]
    pub fn denies_value(&self) -> bool {
        self.restricts_calls && !self.environment.permissions.value
    }

    /// Halts for a missing permission, and remembers the first time.
    pub fn deny(&mut self, rule: Rule, address: H160, pc: usize) -> Halt {
        let pc = u32::try_from(pc).unwrap_or(u32::MAX);
        self.denial.get_or_insert(Denial { rule, address, pc });
        Halt::Denied { rule, pc }
    }

    /// Says where a budget ran out or a permission was missing.
    pub fn place(&mut self, trap: Trap, address: H160, pc: usize) -> Trap {
        match trap {
            Trap::Halt(Halt::BudgetExceeded { kind, .. }) => Trap::Halt(Halt::BudgetExceeded { kind, at: self.steps }),
            Trap::Halt(Halt::Denied { rule, .. }) => Trap::Halt(self.deny(rule, address, pc)),
            trap => trap,
        }
    }
}
