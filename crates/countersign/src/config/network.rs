//! Which chains are for trying things out, and which ones hold people's money.

use countersign_core::identity::ChainId;

/// Local nodes and public test networks.
const DEVELOPMENT: [u64; 22] = [
    97,
    300,
    919,
    1301,
    1337,
    1338,
    4801,
    5003,
    10200,
    17000,
    31337,
    43113,
    59141,
    80002,
    80069,
    84532,
    421_614,
    534_351,
    560_048,
    11_155_111,
    11_155_420,
    168_587_773,
];

/// Networks on which a lost ledger loses real money.
const MAINNETS: [u64; 32] = [
    1, 10, 25, 56, 100, 130, 137, 143, 146, 169, 204, 250, 252, 324, 480, 999, 1088, 1101, 1135,
    1284, 1868, 2741, 5000, 8453, 34443, 42161, 42220, 43114, 57073, 59144, 80094, 534_352,
];

/// A local node or a public test network.
pub(crate) fn is_development(id: ChainId) -> bool {
    DEVELOPMENT.contains(&id.0)
}

/// A well-known network with real money on it.
pub(crate) fn is_mainnet(id: ChainId) -> bool {
    MAINNETS.contains(&id.0)
}
