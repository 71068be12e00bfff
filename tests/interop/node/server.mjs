// oidc-provider, a certified authorization server, on loopback and a port of the system's choosing.
//
// Reads one JSON line from standard input, serves, and says where in one JSON line on standard output. It starts in the
// directory of node_modules, and ends with its standard input, so that it does not outlive whoever started it.
//
//   path       the issuer's path, such as "/tenants/acme"; "" for an issuer at the root
//   strict     whether the FAPI 2.0 security profile holds: an assertion's `aud` is the issuer, as one string
//   people     whether people sign in, at oidc-provider's own pages, which take any name: clients may then register
//              themselves, refresh tokens rotate (the second use of one ends all that came of it) and can be revoked
//   proofs     whether tokens can be bound to a key (RFC 9449), with the server's nonce in each proof
//   tls        { cert, key, ca } in PEM: it serves https, and has aliases at a second port, where clients show
//              certificates (RFC 8705)
//   clients    client metadata (RFC 7591); also "token_life_s", how long an access token of the client's lives, and
//              "answer_takes_s", how long it is on its way
//   jwks       the server's own private keys
//   resources  the resource indicators (RFC 8707) it knows, each with its scopes

import { randomBytes } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';

console.info = console.warn = console.error; // standard output is for the one line

const require = createRequire(`${process.cwd()}/`);
const { Provider, errors } = require('oidc-provider');

const { path = '', strict = false, people = false, proofs = false, tls, clients, jwks, resources } = JSON.parse(await given());

function given() {
  const input = createInterface({ input: process.stdin });
  input.on('close', () => process.exit());
  return new Promise((resolve) => input.once('line', resolve));
}

async function listening(server) {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `${tls ? 'https' : 'http'}://127.0.0.1:${server.address().port}`;
}

function getResourceServerInfo(_context, resource, client) {
  if (!(resource in resources)) throw new errors.InvalidTarget('unknown resource');
  const life = client.token_life_s ?? 300;
  return { scope: resources[resource], audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: life };
}

const servers = [tls ? https.createServer(tls) : http.createServer()];
const issuer = `${await listening(servers[0])}${path}`;

const discovery = {};
if (tls) {
  servers.push(https.createServer({ ...tls, requestCert: true, rejectUnauthorized: false }));
  const alias = `${await listening(servers[1])}${path}`;
  discovery.mtls_endpoint_aliases = { token_endpoint: `${alias}/token`, revocation_endpoint: `${alias}/token/revocation` };
}
const shown = (context) => context.socket.getPeerX509Certificate?.();

const provider = new Provider(issuer, {
  clients,
  jwks,
  discovery,
  scopes: ['mcp:read', 'mcp:write', ...(people ? ['openid', 'offline_access'] : [])],
  clientAuthMethods: [
    'none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt',
    ...(tls ? ['tls_client_auth', 'self_signed_tls_client_auth'] : []),
  ],
  cookies: { keys: [randomBytes(32).toString('hex')] },
  extraClientMetadata: { properties: ['token_life_s', 'answer_takes_s'] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: people },
    dPoP: { enabled: proofs, nonceSecret: randomBytes(32), requireNonce: () => true },
    fapi: strict ? { enabled: true, profile: '2.0' } : { enabled: false },
    mTLS: tls ? {
      enabled: true,
      certificateBoundAccessTokens: true,
      tlsClientAuth: true,
      selfSignedTlsClientAuth: true,
      getCertificate: shown,
      certificateAuthorized: (context) => context.socket.authorized,
      certificateSubjectMatches: (context, _property, expected) => shown(context).subject === expected,
    } : { enabled: false },
    registration: { enabled: people },
    resourceIndicators: { enabled: true, getResourceServerInfo },
    revocation: { enabled: people },
  },
  rotateRefreshToken: true,
});
provider.use(async (context, next) => {
  await next();
  if (context.oidc?.route === 'token') await setTimeout(1000 * (context.oidc.client?.answer_takes_s ?? 0));
});
const reason = (event) => (_context, error) =>
  console.error(event, error.message, error.error_description, error.error_detail, error.cause);
for (const event of ['authorization.error', 'grant.error', 'registration_create.error', 'revocation.error', 'server_error']) {
  provider.on(event, reason(event));
}

const answer = provider.callback();
for (const server of servers) {
  server.on('request', (request, response) => {
    if (!request.url.startsWith(`${path}/`)) return response.writeHead(404).end();
    request.originalUrl = request.url;
    request.url = request.url.slice(path.length);
    return answer(request, response);
  });
}

console.log(JSON.stringify({ issuer }));
