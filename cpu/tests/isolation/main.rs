//! Permissions, budgets and the order of transactions: what an environment may do, what it may use, and that nothing of
//! it shows in another one.

mod budgets;
mod customs;
mod kinds;
mod permissions;
mod poison;
mod sequence;
mod world;
