//! Calls that hand over control of a contract: the one list of them.
//!
//! A selector is enough to be on it, whatever the arguments and wherever the call goes: what such a call
//! would do at a contract that nobody knows is not worth finding out.

use std::{collections::BTreeSet, sync::LazyLock};

use countersign_core::abi::{AbiFunction, Selector};

/// Functions that hand over control, by what they hand over.
const FUNCTIONS: &[&str] = &[
    // ownership
    "transferOwnership(address newOwner)",
    "transferOwnership(address newOwner,bool direct,bool renounce)",
    "renounceOwnership()",
    "acceptOwnership()",
    "claimOwnership()",
    "setOwner(address owner)",
    "setPendingOwner(address owner)",
    "nominateNewOwner(address owner)",
    "requestOwnershipHandover()",
    "completeOwnershipHandover(address pendingOwner)",
    "setAdmin(address admin)",
    "setPendingAdmin(address admin)",
    "acceptAdmin()",
    "_setPendingAdmin(address admin)",
    "_acceptAdmin()",
    "setGovernance(address governance)",
    "setGovernor(address governor)",
    "setAuthority(address authority)",
    "updateAuthority(address target,address authority)",
    // upgrades
    "upgradeTo(address implementation)",
    "upgradeToAndCall(address implementation,bytes data)",
    "upgrade(address proxy,address implementation)",
    "upgradeAndCall(address proxy,address implementation,bytes data)",
    "changeAdmin(address admin)",
    "changeProxyAdmin(address proxy,address admin)",
    "setImplementation(address implementation)",
    "_setImplementation(address implementation)",
    "changeMasterCopy(address masterCopy)",
    "diamondCut((address facet,uint8 action,bytes4[] selectors)[] cuts,address init,bytes data)",
    // roles
    "grantRole(bytes32 role,address account)",
    "revokeRole(bytes32 role,address account)",
    "renounceRole(bytes32 role,address account)",
    "setRoleAdmin(bytes32 role,bytes32 admin)",
    "grantRoles(address user,uint256 roles)",
    "revokeRoles(address user,uint256 roles)",
    "renounceRoles(uint256 roles)",
    "grantRole(uint64 role,address account,uint32 delay)",
    "revokeRole(uint64 role,address account)",
    "renounceRole(uint64 role,address account)",
    "setRoleAdmin(uint64 role,uint64 admin)",
    "setRoleGuardian(uint64 role,uint64 guardian)",
    "setTargetFunctionRole(address target,bytes4[] selectors,uint64 role)",
    "setTargetAdminDelay(address target,uint32 delay)",
    "setTargetClosed(address target,bool closed)",
    "beginDefaultAdminTransfer(address admin)",
    "acceptDefaultAdminTransfer()",
    "changeDefaultAdminDelay(uint48 delay)",
    "setUserRole(address user,uint8 role,bool enabled)",
    "setRoleCapability(uint8 role,address target,bytes4 selector,bool enabled)",
    "rely(address account)",
    "deny(address account)",
    "hope(address account)",
    "nope(address account)",
    // Safes
    "setup(address[] owners,uint256 threshold,address to,bytes data,address fallbackHandler,address paymentToken,uint256 payment,address paymentReceiver)",
    "enableModule(address module)",
    "disableModule(address prevModule,address module)",
    "setGuard(address guard)",
    "setModuleGuard(address guard)",
    "setFallbackHandler(address handler)",
    "addOwnerWithThreshold(address owner,uint256 threshold)",
    "removeOwner(address prevOwner,address owner,uint256 threshold)",
    "swapOwner(address prevOwner,address oldOwner,address newOwner)",
    "changeThreshold(uint256 threshold)",
    "approveHash(bytes32 hash)",
    "signMessage(bytes data)",
    // smart accounts, session keys
    "installModule(uint256 kind,address module,bytes initData)",
    "uninstallModule(uint256 kind,address module,bytes deInitData)",
    "installPlugin(address plugin,bytes32 manifestHash,bytes initData,bytes21[] dependencies)",
    "uninstallPlugin(address plugin,bytes config,bytes uninstallData)",
    "addOwner(address owner)",
    "removeOwner(address owner)",
    "addOwnerAddress(address owner)",
    "addOwnerPublicKey(bytes32 x,bytes32 y)",
    "removeOwnerAtIndex(uint256 index,bytes owner)",
    "removeLastOwner(uint256 index,bytes owner)",
    "updateEntryPoint(address entryPoint)",
    "setEntryPoint(address entryPoint)",
    "changeRootValidator(bytes21 rootValidator,address hook,bytes validatorData,bytes hookData)",
    "enableSessionKey(address key)",
    "addSessionKey(address key,bytes data)",
    "revokeSessionKey(address key)",
    "setDelegate(address delegate)",
    "setAuthorization(address authorized,bool isAuthorized)",
    // names
    "setOwner(bytes32 node,address owner)",
    "setResolver(bytes32 node,address resolver)",
    "setSubnodeOwner(bytes32 node,bytes32 label,address owner)",
    // stopping, minting, forbidding
    "pause()",
    "unpause()",
    "setPaused(bool paused)",
    "addMinter(address minter)",
    "removeMinter(address minter)",
    "setMinter(address minter)",
    "configureMinter(address minter,uint256 allowance)",
    "updateMasterMinter(address minter)",
    "updatePauser(address pauser)",
    "updateBlacklister(address blacklister)",
    "updateRescuer(address rescuer)",
    "blacklist(address account)",
    "unBlacklist(address account)",
    "addBlackList(address account)",
    "removeBlackList(address account)",
    "freeze(address account)",
    "unfreeze(address account)",
];

static SELECTORS: LazyLock<BTreeSet<Selector>> = LazyLock::new(|| {
    let parsed = FUNCTIONS.iter().filter_map(|signature| AbiFunction::parse(signature).ok());
    parsed.map(|function| function.selector()).collect()
});

/// Whether a call with this selector hands over control.
pub(crate) fn is_privileged(selector: Selector) -> bool {
    SELECTORS.contains(&selector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_function_of_its_own() {
        assert_eq!(SELECTORS.len(), FUNCTIONS.len());
    }

    /// The selectors that agents' field policies ask about.
    #[test]
    fn the_list_has_what_field_policies_know() {
        for selector in [
            "f2fde38b", "715018a6", "3659cfe6", "4f1ef286", "2f2ff15d", "8f283970", "704b6c02",
            "13af4035", "610b5925", "e19a9dd9", "e318b52b", "694e80c3", "f08a0323", "1f931c1c",
        ] {
            assert!(is_privileged(selector.parse().unwrap()), "{selector}");
        }
    }
}
