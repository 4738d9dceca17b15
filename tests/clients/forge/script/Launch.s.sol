// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {Counter} from "../src/Counter.sol";

interface Cheats {
    function startBroadcast() external;
    function stopBroadcast() external;
}

/// What forge-std's `Script` gives a script, as far as it is needed here.
abstract contract Script {
    bool public constant IS_SCRIPT = true;
    Cheats internal constant vm = Cheats(address(uint160(uint256(keccak256("hevm cheat code")))));
}

/// A deployment, and two calls of what was deployed.
contract Launch is Script {
    function run() external {
        vm.startBroadcast();
        Counter counter = new Counter(7);
        counter.add(5);
        counter.add(30);
        vm.stopBroadcast();
    }
}

/// A deployment, and a call that no rule of the policy allows.
contract Undo is Script {
    function run() external {
        vm.startBroadcast();
        new Counter(7).reset();
        vm.stopBroadcast();
    }
}
