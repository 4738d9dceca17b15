// viem signs with an account that the node holds, and says who has signed as it reads the signature itself.
import { createWalletClient, defineChain, http, recoverMessageAddress, recoverTypedDataAddress } from "viem";
import { typedData } from "./typed_data.mjs";

const [url, from] = process.argv.slice(2);
const chain = defineChain({
  id: 31337,
  name: "anvil",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [url] } },
});
const wallet = createWalletClient({ account: from, chain, transport: http(url) });
const signers = {};

for (const message of ["hello", { raw: "0x68656c6c6f20c3a9" }]) {
  const signature = await wallet.signMessage({ message });
  signers[JSON.stringify(message)] = await recoverMessageAddress({ message, signature });
}
for (const [name, data] of typedData(from)) {
  const signature = await wallet.signTypedData(data);
  signers[name] = await recoverTypedDataAddress({ ...data, signature });
}
console.log(JSON.stringify(signers));
