// What the official TypeScript SDK sees of an MCP server over streamable HTTP, as one JSON object.
//
//     node client.js --mode auto|default [--watch] [--bearer TOKEN] --url URL
//
// Standard input, report and `--watch` are those of ../python/client.py. Mode `auto` asks for the
// newest revision that both sides know; `default` is what an application gets that sets nothing.

import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';

import { Client, ProtocolError, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const CONNECT_MS = 30_000;
const CHANGE_MS = 120_000;
const MODES = {
  auto: { versionNegotiation: { mode: 'auto' } },
  default: {},
};

/** A promise that others settle, and that fails when they have not after `milliseconds`. */
function expected(what, milliseconds) {
  const { promise, resolve, reject } = Promise.withResolvers();
  // Not awaited yet when it fails: whoever awaits it hears of it.
  promise.catch(() => {});
  return {
    resolve,
    async wait() {
      const timer = setTimeout(() => reject(new Error(`${what}: not within ${milliseconds} ms`)), milliseconds);
      return promise.finally(() => clearTimeout(timer));
    },
  };
}

function plain({ _meta, ...rest }) {
  return rest;
}

async function listTools(client) {
  const { tools } = await client.listTools();
  return tools.map(plain);
}

async function call(client, { tool, arguments: args, progress }, heard) {
  const options = progress ? { onprogress: ({ message }) => heard.push(message) } : {};
  try {
    return { result: plain(await client.callTool({ name: tool, arguments: args }, options)) };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { error: { code: error.code, message: error.message } };
  }
}

async function run({ url, mode, watch, bearer }, calls) {
  const listening = expected('the stream for list changes', CONNECT_MS);
  const changed = expected('a list change', CHANGE_MS);
  const client = new Client(
    { name: 'mcphub-client-tests', version: '1.0.0' },
    {
      ...MODES[mode],
      listChanged: { tools: { onChanged: (error, tools) => changed.resolve({ error, tools }) } },
    },
  );
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers: bearer ? { Authorization: `Bearer ${bearer}` } : {} },
    // A server of the handshake era announces changes on the stream that answers this GET.
    fetch: async (input, init) => {
      const response = await fetch(input, init);
      if (init?.method === 'GET' && response.ok) listening.resolve();
      return response;
    },
  });
  await client.connect(transport, { timeout: CONNECT_MS });
  try {
    const report = {
      protocolVersion: client.getNegotiatedProtocolVersion(),
      tools: await listTools(client),
      calls: [],
      progress: [],
    };
    for (const one of calls) report.calls.push(await call(client, one, report.progress));
    if (watch) {
      if (!client.getServerCapabilities()?.tools?.listChanged) {
        throw new Error('the server does not announce changes of its tools');
      }
      // In the modern era `connect` has subscribed already, and holds what the server acknowledged.
      if (!client.autoOpenedSubscription?.honoredFilter.toolsListChanged) await listening.wait();
      console.log('READY');
      const { error, tools } = await changed.wait();
      if (error) throw error;
      report.toolsAfter = tools.map(plain);
    }
    return report;
  } finally {
    await client.close();
  }
}

const { values: options } = parseArgs({
  options: {
    url: { type: 'string' },
    mode: { type: 'string' },
    watch: { type: 'boolean', default: false },
    bearer: { type: 'string' },
  },
});
if (!options.url || !Object.hasOwn(MODES, options.mode)) {
  throw new Error('usage: node client.js --mode auto|default [--watch] [--bearer TOKEN] --url URL');
}
console.log(JSON.stringify(await run(options, JSON.parse(await text(process.stdin)))));
