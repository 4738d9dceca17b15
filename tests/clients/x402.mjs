// An agent that pays for what it reads (x402): the real client, with an account that the gateway holds, and a seller that lets the
// real facilitator verify each payment and bring it to the token.
//
//     node x402.mjs URL NODE FROM SELLER TOKEN METHOD PRICE..
//
// METHOD is `eip3009` or `permit2`, by which the scheme `exact` moves the token, or `upto`: the price is then the most, and the seller takes half.
// Says of each price what the client shows: what it got for it and the transaction that paid the seller, or why it got nothing.
import { once } from "node:events";
import { createServer } from "node:http";
import { ExactEvmScheme, toFacilitatorEvmSigner } from "@x402/evm";
import { ExactEvmScheme as Facilitator } from "@x402/evm/exact/facilitator";
import { UptoEvmScheme } from "@x402/evm/upto/client";
import { UptoEvmScheme as UptoFacilitator } from "@x402/evm/upto/facilitator";
import { decodePaymentResponseHeader, wrapFetchWithPaymentFromConfig } from "@x402/fetch";
import { createWalletClient, defineChain, http, publicActions } from "viem";

const [url, node, from, seller, token, method, ...prices] = process.argv.slice(2);
const chain = defineChain({
  id: 31337,
  name: "anvil",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [url] } },
});
const network = `eip155:${chain.id}`;

// The seller's side knows the node, and nothing of the gateway.
const relayer = createWalletClient({ account: seller, chain, transport: http(node), pollingInterval: 20 });
const relayed = toFacilitatorEvmSigner({ ...relayer.extend(publicActions), address: seller });
const upTo = method === "upto";
const facilitator = upTo ? new UptoFacilitator(relayed) : new Facilitator(relayed);

function requirements(amount) {
  const how = upTo ? facilitator.getExtra(network) : { assetTransferMethod: method };
  const extra = { name: "USD Coin", version: "2", ...how };
  const scheme = upTo ? "upto" : "exact";
  return { scheme, network, amount, asset: token, payTo: seller, maxTimeoutSeconds: 60, extra };
}

// What the seller takes in the end.
function taken(asked) {
  return upTo ? { ...asked, amount: String(BigInt(asked.amount) / 2n) } : asked;
}

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64");
const decode = (text) => JSON.parse(Buffer.from(text, "base64").toString("utf8"));

async function sell(request, reply) {
  const asked = requirements(new URL(request.url, "http://seller").searchParams.get("price"));
  const paid = request.headers["payment-signature"];
  if (paid === undefined) {
    const resource = { url: `http://${request.headers.host}${request.url}`, description: "a secret", mimeType: "text/plain" };
    const required = { x402Version: 2, error: "payment required", resource, accepts: [asked] };
    reply.writeHead(402, { "payment-required": encode(required) }).end("{}");
    return;
  }
  const payment = decode(paid);
  const verified = await facilitator.verify(payment, asked);
  const settled = verified.isValid ? await facilitator.settle(payment, taken(asked)) : { success: false, ...verified };
  reply.writeHead(settled.success ? 200 : 402, { "payment-response": encode(settled) });
  reply.end(settled.success ? "the secret" : JSON.stringify(settled));
}

const server = createServer((request, reply) => {
  sell(request, reply).catch((error) => reply.writeHead(500).end(String(error)));
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const shop = `http://127.0.0.1:${server.address().port}`;

const wallet = createWalletClient({ account: from, chain, transport: http(url) });
const signer = { address: from, signTypedData: (message) => wallet.signTypedData(message) };
const pay = wrapFetchWithPaymentFromConfig(fetch, {
  schemes: [{ network, client: upTo ? new UptoEvmScheme(signer) : new ExactEvmScheme(signer) }],
  // the client has limits of its own; here the gateway has to be the one that says no
  spendControls: false,
});
const said = [];
for (const price of prices) {
  try {
    const reply = await pay(`${shop}/secret?price=${price}`);
    const body = await reply.text();
    const header = reply.headers.get("payment-response");
    const { success, transaction } = header === null ? {} : decodePaymentResponseHeader(header);
    said.push({ status: reply.status, body, success, hash: transaction });
  } catch (error) {
    said.push({ error: `${error.name}: ${error.message}` });
  }
}
server.close();
console.log(JSON.stringify(said));
