//! What a method *is*. One `match` over the names that we know; the default is refuse.

use countersign_core::intent::Method;

/// A decision about a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// Judged, then signed.
    Judge(Method),
    /// Answered here.
    Answer(Local),
    /// Forwarded to the node, re-serialised.
    Forward(Read),
    /// Begun or ended, on a connection that stays.
    Subscription(Act),
    /// Not of this door.
    Refuse,
}

/// What is done about a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// `eth_subscribe`
    Begin,
    /// `eth_unsubscribe`
    End,
}

/// What the gateway answers itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Local {
    /// `eth_accounts`, `eth_requestAccounts`
    Accounts,
    /// `eth_chainId`
    ChainId,
    /// `net_version`
    NetVersion,
    /// `eth_getTransactionCount`, of a managed wallet
    TransactionCount,
    /// `wallet_getCapabilities`
    Capabilities,
    /// `wallet_getCallsStatus`
    CallsStatus,
    /// `health_status`
    Health,
    /// `countersign_getOperation`
    Operation,
    /// `countersign_simulate`
    Simulate,
    /// `countersign_budget`
    Budget,
}

/// An allow-listed read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) method: &'static str,
    /// The most parameters: what clients send, so that overrides of state stay out.
    pub(crate) params_max: usize,
    pub(crate) kind: ReadKind,
}

/// What is looked at before a read goes to the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadKind {
    /// Nothing more.
    Plain,
    /// The range of blocks of a log filter.
    Logs,
    /// Makes a filter, which belongs to the agent that made it.
    NewFilter,
    /// Uses a filter.
    Filter,
}

/// The name of a method as the program knows it, for labels: never text of an agent.
pub(crate) const UNKNOWN: &str = "other";

/// Decides what a method is, and gives back its name as the program spells it.
pub(crate) fn route(name: &str) -> (&'static str, Route) {
    local(name).or_else(|| read(name)).unwrap_or((UNKNOWN, Route::Refuse))
}

fn local(name: &str) -> Option<(&'static str, Route)> {
    let answer = |name, local| Some((name, Route::Answer(local)));
    let judge = |name, method| Some((name, Route::Judge(method)));
    match name {
        "eth_sendTransaction" => judge("eth_sendTransaction", Method::SendTransaction),
        "eth_signTransaction" => judge("eth_signTransaction", Method::SignTransaction),
        "eth_sendRawTransaction" => judge("eth_sendRawTransaction", Method::SendRawTransaction),
        "personal_sign" => judge("personal_sign", Method::PersonalSign),
        "eth_sign" => judge("eth_sign", Method::Sign),
        "eth_signTypedData_v4" => judge("eth_signTypedData_v4", Method::SignTypedData),
        "eth_signTypedData" => judge("eth_signTypedData", Method::SignTypedData),
        "wallet_sendCalls" => judge("wallet_sendCalls", Method::SendCalls),
        "eth_subscribe" => Some(("eth_subscribe", Route::Subscription(Act::Begin))),
        "eth_unsubscribe" => Some(("eth_unsubscribe", Route::Subscription(Act::End))),
        "eth_accounts" => answer("eth_accounts", Local::Accounts),
        "eth_requestAccounts" => answer("eth_requestAccounts", Local::Accounts),
        "eth_chainId" => answer("eth_chainId", Local::ChainId),
        "net_version" => answer("net_version", Local::NetVersion),
        "eth_getTransactionCount" => answer("eth_getTransactionCount", Local::TransactionCount),
        "wallet_getCapabilities" => answer("wallet_getCapabilities", Local::Capabilities),
        "wallet_getCallsStatus" => answer("wallet_getCallsStatus", Local::CallsStatus),
        "health_status" => answer("health_status", Local::Health),
        "countersign_getOperation" => answer("countersign_getOperation", Local::Operation),
        "countersign_simulate" => answer("countersign_simulate", Local::Simulate),
        "countersign_budget" => answer("countersign_budget", Local::Budget),
        _ => None,
    }
}

const fn plain(method: &'static str, params_max: usize) -> Read {
    Read { method, params_max, kind: ReadKind::Plain }
}

const fn special(method: &'static str, params_max: usize, kind: ReadKind) -> Read {
    Read { method, params_max, kind }
}

/// The node's own count, for an account that is not managed.
pub(crate) const TRANSACTION_COUNT: Read = plain("eth_getTransactionCount", 2);

