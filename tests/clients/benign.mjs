// What honest agents do, each row with viem and its defaults: through the gateway, and it has to happen. A transaction is mined, succeeds, and
// has the row's effect; a signature is the wallet's, and where a contract takes it, somebody else brings it there and it has that effect.
import { readFileSync } from "node:fs";
import {
  createPublicClient,
  createTestClient,
  createWalletClient,
  decodeEventLog,
  defineChain,
  encodeAbiParameters,
  encodeFunctionData,
  encodePacked,
  getAddress,
  getContractAddress,
  http,
  pad,
  parseAbi,
  parseAbiItem,
  parseAbiParameters,
  parseSignature,
  recoverMessageAddress,
  recoverTypedDataAddress,
  toEventSelector,
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

const words = { $self: from, $stranger: stranger, $desk: stranger, $soon: String(Math.floor(Date.now() / 1000) + 3600), ...world.words };
for (const [name, { address }] of Object.entries(world.contracts)) words[`$${name}`] = address;

Object.assign(words, {
  $checksum: getAddress(from),
  $issued: new Date().toISOString(),
  $later: new Date(Date.now() + 3_600_000).toISOString(),
  $salted: `${words.$zero32}${codes.Counter.init.slice(2)}${words.$zero32.slice(2)}`,
  $made: getContractAddress({
    opcode: "CREATE2",
    from: words.$create2,
    salt: words.$zero32,
    bytecode: `${codes.Counter.init}${words.$zero32.slice(2)}`,
  }),
  $word_self: pad(from),
  $word_payee: pad(words.$payee),
  $gas: encodePacked(["uint128", "uint128"], [100_000n, 100_000n]),
  $fees: encodePacked(["uint128", "uint128"], [1n, 10n ** 9n]),
});

const balanceOf = [parseAbiItem("function balanceOf(address) view returns (uint256)")];
const transfer = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
const events = parseAbi(world.events);
const accounts = ["$self", "$payee", "$friend", "$stranger", ...Object.keys(world.contracts).map((name) => `$${name}`)];
const pairs = ["ether", ...world.tokens].flatMap((asset) => accounts.map((account) => [asset, account]));
let before;

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

// Who has how much of what, after everything so far: of each account that has a word, in ether and in each token.
async function holdings() {
  const call = ([asset, account], id) => {
    const data = encodeFunctionData({ abi: balanceOf, args: [words[account]] });
    const ask = asset === "ether" ? ["eth_getBalance", words[account]] : ["eth_call", { to: words[`$${asset}`], data }];
    return { jsonrpc: "2.0", id, method: ask[0], params: [ask[1], "latest"] };
  };
  const headers = { "content-type": "application/json" };
  const reply = await fetch(node, { method: "POST", headers, body: JSON.stringify(pairs.map(call)) });
  const found = await reply.json();
  return new Map(found.map(({ id, result }) => [pairs[id].join(" "), BigInt(result)]));
}

// What changed since the last row, in words: holdings without fees, and what contracts said besides of transfers of tokens.
async function effect(receipts) {
  const now = await holdings();
  const fees = (word) => receipts.filter(({ from: payer }) => same(payer, words[word]));
  const found = receipts.flatMap(({ logs }) => logs.flatMap(told));
  for (const [pair, amount] of now) {
    const [asset, word] = pair.split(" ");
    const paid = asset === "ether" ? fees(word) : [];
    const change = paid.reduce((sum, it) => sum + it.gasUsed * it.effectiveGasPrice, amount - before.get(pair));
    if (change !== 0n) found.push(`${word} ${change > 0n ? "+" : ""}${change} ${asset}`);
  }
  before = now;
  return found.sort();
}

function told({ address, topics, data }) {
  if (topics[0] === transfer && topics.length === 3) return [];
  const name = ([word, at]) => word !== "$checksum" && same(at, address);
  const [word] = Object.entries(words).find(name) ?? [address];
  // the same event may have other indices elsewhere
  for (const event of events.filter((event) => toEventSelector(event) === topics[0])) {
    try {
      const { args } = decodeEventLog({ abi: [event], topics, data, strict: true });
      return [`${word} ${event.name} ${Object.values(args).map(show).join(" ")}`];
    } catch {
      continue;
    }
  }
  return fail(`${word} said what nobody knows: ${topics[0]}`);
}

// A word where there is one; what differs from run to run is not shown.
function show(value) {
  const text = String(value).toLowerCase();
  const [word] = Object.entries(words).find(([word, it]) => word !== "$checksum" && same(it, text)) ?? [];
  return word ?? (text.startsWith("0x") && text.length > 42 ? "…" : text);
}

function same(one, other) {
  return String(one).toLowerCase() === String(other).toLowerCase();
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
  return { to, value, data: row.fn === undefined ? row.data && spell(row.data) : calldata(row) };
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
  const receipts = [];
  for (const { result, error } of await post(rows.map(one))) {
    if (error !== undefined) fail(error.message);
    receipts.push(await mined(result));
  }
  return receipts;
}

// What viem sends as one bundle (EIP-5792).
async function bundle(rows) {
  const { id } = await wallet.sendCalls({ calls: rows.map(transaction) });
  const { status, receipts } = await wallet.waitForCallsStatus({ id, timeout: 20_000, pollingInterval: 20 });
  if (status !== "success") fail(`the bundle ended as ${status}`);
  return Promise.all(receipts.map(({ transactionHash }) => mined(transactionHash)));
}

// The struct types that a message needs: its own, or those that the file has.
function typesOf({ primaryType, types }, known) {
  if (types !== undefined) return types;
  const own = known[primaryType] ?? fail(`no type ${primaryType}`);
  const inner = own.map(({ type }) => type.replace("[]", "")).filter((type) => type in known);
  return Object.assign({ [primaryType]: own }, ...inner.map((type) => typesOf({ primaryType: type }, known)));
}

async function typed(row, known) {
  const data = { ...spell(row.typed), types: typesOf(row.typed, known) };
  const { domain, types, primaryType, message } = data;
  const signature = await wallet.signTypedData({ domain, types, primaryType, message });
  const signer = await recoverTypedDataAddress({ ...data, signature });
  if (signer.toLowerCase() !== from.toLowerCase()) fail(`signed by ${signer}`);
  if (row.used === undefined) return [];
  const { r, s, v } = parseSignature(signature);
  Object.assign(words, { $signature: signature, $r: r, $s: s, $v: String(v) });
  return [await mined(await direct.sendTransaction(transaction(row.used)))];
}

async function text(row) {
  const message = spell(row.text);
  const signature = await wallet.signMessage({ message });
  const signer = await recoverMessageAddress({ message, signature });
  if (signer.toLowerCase() !== from.toLowerCase()) fail(`signed by ${signer}`);
  return [];
}

// That contract's code lies there.
async function lies(address, name) {
  if ((await reader.getCode({ address })) !== codes[name].code) fail(`no ${name} at ${address}`);
}

async function run(row, known) {
  if (row.typed !== undefined) return typed(row, known);
  if (row.text !== undefined) return text(row);
  if (row.batch !== undefined) return batch(row.batch);
  if (row.bundle !== undefined) return bundle(row.bundle);
  const receipt = await mined(await wallet.sendTransaction(transaction(row)));
  if (row.deploy !== undefined) await lies(receipt.contractAddress, row.deploy);
  if (row.makes !== undefined) await lies(spell(row.makes.at), row.makes.code);
  return [receipt];
}

for (const { address, code } of Object.values(world.contracts)) {
  await test.setCode({ address, bytecode: codes[code].code });
}
for (const rich of ["$safe", "$account", "$router2", "$universal"]) {
  await test.setBalance({ address: spell(rich), value: 10n ** 19n });
}
// all in one block: a node that mines at once may hold back what comes while it mines
await test.setAutomine(false);
const hashes = [];
for (const row of world.before) hashes.push(await direct.sendTransaction(transaction(row)));
await test.setAutomine(true);
await test.mine({ blocks: 1 });
for (const hash of hashes) await mined(hash);
before = await holdings();
const failures = [];
const found = {};
let rows = 0;
for (const file of files) {
  const { rows: all, types: known = {} } = read(file);
  for (const row of all) {
    rows += 1;
    try {
      found[row.id] = await effect(await run(row, known));
      const expected = JSON.stringify(row.effect ?? []);
      if (JSON.stringify(found[row.id]) !== expected) fail(`has another effect: ${JSON.stringify(found[row.id])}`);
    } catch (error) {
      failures.push(`${row.id} ${row.title}: ${error.details ?? error.message}`);
      before = await holdings();
    }
  }
}
console.log(JSON.stringify({ rows, failures }));
