// ethers signs with an account that the node holds, and says who has signed as it reads the signature itself.
import { JsonRpcProvider, verifyMessage, verifyTypedData } from "ethers";
import { typedData } from "./typed_data.mjs";

const [url, from] = process.argv.slice(2);
const provider = new JsonRpcProvider(url);
const signer = await provider.getSigner(from);
const signers = {};

signers.hello = verifyMessage("hello", await signer.signMessage("hello"));
signers.legacy = verifyMessage("hello again", await signer._legacySignMessage("hello again"));
for (const [name, { domain, types, message }] of typedData(from)) {
  const { EIP712Domain, ...own } = types;
  signers[name] = verifyTypedData(domain, own, message, await signer.signTypedData(domain, own, message));
}
console.log(JSON.stringify(signers));
provider.destroy();
