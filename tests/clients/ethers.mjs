// ethers v6 with an account that the node holds, as an agent would use it; with OWN_KEY, with a key of its own.
import { JsonRpcProvider, Wallet } from "ethers";

const [url, from, to, wei] = process.argv.slice(2);
const provider = new JsonRpcProvider(url);
provider.pollingInterval = 50;

try {
  const own = process.env.OWN_KEY;
  const signer = own ? new Wallet(own, provider) : await provider.getSigner(from);
  const response = await signer.sendTransaction({ to, value: BigInt(wei) });
  await response.wait();
  console.log(JSON.stringify({ hash: response.hash }));
} catch (error) {
  console.log(JSON.stringify({ error: `${error.code}: ${error.message}` }));
} finally {
  provider.destroy();
}
