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
//! | a function of a contract that is registered as what it is | `Call` that says what it `spends`, and what others get |
//! | a container's selector, at a registered container | what it holds, one deeper |
//! | a container's selector, elsewhere | `Call`, and what it reads as holding, one deeper |
//! | a selector that some ABI claims, but none reads | `Undecodable` |
//! | anything else | `Call`, with every ABI that reads it in `functions` |
//!
//! The first line that fits is the one. A `Call` or `Undecodable` whose selector hands over control of a
//! contract is `privileged`, wherever it goes and however deep it lies.
//!
//! **Containers.** [`Container`] is what the configuration says of an address; Multicall3 is registered at its
//! canonical address. Who makes the inner calls decides whose money they move:
//!
//! | container | inner calls are made by | value that comes with it |
//! |---|---|---|
//! | Multicall3, `multiSend` called by itself | the container | is shared by the calls, which cannot send more; the rest is a `Transfer` to the container |
//! | `multicall(bytes[])` and its forms, Universal Router | the caller: the contract delegates to itself | stays at hand: if there is any, the container's own `Call` carries it |
//! | Safe, smart account, `DSProxy` | the account | a `Transfer` to the account |
//! | entry point | the entry point calls the sender, whose account calls on | a `Transfer` to the entry point |
//!
//! A delegation (a Safe's operation 1, ERC-7579's delegatecall, `DSProxy`) is `Delegate`, but for Safe's own
//! `MultiSend` libraries, whose calls are the Safe's. A gas price in a Safe's transaction is a `Transfer` of
//! 2^256 − 1 to whoever is refunded; what an operation pays for gas is one of the most that its limits allow.
//! A command of the Universal Router is the effect that it has, or a `Call` with the command's name as its
//! function and the router's words for recipients replaced by what they mean. A command that is not known or
//! that may fail, an execution mode that is not known, a call to the zero address by an account, and packed
//! calls with anything left over make the whole container `Undecodable`, wherever it is: what failed or was
//! passed over would leave other things behind than what was judged. Calls that may fail each for itself
//! (Multicall3) are judged as if none did.
//!
//! **Spends.** What a call takes from its caller besides its value is in `spends` where a registered contract's
//! arguments say exactly which tokens and at most how much: swaps, lending, bridges. `None` is not known, an
//! empty list is nothing. A policy rule's own `spend` is not added to it: the larger counts. What is taken for
//! the caller itself is only `spends`; what a call gives to anybody else is a `Transfer` to them beside it, so
//! that rules about recipients see it, of 2^256 − 1 where the arguments leave the amount open. Wrapped currency
//! that a Uniswap V3 router pays out of the request's own value is counted once, as that value, where the
//! token is registered as [`Container::Weth`]. Nothing of this is concluded where the contract is not registered.
//!
//! A call of a registered contract that neither a standard nor its layout reads is `unlisted`, whatever ABI reads
//! it: policies allow it by name only.
//!
//! **Whose.** A `Transfer` from neither the wallet nor the account that calls is `foreign`: a standard's `from`, the owner
//! whose shares a registered contract holds, a paymaster. What a registered contract or a container pays out of its own
//! is not, nor what an operation's own account pays for its gas.
//!
//! **Canonical.** Arguments are read by a strict decoder: each offset must be the one that the
//! canonical encoder would write, padding must be zero, and nothing may follow the last argument.
//! Hence no two arguments can share bytes, decoding cannot grow beyond the calldata, and what was
//! read encodes to the same bytes again.
//!
//! **Which ABI.** At a token, a collection and the canonical Permit2, the standard decides alone: a
//! standard selector with sloppy arguments stays `Undecodable` there whatever other ABI reads it,
//! because the contract behind it would act on it. At a configured contract that is neither, nor registered as
//! what it is, the contract's own ABI takes the selector away from the standard. Anywhere else the standard applies,
//! and where it cannot read the call, only an ABI registered for exactly that target can. ABIs
//! without a target (`fn` in a policy) add readings but never displace a standard.
//!
//! **ERC-20 or ERC-721.** `approve` and `transferFrom` look the same in both. At a collection the
//! number is an item; elsewhere it is an amount. One reading would be dangerous: `approve(x, 0)` at
//! an address that nobody registered may hand over item 0. It is a `Revoke` only at a registered
//! token, or where the spender is the zero address, which takes authority away in both standards;
//! elsewhere it stays an `Approve` of amount 0.
//!
//! **Value.** Wei sent with a `Call`, a `Deploy` or an `Undecodable` is that action's `value_wei`. Wei sent
//! along with a standard's effect is a leaf of its own, a `Transfer` of the chain's currency to the target, and
//! the other leaves carry 0. So the sum of `value_wei` over the actions is the value of the call, plus what
//! accounts send on of their own money, plus what a call at an address that nobody registered reads as sending
//! on: there the call itself carries all of its value, since nobody knows what becomes of it. No kind that
//! policies count as free can carry value.
//!
//! **Bounds.** [`DEPTH_MAX`] containers inside each other, [`LEAVES_MAX`] actions, [`EXPANSION_BYTES_MAX`] of calldata
//! read. A request beyond one of them is one `Undecodable` action with all of its value; part of it is never
//! shown as if it were all.
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
//! | a Safe's transaction | what the `execTransaction` of it would be |
//! | a user operation (ERC-4337) | what the entry point's call of the account would be; `Transfer` of the fee; and `TypedData` |
//! | a delegation (ERC-7710's framework) | `Delegate` |
//! | anything else | `TypedData` |
//! | for another chain or none, or in another account's name | `Opaque`: never signed |
//!
//! A type is known only whole: every field in its order, in the domain of the contract that it belongs to.
//! The deadline of an `Approve` is the last second at which it can be used for the first time where the
//! allowance itself has no end. Digests are made from what was read, not from what was sent.
//!
//! A text is `Text` where people see what machines see; 32 bytes that are no plain words, controls, invisible
//! characters outside of an emoji and turning ones make it `Opaque`, and so does a login (EIP-4361) that is not one to the last byte, or not
//! this wallet's on this chain.
//!
//! # What it does not do
//!
//! It does not know what a contract does beyond its arguments, nor whether a signature carried in calldata is
//! valid. Arguments of a container itself, such as a deadline, are in no action where the container is
//! registered and holds anything. Calls on another chain, and what an aggregator's own code does, are not read.

mod actions;
mod call;
mod canonical;
mod container;
mod delegation;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
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
pub use delegation::delegations;
pub use layout::DecodeError;
pub use message::{
    Authority, TEXT_BYTES_MAX, TypedData, text_actions, text_digest, typed_data_authority,
};
pub use registry::{Collection, Registry};

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
