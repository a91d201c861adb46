#!/usr/bin/env node
/** The program: reads options and environment, and serves until told to stop. */

import { parseArgs } from "node:util";

import { NAME, VERSION } from "./about.ts";
import { Api } from "./api.ts";
import { createServer } from "./server.ts";
import { serveHttp, serveStdio } from "./serving.ts";
import { SettingsError, portFrom, settingsFrom, transportFrom, type Settings } from "./settings.ts";

const USAGE = `An MCP server. Options come before the environment variables that README.md lists.

  --transport stdio|http  default: MCP_TRANSPORT, or stdio
  --host HOST             where HTTP listens; default: MCP_HOST, or 127.0.0.1
  --port PORT             where HTTP listens; default: MCP_PORT, or 8000
  --version
  --help`;

function main(): void {
  const { values } = parseArgs({
    options: {
      transport: { type: "string" },
      host: { type: "string" },
      port: { type: "string" },
      version: { type: "boolean" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help || values.version) {
    console.log(values.help ? USAGE : VERSION);
    return;
  }
  const settings: Settings = settingsFrom(process.env);
  if (values.transport !== undefined) settings.transport = transportFrom(values.transport);
  if (values.host !== undefined) settings.host = values.host;
  if (values.port !== undefined) settings.port = portFrom(values.port);
  const api = new Api(settings);
  if (settings.transport === "http") serveHttp(() => createServer(api), settings);
  else serveStdio(() => createServer(api));
}

try {
  main();
} catch (error) {
  if (!(error instanceof SettingsError) && !(error instanceof TypeError)) throw error;
  console.error(`${NAME}: ${error.message}`);
  process.exitCode = 1;
}
