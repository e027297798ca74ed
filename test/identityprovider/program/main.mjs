// An OpenID Connect provider, for tests. Its clients and users come as JSON on standard input; it prints its
// issuer and its address as JSON and serves until standard input ends. The page to sign in at is the library's own: any password is right.
import { createServer } from "node:http";
import { once } from "node:events";
import { generateKeyPair, exportJWK, SignJWT } from "jose";
import Provider from "oidc-provider";

const lines = process.stdin[Symbol.asyncIterator]();
const config = JSON.parse((await lines.next()).value.toString());

const { privateKey } = await generateKeyPair("RS256", { extractable: true });
const key = { ...(await exportJWK(privateKey)), kid: "tests", alg: "RS256", use: "sig" };

const server = createServer();
server.listen(0, config.bind);
await once(server, "listening");
const address = `${config.bind}:${server.address().port}`;
const issuer = config.issuer || `http://${address}`;

const provider = new Provider(issuer, {
  clients: config.clients,
  jwks: { keys: [key] },
  pkce: { required: () => true, methods: ["S256"] },
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "preferred_username"] },
  conformIdTokenClaims: config.claimsFromUserInfo,
  cookies: { keys: ["for tests only"] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...config.users[id] }) }),
});
const answer = provider.callback();
// Where the issuer is not this address, something stands before it and tells how people came.
provider.proxy = Boolean(config.issuer);

// Beside the provider, /mint signs whatever claims it is sent: tokens of other programs, and such as none would have.
async function collect(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
}

server.on("request", (request, response) => {
  if (request.url !== "/mint") {
    // The library's pages want a font of another site, for which a browser would wait.
    response.setHeader("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'");
    return answer(request, response);
  }
  collect(request)
    .then((text) => JSON.parse(text))
    .then((claims) => new SignJWT(claims).setProtectedHeader({ alg: "RS256", kid: "tests" }).sign(privateKey))
    .then((token) => response.end(token))
    .catch((error) => response.writeHead(500).end(String(error)));
});

console.log(JSON.stringify({ issuer, address }));
await lines.next();
process.exit(0);
