// An approver with a passkey.
//   make                              prints a credential for the configuration, and its private key
//   approve ADMIN TOKEN ID KEY [WORD] approves; WORD is what the authenticator does wrong, or the count that it says
import { createPublicKey, verify } from "node:crypto";
import { get, make, sha256 } from "./authenticator.mjs";

// what an auditor does with the record alone
function holds({ passkey: { public_key, assertion } }, digest) {
  const bytes = (text) => Buffer.from(text, "base64url");
  const key = createPublicKey({ key: bytes(public_key), type: "spki", format: "der" });
  const signed = Buffer.concat([bytes(assertion.authenticatorData), sha256(bytes(assertion.clientDataJSON))]);
  const said = JSON.parse(bytes(assertion.clientDataJSON));
  const same = said.challenge === Buffer.from(digest.slice(2), "hex").toString("base64url");
  return same && verify(key.asymmetricKeyType === "ed25519" ? null : "sha256", signed, key, bytes(assertion.signature));
}

const [verb, ...rest] = process.argv.slice(2);
if (verb === "make") {
  console.log(JSON.stringify(make(rest[0])));
} else {
  const [admin, token, id, given, word = "0"] = rest;
  const credential = JSON.parse(given);
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const pending = await (await fetch(`${admin}/pending-operations/${id}`, { headers })).json();
  const asked = pending.signing.passkey;
  const origin = word === "origin" ? "https://evil.example" : new URL(admin).origin.replace("127.0.0.1", "localhost");
  const wrong = {
    flags: { flags: 0x01 },
    absent: { flags: 0x04 },
    ceremony: { type: "webauthn.create" },
  };
  const party = word === "party" ? { ...asked, rpId: "evil.example" } : asked;
  const challenged = word === "challenge" ? { ...party, challenge: sha256("other").toString("base64url") } : party;
  const passkey = get(challenged, origin, credential, wrong[word] ?? { count: Number(word) || 0 });
  const body = JSON.stringify({ digest: pending.digest, signature: { passkey } });
  const said = await fetch(`${admin}/pending-operations/${id}/approve`, { method: "POST", headers, body });
  const answer = await said.json();
  const kept = answer.votes?.at(-1)?.signature;
  console.log(JSON.stringify({
    http: said.status,
    code: answer.code ?? null,
    detail: answer.detail ?? null,
    listed: asked.allowCredentials.some((known) => known.id === credential.id),
    holds: kept ? holds(kept, pending.digest) : null,
  }));
}
