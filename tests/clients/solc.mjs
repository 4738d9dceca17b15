#!/usr/bin/env node
// The Solidity compiler of npm behind the two arguments that forge calls a native one with: `forge --use solc.mjs`.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const load = createRequire(import.meta.url);
if (process.argv.includes("--version")) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${load("solc/package.json").version}`);
} else if (process.argv.includes("--standard-json")) {
  process.stdout.write(load("solc").compile(readFileSync(0, "utf8")));
} else {
  console.error("only --version and --standard-json");
  process.exitCode = 1;
}
