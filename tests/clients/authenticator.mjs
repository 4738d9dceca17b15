// An authenticator in software (W3C WebAuthn 3) with keys of node's own, as a browser would use it.
import { createHash, createPrivateKey, generateKeyPairSync, sign } from "node:crypto";

export const sha256 = (bytes) => createHash("sha256").update(bytes).digest();

/** A credential: what the configuration has of it, and its private key. */
export function make(kind) {
  const pair = kind === "ed25519" ? generateKeyPairSync("ed25519") : generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    id: sha256(pair.publicKey.export({ type: "spki", format: "der" })).toString("base64url"),
    public_key: pair.publicKey.export({ type: "spki", format: "der" }).toString("base64url"),
    private_key: pair.privateKey.export({ type: "pkcs8", format: "der" }).toString("base64url"),
  };
}

// navigator.credentials.get(): what the browser says, what the authenticator says, and the signature over both
export function get({ challenge, rpId }, origin, credential, { count = 0, flags = 0x05, type = "webauthn.get" } = {}) {
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
