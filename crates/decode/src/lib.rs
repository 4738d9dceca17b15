//! Calldata to actions: recursive, canonical, bounded. Pure.
