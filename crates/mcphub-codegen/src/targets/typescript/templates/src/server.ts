/** The MCP server: it lists and calls the tools of `tools/`. */

import { McpServer, ProtocolError, ProtocolErrorCode } from "@modelcontextprotocol/server";

import { INSTRUCTIONS, NAME, TITLE, VERSION } from "./about.ts";
import type { Api } from "./api.ts";
import { TOOLS } from "./tools/index.ts";

const BY_NAME = new Map(TOOLS.map((tool) => [tool.name, tool]));
const LISTED = TOOLS.map((tool) => tool.definition);

/** A server for one connection or one HTTP request, whose tools call this API. */
export function createServer(api: Api): McpServer {
  const mcp = new McpServer(
    { name: NAME, title: TITLE, version: VERSION },
    {
      capabilities: { tools: {} },
      instructions: INSTRUCTIONS,
      // The tools stay the same as long as the process lives, and are the same for everybody.
      cacheHints: { "tools/list": { ttlMs: 60_000, cacheScope: "public" } },
    },
  );
  // Not `registerTool`: schemas go to clients as they are, and problems are told in words (`problems.ts`).
  const { server } = mcp;
  server.setRequestHandler("tools/list", () => ({ tools: LISTED }));
  server.setRequestHandler("tools/call", async ({ params }, { mcpReq }) => {
    const tool = BY_NAME.get(params.name);
    if (!tool) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown tool: ${params.name.slice(0, 128)}`);
    const progressToken = params._meta?.progressToken;
    let progress = 0;
    const tell = (message: string): Promise<void> => {
      progress += 1;
      const told = { progressToken, progress, message };
      return mcpReq.notify({ method: "notifications/progress", params: told });
    };
    const called = progressToken === undefined ? api : api.telling(tell);
    return (await tool.run(called, params.arguments ?? {})).toMcp();
  });
  return mcp;
}
