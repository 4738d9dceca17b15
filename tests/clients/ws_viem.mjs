// viem over WebSocket, as an agent would use it that waits for what happens on the chain.
import { createPublicClient, createWalletClient, defineChain, recoverMessageAddress, webSocket } from "viem";

const [url, from, to, wei, contract] = process.argv.slice(2);
const chain = defineChain({
  id: 31337,
  name: "anvil",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [url] } },
});
const transport = webSocket(url);
const wallet = createWalletClient({ account: from, chain, transport });
const reader = createPublicClient({ chain, transport });

/** A head, and a log of the contract; and who has signed, as viem reads the signature. */
async function hear() {
  const head = new Promise((onBlockNumber, onError) => reader.watchBlockNumber({ onBlockNumber, onError }));
  const logs = new Promise((onLogs, onError) => reader.watchEvent({ address: contract, onLogs, onError }));
  const [[log], number] = [await logs, await head];
  const signature = await wallet.signMessage({ message: "hello" });
  const signer = await recoverMessageAddress({ message: "hello", signature });
  return { head: Number(number), log: log.topics[0], signer };
}

try {
  const heard = contract ? await hear() : {};
  const hash = await wallet.sendTransaction({ to, value: BigInt(wei) });
  await reader.waitForTransactionReceipt({ hash });
  console.log(JSON.stringify({ hash, ...heard }));
} catch (error) {
  console.log(JSON.stringify({ error: `${error.name}: ${error.message}` }));
}
process.exit();
