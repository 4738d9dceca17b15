// ethers v6 with an account that the node holds, as an agent would use it.
import { JsonRpcProvider } from "ethers";

const [url, from, to, wei] = process.argv.slice(2);
const provider = new JsonRpcProvider(url);
provider.pollingInterval = 50;

try {
  const signer = await provider.getSigner(from);
  const response = await signer.sendTransaction({ to, value: BigInt(wei) });
  await response.wait();
  console.log(JSON.stringify({ hash: response.hash }));
} catch (error) {
  console.log(JSON.stringify({ error: `${error.code}: ${error.message}` }));
} finally {
  provider.destroy();
}
