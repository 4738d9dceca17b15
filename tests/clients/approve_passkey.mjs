// An approver with a passkey: an authenticator in software (W3C WebAuthn 3) with keys of node's own, as a browser would use it.
//   make                              prints a credential for the configuration, and its private key
//   approve ADMIN TOKEN ID KEY [WORD] approves; WORD is what the authenticator does wrong, or the count that it says
import { createHash, createPrivateKey, generateKeyPairSync, sign, verify, createPublicKey } from "node:crypto";

const sha256 = (bytes) => createHash("sha256").update(bytes).digest();

function make(kind) {
  const pair = kind === "ed25519" ? generateKeyPairSync("ed25519") : generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    id: sha256(pair.publicKey.export({ type: "spki", format: "der" })).toString("base64url"),
    public_key: pair.publicKey.export({ type: "spki", format: "der" }).toString("base64url"),
    private_key: pair.privateKey.export({ type: "pkcs8", format: "der" }).toString("base64url"),
  };
}

// navigator.credentials.get(): what the browser says, what the authenticator says, and the signature over both
function get({ challenge, rpId }, origin, credential, { count = 0, flags = 0x05, type = "webauthn.get" } = {}) {
  const clientDataJSON = Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false }));
  const counted = Buffer.alloc(4);
  counted.writeUInt32BE(count);
  const authenticatorData = Buffer.concat([sha256(rpId), Buffer.from([flags]), counted]);
  const key = createPrivateKey({ key: Buffer.from(credential.private_key, "base64url"), type: "pkcs8", format: "der" });
  const signed = Buffer.concat([authenticatorData, sha256(clientDataJSON)]);
  const signature = sign(key.asymmetricKeyType === "ed25519" ? null : "sha256", signed, key);
  const text = (bytes) => bytes.toString("base64url");
  return {
    id: credential.id,
    rawId: credential.id,
    type: "public-key",
    authenticatorAttachment: "platform",
    clientExtensionResults: {},
    response: {
      clientDataJSON: text(clientDataJSON),
      authenticatorData: text(authenticatorData),
      signature: text(signature),
      userHandle: null,
    },
  };
}

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
