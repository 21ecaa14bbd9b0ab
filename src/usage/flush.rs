//! The task that carries the ledger to the database.
