import { answerGraphql } from "./graphql.ts";
import { mutationRoot, queryRoot, storedFile } from "./projects.ts";
import { type MockServer, json, noContent, problem, strings } from "./server.ts";
import type { World } from "./model.ts";
import { exampleWorld } from "./world.ts";

interface Account {
  name: string;
  username: string;
  email: string;
  admin: boolean;
  password: string;
}

interface StoredKey {
  id: string;
  name: string;
  description: string;
  createdAt: string;
  lastUsedAt: string | null;
}

export interface ApplicationState {
  accounts: Account[];
  /** Username of who is signed in. */
  signedIn: string | null;
  keys: StoredKey[];
  host: string;
  version: string;
  banners?: Record<string, unknown>;
  /** People can sign in at an identity provider. */
  sso?: boolean;
  /** Token of the one open invitation. */
  invitation?: string;
  /** Wrong passwords in a row; the sixth is told to wait. */
  failures: number;
  /** Projects and all that they hold. */
  world: World;
}

const minute = 60_000;
const ago = (minutes: number) => new Date(Date.now() - minutes * minute).toISOString();

/** An instance with one administrator, signed in. */
export function settledApplication(): ApplicationState {
  return {
    accounts: [{ name: "Ada Lovelace", username: "ada", email: "ada@example.com", admin: true, password: "difference engine" }],
    signedIn: "ada",
    keys: [
      { id: "key-1", name: "9f31c2", description: "Laptop", createdAt: ago(41 * 1440), lastUsedAt: ago(12) },
      { id: "key-2", name: "b07de4", description: "Training cluster", createdAt: ago(6 * 1440), lastUsedAt: null },
    ],
    host: "https://wandb.example.com",
    version: "0.75.2",
    failures: 0,
    world: exampleWorld(),
  };
}

/** An instance that nobody has used yet. */
export function freshApplication(): ApplicationState {
  return { ...settledApplication(), accounts: [], signedIn: null, keys: [], world: { now: Date.now, projects: [] } };
}

export function applicationMock(state: ApplicationState = settledApplication()): MockServer {
  return { handle: (request) => handle(state, request) };
}

async function handle(state: ApplicationState, request: Request): Promise<Response | undefined> {
  const { pathname } = new URL(request.url);
  if (pathname === "/graphql") return graphql(state, request);
  if (pathname.startsWith("/storage/")) return stored(state, pathname);
  if (!pathname.startsWith("/api/")) return undefined;
  switch (`${request.method} ${pathname}`) {
    case "GET /api/session":
      return json(session(state));
    case "POST /api/setup":
      return setUp(state, await strings(request, "name", "username", "email", "password"));
    case "POST /api/invitation":
      return accept(state, await strings(request, "token", "name", "username", "password"));
    case "POST /api/session":
      return signIn(state, await strings(request, "login", "password"));
    case "DELETE /api/session":
      state.signedIn = null;
      return noContent();
  }
  if (!state.signedIn) return problem(401, { error: "You are not signed in." });
  switch (`${request.method} ${pathname}`) {
    case "GET /api/keys":
      return json(state.keys);
    case "POST /api/keys":
      return createKey(state, await strings(request, "description"));
  }
  if (request.method === "DELETE" && pathname.startsWith("/api/keys/")) {
    const id = decodeURIComponent(pathname.slice("/api/keys/".length));
    if (!state.keys.some((key) => key.id === id)) return problem(404, { error: "There is no such key." });
    state.keys = state.keys.filter((key) => key.id !== id);
    return noContent();
  }
  return problem(404, { error: "There is no such address." });
}

function graphql(state: ApplicationState, request: Request): Promise<Response> | Response {
  if (!state.signedIn) return json({ errors: [{ message: "invalid API key" }] }, 401);
  return answerGraphql(request, { query: queryRoot(state.world, state.signedIn), mutation: mutationRoot(state.world) });
}

function stored({ world }: ApplicationState, pathname: string): Response {
  const file = storedFile(world, pathname);
  if (!file) return problem(404, { error: "There is no such file." });
  const headers = { "Content-Type": file.mimetype, "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:" };
  return new Response(file.body as BodyInit, { headers });
}

function session(state: ApplicationState) {
  const account = state.accounts.find(({ username }) => username === state.signedIn);
  return {
    user: account ? publicly(account) : null,
    setup: state.accounts.length === 0,
    version: state.version,
    host: state.host,
    banners: state.banners,
    sso: state.sso ?? false,
  };
}

function publicly({ name, username, email, admin }: Account) {
  return { name, username, email, admin };
}

function setUp(state: ApplicationState, given: { name: string; username: string; email: string; password: string }): Response {
  if (state.accounts.length > 0) {
    return problem(409, { error: "An administrator exists already.", hint: "Sign in, or ask an administrator for an account." });
  }
  if (given.username === "root") {
    return problem(422, { error: "This username is reserved.", field: "username", hint: "Choose another one." });
  }
  state.accounts.push({ ...given, admin: true });
  state.signedIn = given.username;
  return json({ user: publicly({ ...given, admin: true }) }, 201);
}

function accept(state: ApplicationState, given: { token: string; name: string; username: string; password: string }): Response {
  if (given.token !== state.invitation) {
    return problem(404, { error: "There is no such thing.", hint: "Ask for a new one." });
  }
  const { name, username, password } = given;
  const account = { name, username, password, email: "invited@example.com", admin: false };
  state.accounts.push(account);
  state.signedIn = username;
  return json({ user: publicly(account) }, 201);
}

function signIn(state: ApplicationState, { login, password }: { login: string; password: string }): Response {
  if (state.failures >= 5) {
    return problem(429, { error: "Too many attempts to sign in." }, { "Retry-After": "30" });
  }
  const account = state.accounts.find((a) => [a.username, a.email].includes(login) && a.password === password);
  if (!account) {
    state.failures++;
    return problem(401, { error: "Username, email or password is wrong.", hint: "Check both and try again." });
  }
  state.failures = 0;
  state.signedIn = account.username;
  return json({ user: publicly(account) });
}

function createKey(state: ApplicationState, { description }: { description: string }): Response {
  const key = [...crypto.getRandomValues(new Uint8Array(20))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const stored = { id: `key-${key.slice(0, 8)}`, name: key.slice(0, 6), description, createdAt: ago(0), lastUsedAt: null };
  state.keys.push(stored);
  return json({ id: stored.id, name: stored.name, key }, 201);
}
