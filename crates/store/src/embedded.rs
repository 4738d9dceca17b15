//! The embedded store: one SQLite file, durable per commit, for one process.
