// The official TypeScript client, in both its lines, as a caller of the loopback endpoint.
//
// Reads one JSON line from standard input, has a conversation, and tells of it in one JSON line on standard output. It
// starts in the directory of node_modules.
//
//   url    of the endpoint
//   key    that it wants
//   line   "v1" (@modelcontextprotocol/sdk) or "v2" (@modelcontextprotocol/client)
//   calls  how many calls it makes at once, of the tool "count", each with a name of its own

import { createRequire } from 'node:module';
import { text } from 'node:stream/consumers';

const require = createRequire(`${process.cwd()}/`);
const { url, key, line, calls } = JSON.parse(await text(process.stdin));

const requestInit = { headers: { Authorization: `Bearer ${key}` } };
const about = { name: 'caller', version: '1' };
let client, transport;
const reported = [];
const onprogress = ({ progress }) => reported.push(progress);
const call = {};

if (line === 'v1') {
  const { Client } = require('@modelcontextprotocol/sdk/client/index.js');
  const { StreamableHTTPClientTransport } = require('@modelcontextprotocol/sdk/client/streamableHttp.js');
  client = new Client(about);
  transport = new StreamableHTTPClientTransport(new URL(url), { requestInit });
  call.tool = (name, args, options) => client.callTool({ name, arguments: args }, undefined, options);
} else {
  const { Client, StreamableHTTPClientTransport } = require('@modelcontextprotocol/client');
  client = new Client(about, { versionNegotiation: { mode: 'auto' } });
  transport = new StreamableHTTPClientTransport(new URL(url), { requestInit });
  call.tool = (name, args, options) => client.callTool({ name, arguments: args }, options);
}

await client.connect(transport);
const { tools } = await client.listTools();
const names = [...Array(calls).keys()].map((number) => `${line} ${number}`);
const counted = await Promise.all(names.map((name) => call.tool('count', { name })));
await call.tool('steps', { number: 3 }, { onprogress });

const hangUp = new AbortController();
const waiting = call.tool('wait', { name: line }, { signal: hangUp.signal }).catch((error) => String(error));
await call.tool('until', { name: `${line} begun` });
hangUp.abort('enough');
await waiting;
await call.tool('until', { name: `${line} ended` });
await transport.terminateSession?.();
await client.close();

console.log(
  JSON.stringify({
    version: client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion,
    tools: tools.map((tool) => tool.name),
    counted: counted.map((result) => result.content[0].text),
    reported,
  }),
);
