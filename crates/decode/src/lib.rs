//! Calldata to actions: canonical, bounded, pure.
//!
//! [`actions`] reads one call and says what it would really do, as a flat list of leaf effects that
//! policies judge. It is total: whatever the bytes are, the answer is at least one action, and bytes
//! that are not understood become an action that says so. Nothing here looks at the chain: what an
//! address is (a token, a collection, a contract with an ABI) is what the [`Registry`] was told.
//!
//! # How a call is read
//!
//! | call | actions |
//! |---|---|
//! | no recipient, init code | `Deploy` with its hash |
//! | no recipient, no init code | `Undecodable`, with or without value |
//! | no data | `Transfer` of the chain's currency, of nothing too |
//! | 1 to 3 bytes of data, more than [`CALLDATA_BYTES_MAX`] | `Undecodable` |
//! | a standard's selector, canonical | its effects: `Transfer`, `Approve`, `Revoke` |
//! | a selector that some ABI claims, but none reads | `Undecodable` |
//! | anything else | `Call`, with every ABI that reads it in `functions` |
//!
//! **Canonical.** Arguments are read by a strict decoder: each offset must be the one that the
//! canonical encoder would write, padding must be zero, and nothing may follow the last argument.
//! Hence no two arguments can share bytes, decoding cannot grow beyond the calldata, and what was
//! read encodes to the same bytes again.
//!
//! **Which ABI.** At a token, a collection and the canonical Permit2, the standard decides alone: a
//! standard selector with sloppy arguments stays `Undecodable` there whatever other ABI reads it,
//! because the contract behind it would act on it. At a configured contract that is neither, the
//! contract's own ABI takes the selector away from the standard. Anywhere else the standard applies,
//! and where it cannot read the call, only an ABI registered for exactly that target can. ABIs
//! without a target (`fn` in a policy) add readings but never displace a standard.
//!
//! **ERC-20 or ERC-721.** `approve` and `transferFrom` look the same in both. At a collection the
//! number is an item; elsewhere it is an amount. One reading would be dangerous: `approve(x, 0)` at
//! an address that nobody registered may hand over item 0. It is a `Revoke` only at a registered
//! token, or where the spender is the zero address, which takes authority away in both standards;
//! elsewhere it stays an `Approve` of amount 0.
//!
//! **Value.** Wei sent with a `Call`, a `Deploy` or an `Undecodable` is that action's `value_wei`.
//! Wei sent along with a standard's effect is a leaf of its own, a `Transfer` of the chain's
//! currency to the target, and the other leaves carry 0. So the sum of `value_wei` over the actions
//! is the value of the call, and no kind that policies count as free can carry value.
//!
//! **Deadline.** Only authority that ends by itself has one (Permit2). The deadline of a permit in
//! calldata bounds its signature, which is used by this very call; it is in the arguments.
//!
//! # How a message is read
//!
//! [`TypedData`] and [`text_actions`] do the same for what a key signs besides transactions (EIP-712,
//! EIP-191): [`typed_data_authority`] says what a signature allows, and how the chain tells that it was used.
//!
//! | typed data | actions |
//! |---|---|
//! | permits (ERC-2612, DAI, ERC-4494), Permit2's allowances and transfers | `Approve`; `Revoke` for nothing at a known token, or of Permit2 |
//! | Permit2 with a witness of x402, at its contract | `Transfer` to whom the witness names |
//! | Permit2 with another witness | `Approve`, and `TypedData` for what it means to the spender |
//! | ERC-3009 | `Transfer`; a cancellation is a `Revoke` |
//! | orders (Seaport, `CoW` Protocol) | `Transfer` of all that is offered to the contract that settles, and `TypedData` for the terms |
//! | a Safe's transaction | what the Safe would do, at depth 1; `Delegate` for a delegatecall; `Transfer` of the refund |
//! | a user operation (ERC-4337) | what the account would call, at depth 1; `Transfer` of the fee; and `TypedData` |
//! | a delegation (ERC-7710's framework) | `Delegate` |
//! | anything else | `TypedData` |
//! | for another chain or none, or in another account's name | `Opaque`: never signed |
//!
//! A type is known only whole: every field in its order, in the domain of the contract that it belongs to.
//! The deadline of an `Approve` is the last second at which it can be used for the first time where the
//! allowance itself has no end. Digests are made from what was read, not from what was sent.
//!
//! A text is `Text` where people see what machines see; 32 bytes, controls, invisible and turning
//! characters make it `Opaque`, and so does a login (EIP-4361) that is not one to the last byte, or not
//! this wallet's on this chain.
//!
//! # What it does not do
//!
//! Containers (multicall, Safe, routers) are not opened: they are calls. It does not know what a
//! contract does beyond its arguments, nor whether a signature carried in calldata is valid.

mod actions;
mod call;
mod canonical;
mod container;
mod layout;
mod message;
mod privileged;
mod protocol;
mod readable;
mod registry;
mod standard;

pub use actions::actions;
pub use call::Call;
pub use canonical::decode_call;
pub use container::Container;
pub use layout::DecodeError;
pub use message::{
    Authority, TEXT_BYTES_MAX, TypedData, text_actions, text_digest, typed_data_authority,
};
pub use registry::Registry;

/// The most calldata that is read: what nodes accept as one transaction.
pub const CALLDATA_BYTES_MAX: usize = 128 * 1024;

/// How deep a type may nest: `uint256` is 1, `uint256[]` is 2.
pub const TYPE_DEPTH_MAX: usize = 16;

/// How many containers an action may lie inside; a request with a deeper one is `Undecodable`.
pub const DEPTH_MAX: usize = 8;

/// The most actions that one request may have; a request with more is `Undecodable`.
pub const LEAVES_MAX: usize = 256;

/// The most calldata that is read for one request: each call counts where it lies inside another, and again
/// for each action that holds it decoded. A request with more is `Undecodable`.
pub const EXPANSION_BYTES_MAX: usize = 1024 * 1024;
