//! load/transaction.
