// An MCP server made with the official TypeScript SDK, with sessions, as its examples have them.
//
// Reads one JSON line from standard input, serves, and says where in one JSON line on standard output, {"issuer": URL}.
// It starts in the directory of node_modules, and ends with its standard input.
//
//   port    where it serves
//   issuer  whose tokens it takes
//   jwks    where that one's keys are

import { randomUUID } from 'node:crypto';
import http from 'node:http';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(`${process.cwd()}/`);
const { McpServer } = require('@modelcontextprotocol/sdk/server/mcp.js');
const { StreamableHTTPServerTransport } = require('@modelcontextprotocol/sdk/server/streamableHttp.js');
const { isInitializeRequest } = require('@modelcontextprotocol/sdk/types.js');
const { z } = require('zod');
const { createRemoteJWKSet, jwtVerify } = require('jose');

const { port, issuer, jwks } = JSON.parse(await given());
const origin = `http://127.0.0.1:${port}`;
const resource = `${origin}/mcp`;
const metadata = `${origin}/.well-known/oauth-protected-resource/mcp`;
const keys = createRemoteJWKSet(new URL(jwks));
const counted = new Map();
let sessions = new Map();

function makeServer() {
  const server = new McpServer({ name: 'typescript', version: '1' });
  server.registerTool('count', { inputSchema: { name: z.string() } }, ({ name }) => {
    counted.set(name, (counted.get(name) ?? 0) + 1);
    return said(counted.get(name));
  });
  server.registerTool('forget', {}, () => {
    sessions = new Map();
    return said('forgotten');
  });
  server.registerTool('ask', {}, async () => said((await server.server.listRoots()).roots[0].uri));
  return server;
}

const said = (text) => ({ content: [{ type: 'text', text: String(text) }] });

async function admits(request) {
  const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  try {
    await jwtVerify(token ?? '', keys, { issuer, audience: resource });
    return true;
  } catch {
    return false;
  }
}

function answer(response, status, body, headers = {}) {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body));
}

async function serve(request, response) {
  if (request.url === '/.well-known/oauth-protected-resource/mcp') {
    return answer(response, 200, { resource, authorization_servers: [issuer] });
  }
  if (!(await admits(request))) {
    const challenge = `Bearer resource_metadata="${metadata}", scope="mcp:read"`;
    return answer(response, 401, { error: 'invalid_token' }, { 'WWW-Authenticate': challenge });
  }
  const body = request.method === 'POST' ? JSON.parse(await whole(request)) : undefined;
  const named = sessions.get(request.headers['mcp-session-id']);
  if (named) {
    return await named.handleRequest(request, response, body);
  }
  if (request.headers['mcp-session-id'] || !isInitializeRequest(body)) {
    const error = { code: -32000, message: 'Bad Request: No valid session ID provided' };
    return answer(response, 400, { jsonrpc: '2.0', error, id: null });
  }
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => sessions.set(id, transport),
  });
  await makeServer().connect(transport);
  await transport.handleRequest(request, response, body);
}

async function whole(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

async function given() {
  const lines = createInterface({ input: process.stdin });
  lines.on('close', () => process.exit());
  return (await lines[Symbol.asyncIterator]().next()).value;
}

http.createServer(serve).listen(port, '127.0.0.1', () => console.log(JSON.stringify({ issuer: resource })));
