//! The Redis store: the ledger as scripts, for several gateways.
