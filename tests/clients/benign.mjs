// What honest agents do, each row with viem and its defaults: through the gateway, and it has to happen. A transaction is mined and
// succeeds; a signature is the wallet's, and where a contract takes it, somebody else brings it there and it works.
import { readFileSync } from "node:fs";
import {
  createPublicClient,
  createTestClient,
  createWalletClient,
  defineChain,
  encodeAbiParameters,
  encodeFunctionData,
  encodePacked,
  getAddress,
  http,
  pad,
  parseAbiItem,
  parseAbiParameters,
  parseSignature,
  recoverMessageAddress,
  recoverTypedDataAddress,
} from "viem";

const [url, node, from, stranger, ...files] = process.argv.slice(2);
const folder = new URL("../vectors/benign/", import.meta.url);
const read = (name) => JSON.parse(readFileSync(new URL(name, folder), "utf8"));
const chain = defineChain({
  id: 31337,
  name: "anvil",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [url] } },
});
const wallet = createWalletClient({ account: from, chain, transport: http(url) });
const reader = createPublicClient({ chain, transport: http(node), pollingInterval: 20 });
const direct = createWalletClient({ account: stranger, chain, transport: http(node) });
const test = createTestClient({ chain, mode: "anvil", transport: http(node) });
const codes = read("contracts.json");
const world = read("world.json");

const words = { $self: from, $stranger: stranger, $soon: String(Math.floor(Date.now() / 1000) + 3600), ...world.words };
for (const [name, { address }] of Object.entries(world.contracts)) words[`$${name}`] = address;

Object.assign(words, {
  $checksum: getAddress(from),
  $issued: new Date().toISOString(),
  $later: new Date(Date.now() + 3_600_000).toISOString(),
  $word_self: pad(from),
  $word_payee: pad(words.$payee),
  $gas: encodePacked(["uint128", "uint128"], [100_000n, 100_000n]),
  $fees: encodePacked(["uint128", "uint128"], [1n, 10n ** 9n]),
});

// A word stands for what it names, `{fn, args}` for calldata, `{types, inputs}` for arguments alone, `{packed, values}` for values side by
// side.
function spell(value) {
  if (Array.isArray(value)) return value.map(spell);
  if (value !== null && typeof value === "object") {
    if (value.fn !== undefined) return calldata(value);
    if (value.types !== undefined && value.inputs !== undefined) {
      return encodeAbiParameters(parseAbiParameters(value.types), spell(value.inputs));
    }
    if (value.packed !== undefined) return encodePacked(value.packed, spell(value.values));
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, spell(inner)]));
  }
  if (typeof value !== "string") return value;
  return value.replaceAll(/\$[a-z_0-9]+/g, (word) => words[word] ?? fail(`no word ${word}`));
}

function fail(text) {
  throw new Error(text);
}

function calldata({ fn, args = [] }) {
  const item = parseAbiItem(`function ${fn}`);
  return encodeFunctionData({ abi: [item], args: spell(args) });
}

function transaction(row) {
  const to = row.to === undefined ? undefined : spell(row.to);
  const value = row.value === undefined ? undefined : BigInt(row.value);
  if (row.deploy !== undefined) {
    return { data: codes[row.deploy].init + spell(row.arguments ?? ""), value };
  }
  return { to, value, data: row.fn === undefined ? row.data : calldata(row) };
}

async function mined(hash) {
  const receipt = await reader.waitForTransactionReceipt({ hash, timeout: 20_000 });
  if (receipt.status !== "success") fail(`reverted: ${hash}`);
  return receipt;
}

async function post(body) {
  const { username, password, origin } = new URL(url);
  const authorization = `Basic ${btoa(`${username}:${password}`)}`;
  const headers = { "content-type": "application/json", authorization };
  const reply = await fetch(origin, { method: "POST", headers, body: JSON.stringify(body) });
  return reply.json();
}

// What ethers sends: several calls in one array.
async function batch(rows) {
  const quantity = (value) => (value === undefined ? undefined : `0x${BigInt(value).toString(16)}`);
  const one = (row, id) => {
    const { value, ...rest } = transaction(row);
    const params = [{ from, ...rest, value: quantity(value) }];
    return { jsonrpc: "2.0", id, method: "eth_sendTransaction", params };
  };
  for (const { result, error } of await post(rows.map(one))) {
    if (error !== undefined) fail(error.message);
    await mined(result);
  }
}

async function typed(row) {
  const data = spell(row.typed);
  const { domain, types, primaryType, message } = data;
  const signature = await wallet.signTypedData({ domain, types, primaryType, message });
  const signer = await recoverTypedDataAddress({ ...data, signature });
  if (signer.toLowerCase() !== from.toLowerCase()) fail(`signed by ${signer}`);
  if (row.used === undefined) return;
  const { r, s, v } = parseSignature(signature);
  Object.assign(words, { $signature: signature, $r: r, $s: s, $v: String(v) });
  await mined(await direct.sendTransaction({ to: spell(row.used.to), data: calldata(row.used) }));
}

async function text(row) {
  const message = spell(row.text);
  const signature = await wallet.signMessage({ message });
  const signer = await recoverMessageAddress({ message, signature });
  if (signer.toLowerCase() !== from.toLowerCase()) fail(`signed by ${signer}`);
}

async function run(row) {
  if (row.typed !== undefined) return typed(row);
  if (row.text !== undefined) return text(row);
  if (row.batch !== undefined) return batch(row.batch);
  const receipt = await mined(await wallet.sendTransaction(transaction(row)));
  if (row.deploy !== undefined && !receipt.contractAddress) fail("nothing was deployed");
}

for (const { address, code } of Object.values(world.contracts)) {
  await test.setCode({ address, bytecode: codes[code].code });
}
await test.setBalance({ address: spell("$safe"), value: 10n ** 19n });
await test.setBalance({ address: spell("$account"), value: 10n ** 19n });
for (const row of world.before) {
  await mined(await direct.sendTransaction(transaction(row)));
}
const failures = [];
let rows = 0;
for (const file of files) {
  for (const row of read(file).rows) {
    rows += 1;
    try {
      await run(row);
    } catch (error) {
      failures.push(`${row.id} ${row.title}: ${error.details ?? error.message}`);
    }
  }
}
console.log(JSON.stringify({ rows, failures }));
