//! The task that feeds the applier from the database.
