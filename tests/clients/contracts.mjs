// Compiles the contracts of the honest rows. Without arguments it prints what `tests/vectors/benign/contracts.json` has to hold: of each
// contract the code that lies at an address, and of what is deployed its init code.
import { readFileSync } from "node:fs";
import solc from "solc";

const source = readFileSync(new URL("../vectors/benign/contracts.sol", import.meta.url), "utf8");
const input = {
  language: "Solidity",
  sources: { "benign.sol": { content: source } },
  settings: {
    optimizer: { enabled: true, runs: 200 },
    viaIR: true,
    evmVersion: "cancun",
    metadata: { bytecodeHash: "none", appendCBOR: false },
    outputSelection: { "*": { "*": ["evm.bytecode.object", "evm.deployedBytecode.object"] } },
  },
};
const { errors = [], contracts } = JSON.parse(solc.compile(JSON.stringify(input)));
const wrong = errors.filter((error) => error.severity === "error");
if (wrong.length > 0) {
  console.error(wrong.map((error) => error.formattedMessage).join("\n"));
  process.exit(1);
}
const codes = Object.entries(contracts["benign.sol"]).map(([name, { evm }]) => {
  const { bytecode, deployedBytecode } = evm;
  return [name, { init: `0x${bytecode.object}`, code: `0x${deployedBytecode.object}` }];
});
console.log(JSON.stringify(Object.fromEntries(codes), null, 1));
