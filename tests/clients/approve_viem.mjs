// An approver with viem: looks at what waits, signs the typed data with their own key, approves, and verifies the record as
// anybody could who has it.
import { hashTypedData, recoverTypedDataAddress } from "viem";
import { privateKeyToAccount } from "viem/accounts";

const [admin, token, id, key] = process.argv.slice(2);
const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
const read = async (path) => (await fetch(`${admin}${path}`, { headers })).json();

const pending = await read(`/pending-operations/${id}`);
const asked = pending.signing.ethereum;
// what is served is no more than what can be made from what is shown
const typed = {
  domain: { name: "Countersign", version: "1" },
  types: {
    Approval: [
      { name: "app", type: "string" },
      { name: "operation", type: "string" },
      { name: "digest", type: "bytes32" },
      { name: "decision", type: "string" },
      { name: "expires", type: "uint256" },
    ],
  },
  primaryType: "Approval",
  message: {
    app: "default",
    operation: id,
    digest: pending.digest,
    decision: "approve",
    expires: BigInt(Math.floor(Date.parse(pending.expires_at) / 1000)),
  },
};
if (hashTypedData(asked) !== hashTypedData(typed)) throw new Error(`asked for ${JSON.stringify(asked)}`);

const account = privateKeyToAccount(key);
const signature = await account.signTypedData(typed);
const body = JSON.stringify({ digest: pending.digest, note: "by viem", signature: { ethereum: signature } });
const said = await fetch(`${admin}/pending-operations/${id}/approve`, { method: "POST", headers, body });
const answer = await said.json();
if (said.status !== 200) throw new Error(JSON.stringify(answer));

const trace = await read(`/apps/default/traces/${pending.trace_hash}`);
const entry = trace.approvals.find((entry) => entry.decision === "approved");
const kept = entry.signature.ethereum.signature;
const message = { ...typed.message, operation: entry.operation, digest: entry.digest,
  expires: BigInt(Math.floor(Date.parse(entry.expires_at) / 1000)) };
const signer = await recoverTypedDataAddress({ ...typed, message, signature: kept });
console.log(JSON.stringify({ signer, kept: kept === signature, status: answer.status }));
