// Compiles the contracts of the honest rows. Without arguments it prints what `tests/vectors/benign/contracts.json` has to hold: of each
// contract the code that lies at an address, and of what is deployed its init code.
import { readFileSync } from "node:fs";
import solc from "solc";

const files = ["contracts.sol", "signed.sol"];
// what rows and tests deploy; of everything else only the code that lies somewhere
const deployed = ["Counter", "Erc20", "Items1155", "Items721", "Pool"];
const content = (file) => readFileSync(new URL(`../vectors/benign/${file}`, import.meta.url), "utf8");
const input = {
  language: "Solidity",
  sources: Object.fromEntries(files.map((file) => [file, { content: content(file) }])),
  settings: {
    optimizer: { enabled: true, runs: 200 },
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
const compiled = files.flatMap((file) => Object.entries(contracts[file]));
const codes = compiled.map(([name, { evm }]) => {
  const init = deployed.includes(name) ? { init: `0x${evm.bytecode.object}` } : {};
  return [name, { ...init, code: `0x${evm.deployedBytecode.object}` }];
});
console.log(JSON.stringify(Object.fromEntries(codes), null, 1));
