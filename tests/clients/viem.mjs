// viem with an account that the node holds, as an agent would use it; with OWN_KEY, with a key of its own.
import { createPublicClient, createWalletClient, defineChain, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";

const [url, from, to, wei] = process.argv.slice(2);
const chain = defineChain({
  id: 31337,
  name: "anvil",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [url] } },
});
const transport = http(url);
const own = process.env.OWN_KEY;
const account = own ? privateKeyToAccount(own) : from;
const wallet = createWalletClient({ account, chain, transport });
const reader = createPublicClient({ chain, transport, pollingInterval: 50 });

try {
  const hash = await wallet.sendTransaction({ to, value: BigInt(wei) });
  await reader.waitForTransactionReceipt({ hash });
  console.log(JSON.stringify({ hash }));
} catch (error) {
  console.log(JSON.stringify({ error: `${error.name}: ${error.message}` }));
}