/// Everything that may reach a node. Nothing here changes state, gives orders or names other people's
/// pending transactions.
const READS: [Read; 39] = [
    plain("eth_blobBaseFee", 0),
    plain("eth_blockNumber", 0),
    plain("eth_call", 2),
    plain("eth_createAccessList", 2),
    plain("eth_estimateGas", 2),
    plain("eth_feeHistory", 3),
    plain("eth_gasPrice", 0),
    plain("eth_getAccount", 2),
    plain("eth_getAccountInfo", 2),
    plain("eth_getBalance", 2),
    plain("eth_getBlockByHash", 2),
    plain("eth_getBlockByNumber", 2),
    plain("eth_getBlockReceipts", 1),
    plain("eth_getBlockTransactionCountByHash", 1),
    plain("eth_getBlockTransactionCountByNumber", 1),
    plain("eth_getCode", 2),
    special("eth_getFilterChanges", 1, ReadKind::Filter),
    special("eth_getFilterLogs", 1, ReadKind::Filter),
    special("eth_getLogs", 1, ReadKind::Logs),
    plain("eth_getProof", 3),
    plain("eth_getStorageAt", 3),
    plain("eth_getTransactionByBlockHashAndIndex", 2),
    plain("eth_getTransactionByBlockNumberAndIndex", 2),
    plain("eth_getTransactionByHash", 1),
    plain("eth_getTransactionReceipt", 1),
    plain("eth_getUncleByBlockHashAndIndex", 2),
    plain("eth_getUncleByBlockNumberAndIndex", 2),
    plain("eth_getUncleCountByBlockHash", 1),
    plain("eth_getUncleCountByBlockNumber", 1),
    plain("eth_maxPriorityFeePerGas", 0),
    special("eth_newBlockFilter", 0, ReadKind::NewFilter),
    special("eth_newFilter", 1, ReadKind::NewFilter),
    plain("eth_protocolVersion", 0),
    plain("eth_syncing", 0),
    special("eth_uninstallFilter", 1, ReadKind::Filter),
    plain("net_listening", 0),
    plain("net_peerCount", 0),
    plain("web3_clientVersion", 0),
    plain("web3_sha3", 1),
];

fn read(name: &str) -> Option<(&'static str, Route)> {
    let read = READS.iter().find(|read| read.method == name)?;
    Some((read.method, Route::Forward(*read)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_exactly_is_refused() {
        for name in [
            "eth_sendtransaction",
            "ETH_SENDTRANSACTION",
            "eth_sendTransaction ",
            " eth_sendTransaction",
            "eth_sendTransaction\0",
            "\u{435}th_sendTransaction",
            "eth_send\u{200b}Transaction",
            "",
            "eth_sendRawTransactionSync",
            "eth_sendRawTransactionConditional",
            "eth_sendTransactionSync",
            "eth_sendUnsignedTransaction",
            "eth_sendPrivateTransaction",
            "eth_sendBundle",
            "eth_sendUserOperation",
            "eth_signRawTransaction",
            "eth_fillTransaction",
            "eth_resend",
            "eth_simulateV1",
            "eth_callMany",
            "eth_coinbase",
            "personal_unlockAccount",
            "eth_signTypedData_v1",
            "eth_signTypedData_v3",
            "eth_newPendingTransactionFilter",
            "eth_pendingTransactions",
            "wallet_sendTransaction",
            "wallet_switchEthereumChain",
            "wallet_addEthereumChain",
            "wallet_grantPermissions",
            "wallet_requestExecutionPermissions",
            "wallet_watchAsset",
            "anvil_nodeInfo",
            "anvil_impersonateAccount",
            "anvil_setBalance",
            "hardhat_setStorageAt",
            "hardhat_reset",
            "evm_mine",
            "evm_snapshot",
            "debug_setHead",
            "debug_traceTransaction",
            "trace_call",
            "admin_addPeer",
            "engine_newPayloadV4",
            "miner_start",
            "txpool_content",
            "clique_propose",
            "les_serverInfo",
            "db_putString",
            "rpc_modules",
        ] {
            assert_eq!(route(name), (UNKNOWN, Route::Refuse), "{name:?}");
        }
    }

    #[test]
    fn a_route_gives_back_the_name_it_was_asked_for() {
        for read in READS {
            assert_eq!(route(read.method), (read.method, Route::Forward(read)));
        }
        assert_eq!(
            route("eth_sendTransaction"),
            ("eth_sendTransaction", Route::Judge(Method::SendTransaction))
        );
        let names: std::collections::BTreeSet<_> = READS.iter().map(|read| read.method).collect();
        assert_eq!(names.len(), READS.len());
    }
}
