// An approver with ethers: signs the typed data that the gateway serves, as wallets do.
import { Wallet, verifyTypedData } from "ethers";

const [admin, token, id, key] = process.argv.slice(2);
const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };

const pending = await (await fetch(`${admin}/pending-operations/${id}`, { headers })).json();
const { domain, types, message } = pending.signing.ethereum;
const { EIP712Domain, ...own } = types;
const signature = await new Wallet(key).signTypedData(domain, own, message);
const body = JSON.stringify({ digest: pending.digest, signature: { ethereum: signature } });
const said = await fetch(`${admin}/pending-operations/${id}/approve`, { method: "POST", headers, body });
const answer = await said.json();
if (said.status !== 200) throw new Error(JSON.stringify(answer));
const kept = answer.votes.at(-1).signature.ethereum.signature;
const signer = verifyTypedData(domain, own, message, kept);
console.log(JSON.stringify({ signer, kept: kept === signature, status: answer.status }));
