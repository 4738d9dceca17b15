// Verifies a document of evidence with the console's own code, as a page of it does.
//   verify_console.mjs FILE [GATEWAY:NUMBER:0xHASH ...]
import { readFileSync } from "node:fs";
import { anchor, verify } from "../../crates/server/src/console/evidence_check.js";

const CHUNK = 1000;
const [file, ...anchors] = process.argv.slice(2);
const bytes = readFileSync(file);
let at = 0;
const next = async () => {
  if (at >= bytes.length) return null;
  at += CHUNK;
  return bytes.subarray(at - CHUNK, at);
};

try {
  const { chains, entries } = await verify(next, anchors.map(anchor));
  for (const { gateway, head } of chains) console.log(`${gateway}:${head.sequence}:${head.hash}`);
  console.log(JSON.stringify(entries));
} catch (error) {
  console.error(`${file}: ${error.message}`);
  process.exitCode = error.name === "Error" ? 1 : 2;
}
