// ethers v6 over WebSocket, as an agent would use it that waits for what happens on the chain.
import { WebSocketProvider, verifyMessage } from "ethers";

const [url, from, to, wei, contract] = process.argv.slice(2);
const provider = new WebSocketProvider(url);

/** A head, and a log of the contract; and who has signed, as ethers reads the signature. */
async function hear() {
  const head = new Promise((heard) => provider.once("block", heard));
  const log = new Promise((heard) => provider.once({ address: contract }, heard));
  const signer = await provider.getSigner(from);
  const signature = await signer.signMessage("hello");
  return { head: await head, log: (await log).topics[0], signer: verifyMessage("hello", signature) };
}

try {
  const heard = contract ? await hear() : {};
  const signer = await provider.getSigner(from);
  const response = await signer.sendTransaction({ to, value: BigInt(wei) });
  await response.wait();
  console.log(JSON.stringify({ hash: response.hash, ...heard }));
} catch (error) {
  console.log(JSON.stringify({ error: `${error.code}: ${error.message}` }));
} finally {
  await provider.destroy();
}
