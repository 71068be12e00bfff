// An MCP server made with the official TypeScript SDK, on loopback, that takes tokens of one authorization server.
//
// It is started in the directory of node_modules, given one JSON line, { issuer, jwks_uri, fd }, and says where it is in
// one JSON line, { url }. It serves on the socket that it is given as file descriptor `fd`, so that its URL can be known
// before it runs. It ends with its standard input, so that it does not outlive whoever started it.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

console.info = console.warn = console.error; // standard output is for the one line

const require = createRequire(`${process.cwd()}/`);
const express = require('express');
const { createRemoteJWKSet, jwtVerify } = require('jose');
const { McpServer } = require('@modelcontextprotocol/sdk/server/mcp.js');
const { StreamableHTTPServerTransport } = require('@modelcontextprotocol/sdk/server/streamableHttp.js');
const { z } = require('zod');

const { issuer, jwks_uri, fd } = JSON.parse(await given());
const keys = createRemoteJWKSet(new URL(jwks_uri));

function given() {
  const input = createInterface({ input: process.stdin });
  input.on('close', () => process.exit());
  return new Promise((resolve) => input.once('line', resolve));
}

const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=';

function tools() {
  const server = new McpServer({ name: 'a TypeScript server', version: '1.0.0' });
  server.registerTool(
    'add',
    { description: 'Adds two numbers.', inputSchema: { a: z.number(), b: z.number() } },
    async ({ a, b }) => ({ content: [{ type: 'text', text: `${a + b}` }] }),
  );
  server.registerTool('picture', { description: 'Draws something.', inputSchema: {} }, async () => ({
    content: [
      { type: 'text', text: 'one pixel' },
      { type: 'image', data: pixel, mimeType: 'image/png' },
      { type: 'resource_link', name: 'more', uri: 'https://example.com/more' },
    ],
  }));
  server.registerTool('fail', { description: 'Fails.', inputSchema: {} }, async () => {
    throw new Error('no luck today');
  });
  server.registerTool('steps', { description: 'Goes step by step.', inputSchema: {} }, async (_, extra) => {
    const progressToken = extra._meta?.progressToken;
    for (const step of [1, 2, 3]) {
      const params = { progressToken, progress: step, total: 3, message: `step ${step}` };
      await extra.sendNotification({ method: 'notifications/progress', params });
    }
    return { content: [{ type: 'text', text: 'done' }] };
  });
  return server;
}

const app = express();
app.use(express.json());
app.get('/.well-known/oauth-protected-resource/mcp', (_, response) =>
  response.json({ resource: url, authorization_servers: [issuer] }),
);
app.all('/mcp', async (request, response) => {
  const [, token] = /^Bearer (.+)$/.exec(request.headers.authorization ?? '') ?? [];
  try {
    await jwtVerify(token ?? '', keys, { issuer, audience: url });
  } catch {
    const metadata = new URL('/.well-known/oauth-protected-resource/mcp', url);
    return response.status(401).set('WWW-Authenticate', `Bearer resource_metadata="${metadata}"`).end();
  }
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  response.on('close', () => transport.close());
  await tools().connect(transport);
  await transport.handleRequest(request, response, request.body);
});

const listener = app.listen({ fd });
await new Promise((resolve) => listener.once('listening', resolve));
const url = `http://127.0.0.1:${listener.address().port}/mcp`;
console.log(JSON.stringify({ url }));
