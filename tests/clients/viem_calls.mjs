// viem's EIP-5792 actions with an account that the node holds, as an agent would use them.
import { deepEqual } from "node:assert/strict";

import { createWalletClient, defineChain, http } from "viem";

const [url, from, to, wei] = process.argv.slice(2);
const chain = defineChain({
  id: 31337,
  name: "anvil",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [url] } },
});
const wallet = createWalletClient({ account: from, chain, transport: http(url) });

try {
  const capabilities = await wallet.getCapabilities({ chainId: chain.id });
  const half = BigInt(wei) / 2n;
  const { id } = await wallet.sendCalls({
    calls: [
      { to, value: half },
      { to, value: BigInt(wei) - half },
    ],
  });
  const seen = await wallet.getCallsStatus({ id });
  const ended = await wallet.waitForCallsStatus({ id, pollingInterval: 50 });
  const hashes = ended.receipts.map((receipt) => receipt.transactionHash);
  deepEqual(
    [capabilities.atomic.status, seen.id, ended.status, ended.statusCode, ended.atomic],
    ["unsupported", id, "success", 200, false],
  );
  deepEqual(ended.receipts.map(({ status }) => status), ["success", "success"]);
  console.log(JSON.stringify({ hash: hashes.at(-1) }));
} catch (error) {
  console.log(JSON.stringify({ error: `${error.name}: ${error.message}` }));
}
