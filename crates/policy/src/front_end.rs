//! Other ways to write a policy; each compiles to the core language.

pub(crate) mod fields;
