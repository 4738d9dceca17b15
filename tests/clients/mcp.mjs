// The official client of the Model Context Protocol at `countersign mcp`.
//
//     node mcp.mjs stdio PROGRAM RPC PAYEE STRANGER ID     (COUNTERSIGN_TOKEN in the environment)
//     node mcp.mjs http URL TOKEN PAYEE STRANGER ID
//
// Says in one line of JSON what it saw.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [kind, where, second, payee, stranger, id] = process.argv.slice(2);

const transport =
  kind === "stdio"
    ? new StdioClientTransport({
        command: where,
        args: ["mcp"],
        env: { COUNTERSIGN_RPC: second, COUNTERSIGN_TOKEN: process.env.COUNTERSIGN_TOKEN },
      })
    : new StreamableHTTPClientTransport(new URL(where), {
        requestInit: second === "-" ? {} : { headers: { authorization: `Bearer ${second}` } },
      });

const usd = (n) => `0x${(BigInt(n) * 10n ** 15n).toString(16)}`;
const seen = {};
try {
  const client = new Client({ name: "test", version: "1.0.0" });
  await client.connect(transport);
  seen.server = client.getServerVersion();
  seen.instructions = client.getInstructions();
  seen.protocol = transport.protocolVersion ?? null;
  await client.ping();
  const { tools } = await client.listTools();
  seen.tools = tools.map((tool) => tool.name);
  seen.readOnly = tools.every((tool) => tool.annotations.readOnlyHint && tool.outputSchema && tool.inputSchema);
  // the client itself holds structured content against the output's schema, and throws
  const call = (name, args = {}) => client.callTool({ name, arguments: args });
  seen.budget = (await call("countersign_budget")).structuredContent;
  const request = (to, n) => ({ request: { to, value: usd(n) } });
  seen.allow = (await call("countersign_simulate", request(payee, 1))).structuredContent.outcome;
  seen.park = (await call("countersign_simulate", request(payee, 200))).structuredContent.outcome;
  seen.deny = (await call("countersign_simulate", request(stranger, 1))).structuredContent.outcome;
  const why = await call("countersign_explain", request(stranger, 1));
  seen.why = { words: why.content[0].text, ...why.structuredContent };
  seen.wrong = await call("countersign_explain", { request: { to: "0x12", value: "0x1" } });
  seen.operation = (await call("countersign_operation", { id })).structuredContent;
  const both = await Promise.all([
    call("countersign_wait", { id, timeout_seconds: 1 }),
    call("countersign_budget"),
  ]);
  seen.waited = both[0].structuredContent;
  seen.invalid = await call("countersign_operation", { id: "op_1" });
  seen.unknown = await client
    .callTool({ name: "countersign_send", arguments: {} })
    .catch((error) => ({ code: error.code }));
  await client.close();
} catch (error) {
  seen.error = `${error}`;
}
console.log(JSON.stringify(seen));
