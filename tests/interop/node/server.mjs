// oidc-provider, a certified authorization server, on loopback and a port of the system's choosing.
//
// Reads one JSON line from standard input, serves, and says where in one JSON line on standard output. It starts in the
// directory of node_modules, and ends with its standard input, so that it does not outlive whoever started it.
//
//   path       the issuer's path, such as "/tenants/acme"; "" for an issuer at the root
//   strict     whether the FAPI 2.0 security profile holds: an assertion's `aud` is the issuer, as one string
//   clients    client metadata (RFC 7591)
//   jwks       the server's own private keys
//   resources  the resource indicators (RFC 8707) it knows, each with its scopes

import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

console.info = console.error; // standard output is for the one line

const require = createRequire(`${process.cwd()}/`);
const { Provider, errors } = require('oidc-provider');

const { path, strict, clients, jwks, resources } = JSON.parse(await given());

function given() {
  const input = createInterface({ input: process.stdin });
  input.on('close', () => process.exit());
  return new Promise((resolve) => input.once('line', resolve));
}

function getResourceServerInfo(_context, resource) {
  if (!(resource in resources)) throw new errors.InvalidTarget('unknown resource');
  return { scope: resources[resource], audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: 300 };
}

const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}${path}`;

const provider = new Provider(issuer, {
  clients,
  jwks,
  scopes: ['mcp:read', 'mcp:write'],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    fapi: strict ? { enabled: true, profile: '2.0' } : { enabled: false },
    resourceIndicators: { enabled: true, getResourceServerInfo },
  },
  ttl: { ClientCredentials: 300 },
});
const reason = (event) => (_context, error) =>
  console.error(event, error.message, error.error_description, error.error_detail, error.cause);
for (const event of ['grant.error', 'server_error']) provider.on(event, reason(event));

const answer = provider.callback();
server.on('request', (request, response) => {
  if (!request.url.startsWith(`${path}/`)) return response.writeHead(404).end();
  request.originalUrl = request.url;
  request.url = request.url.slice(path.length);
  return answer(request, response);
});

console.log(JSON.stringify({ issuer }));
