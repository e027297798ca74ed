import { type MockServer, json, noContent, problem, strings } from "./server.ts";
import { type Overview, readyOverview, stalledOverview, upgradingOverview } from "./overview.ts";

export interface ConsoleState {
  user: { name: string; method: "password" | "application" } | null;
  password: string;
  overview: Overview;
  userLayer: string;
  version: number;
  active: string;
  shadowed: { path: string; by: "resource" }[];
  failures: number;
  banners?: Record<string, unknown>;
  /** The streams that are open; each takes a document. */
  watchers: Set<(overview: Overview) => void>;
}

export function consoleState(): ConsoleState {
  return {
    user: { name: "ada@example.com", method: "application" },
    password: "correct horse",
    overview: readyOverview(),
    userLayer: ["values:", "  global:", "    extraEnv:", "      GORILLA_ARTIFACT_GC: \"true\"", "  app:", "    replicas: 2", ""].join("\n"),
    version: 41873,
    active: [
      "chart:",
      "  url: https://charts.example.com",
      "  name: operator-wandb",
      "  version: 0.14.1",
      "values:",
      "  global:",
      "    host: https://wandb.example.com",
      "    license: \"•••\"",
      "    mysql:",
      "      host: mysql.databases.svc",
      "      password: \"•••\"",
      "  app:",
      "    replicas: 2",
      "",
    ].join("\n"),
    shadowed: [{ path: "values.app.replicas", by: "resource" }],
    failures: 0,
    watchers: new Set(),
  };
}

/** Changes the overview and tells all open streams. */
export function publish(state: ConsoleState, overview: Overview): void {
  state.overview = overview;
  state.watchers.forEach((send) => {
    send(overview);
  });
}

export function consoleMock(state: ConsoleState = consoleState()): MockServer {
  return { handle: (request) => handle(state, request) };
}

async function handle(state: ConsoleState, request: Request): Promise<Response | undefined> {
  const url = new URL(request.url);
  // The development server serves these pages at "/", a program at "/console/".
  const path = url.pathname.replace(/^\/console(?=\/)/, "");
  if (!path.startsWith("/api/")) return undefined;
  switch (`${request.method} ${path}`) {
    case "GET /api/session":
      return json(session(state));
    case "POST /api/session":
      return signIn(state, (await strings(request, "password")).password);
    case "DELETE /api/session":
      state.user = null;
      return noContent();
    // Only here: shows how the pages look in another state of the installation.
    case "POST /api/mock":
      publish(state, sample(url.searchParams.get("state")));
      return noContent();
  }
  if (!state.user) return problem(401, { error: "You are not signed in." });
  switch (`${request.method} ${path}`) {
    case "GET /api/overview":
      return json(state.overview);
    case "GET /api/overview/watch":
      return watch(state, request.signal);
    case "GET /api/spec":
      return json({ user: state.userLayer, version: String(state.version), active: state.active, shadowed: state.shadowed });
    case "PUT /api/spec/user":
      return save(state, await strings(request, "user", "version"));
  }
  return problem(404, { error: "There is no such address." });
}

function sample(name: string | null): Overview {
  if (name === "stalled") return stalledOverview();
  return name === "upgrading" ? upgradingOverview() : readyOverview();
}

function session(state: ConsoleState) {
  return {
    user: state.user,
    instance: "wandb",
    namespace: "default",
    version: "0.1.0",
    application: "https://wandb.example.com",
    banners: state.banners,
  };
}

function signIn(state: ConsoleState, password: string): Response {
  if (state.failures >= 5) return problem(429, { error: "Too many attempts to sign in." }, { "Retry-After": "30" });
  if (password !== state.password) {
    state.failures++;
    return problem(401, { error: "The password is wrong.", field: "password", hint: "Read it again with the command on this page." });
  }
  state.failures = 0;
  state.user = { name: "administrator", method: "password" };
  return json(session(state));
}

function watch(state: ConsoleState, signal: AbortSignal): Response {
  const encoder = new TextEncoder();
  let leave: () => void = () => undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const send = (overview: Overview) => {
        controller.enqueue(encoder.encode(`data: ${JSON.stringify(overview)}\n\n`));
      };
      const heartbeat = setInterval(() => {
        controller.enqueue(encoder.encode(":\n\n"));
      }, 15_000);
      leave = () => {
        clearInterval(heartbeat);
        state.watchers.delete(send);
      };
      state.watchers.add(send);
      signal.addEventListener("abort", leave);
      send(state.overview);
    },
    cancel: () => {
      leave();
    },
  });
  return new Response(body, { headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-store" } });
}

function save(state: ConsoleState, { user, version }: { user: string; version: string }): Response {
  if (version !== String(state.version)) {
    return problem(409, { error: "Somebody else changed the user layer.", hint: "Load it again and repeat your change." });
  }
  const line = user.split("\n").findIndex((text) => text.includes("\t")) + 1;
  if (line > 0) {
    return problem(422, { error: "A tab cannot indent YAML.", line, path: "values.app", hint: "Indent with spaces." });
  }
  state.userLayer = user;
  state.version++;
  return json({ version: String(state.version), shadowed: state.shadowed });
}
