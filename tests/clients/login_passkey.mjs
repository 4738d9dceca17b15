// Somebody at the operators' door with a passkey and no token: the right way in, and everything that must be none.
//   login_passkey.mjs ADMIN CREDENTIAL OTHER DIGEST
// CREDENTIAL is bob's, OTHER is nobody's, DIGEST is that of an approval. Prints what each row was answered; every row
// comes from an address of its own, because whoever fails too often waits.
import { request } from "node:http";
import { get, sha256 } from "./authenticator.mjs";

const [admin, credential, other, digest] = process.argv.slice(2);
const [bob, nobody] = [credential, other].map((text) => JSON.parse(text));
const forged = { ...nobody, id: bob.id };
const home = new URL(admin).origin.replace("127.0.0.1", "localhost");

function ask(from, method, path, body, cookie) {
  const headers = { "content-type": "application/json", ...(cookie ? { cookie } : {}) };
  return new Promise((resolve, reject) => {
    const sent = request(`${admin}${path}`, { method, headers, localAddress: from }, (answer) => {
      let text = "";
      answer.on("data", (part) => { text += part; });
      answer.on("end", () => resolve({ http: answer.statusCode, text, cookie: answer.headers["set-cookie"]?.[0] }));
    });
    sent.on("error", reject);
    sent.end(body && JSON.stringify(body));
  });
}

async function challenge(from) {
  return JSON.parse((await ask(from, "POST", "/session/challenge", {})).text);
}

let address = 1;
function elsewhere() {
  address += 1;
  return `127.0.0.${address}`;
}

async function comes({ as = bob, origin = home, change = (asked) => asked, say, from = elsewhere() }) {
  const asked = change(await challenge(from));
  const passkey = get(asked, origin, as, say);
  return { passkey, from, ...await ask(from, "POST", "/session", { passkey }) };
}

const code = ({ http, text }) => ({ http, code: http === 201 ? "in" : JSON.parse(text).code });
const rows = {};
const row = async (name, how) => { rows[name] = code(await comes(how)); };
const bent = (asked) => ({ ...asked, challenge: (asked.challenge[0] === "A" ? "B" : "A") + asked.challenge.slice(1) });

const asked = await challenge("127.0.0.1");
const first = await comes({ say: { count: 7 } });
rows.first = code(first);
const who = JSON.parse((await ask("127.0.0.1", "GET", "/session", null, first.cookie?.split(";")[0])).text);
rows.replayed = code(await ask(elsewhere(), "POST", "/session", { passkey: first.passkey }));
await row("the same count", { say: { count: 7 } });
await row("a lower count", { say: { count: 6 } });
await row("no count any more", { say: { count: 0 } });
await row("another origin", { origin: "https://evil.example", say: { count: 8 } });
await row("another port", { origin: "http://localhost:1", say: { count: 8 } });
await row("another party", { change: (it) => ({ ...it, rpId: "evil.example" }), say: { count: 8 } });
await row("not verified", { say: { flags: 0x01, count: 8 } });
await row("not present", { say: { flags: 0x04, count: 8 } });
await row("another ceremony", { say: { type: "webauthn.create", count: 8 } });
await row("an own challenge", { change: (it) => ({ ...it, challenge: sha256("mine").toString("base64url") }), say: { count: 8 } });
await row("a bent challenge", { change: bent, say: { count: 8 } });
await row("an approval's digest", { change: (it) => ({ ...it, challenge: Buffer.from(digest.slice(2), "hex").toString("base64url") }), say: { count: 8 } });
await row("no challenge", { change: (it) => ({ ...it, challenge: "" }), say: { count: 8 } });
// whoever has no passkey of ours learns nothing by what is answered
const strangers = [await comes({ as: nobody }), await comes({ as: forged, say: { count: 8 } })];
[rows.unknown, rows.forged] = strangers.map(code);
await row("unknown, another origin", { as: nobody, origin: "https://evil.example" });
await row("unknown, not verified", { as: nobody, say: { flags: 0x01 } });

// one challenge, two at once: one of them comes in
const from = elsewhere();
const passkey = get(await challenge(from), home, bob, { count: 9 });
const both = await Promise.all([1, 2].map(() => ask(from, "POST", "/session", { passkey })));
const malformed = [];
for (const body of [{}, { passkey: {} }, { passkey: null }, { token: "x", passkey }, { passkey: { ...passkey, rawId: "AA" } }, { passkey: { ...passkey, more: 1 } }]) {
  malformed.push((await ask(elsewhere(), "POST", "/session", body)).http);
}

// whoever fails too often waits, with a good passkey too, and is asked nothing any more
const impatient = elsewhere();
const failed = [];
for (let n = 0; n < 10; n += 1) failed.push((await comes({ as: nobody, from: impatient })).http);
const late = get(asked, home, bob, { count: 10 });
const waits = [await ask(impatient, "POST", "/session", { passkey: late }), await ask(impatient, "POST", "/session/challenge", {})].map(code);
rows["that challenge from elsewhere"] = code(await ask(elsewhere(), "POST", "/session", { passkey: late }));

console.log(JSON.stringify({
  asked: { ...asked, challenge: Buffer.from(asked.challenge, "base64url").length },
  who, rows, malformed, failed, waits,
  told_alike: strangers[0].text === strangers[1].text,
  both: both.map(({ http }) => http).sort(),
}));
