import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import { answer } from "./mock/plugin.ts";
import type { MockServer } from "./mock/server.ts";

const internal = resolve(import.meta.dirname, "../../internal/webui");
const types: Record<string, string> = { js: "text/javascript", css: "text/css", svg: "image/svg+xml", woff2: "font/woff2", html: "text/html" };

/**
 * Serves a built site with a mock API on a loopback port, under the policy that the programs send, so that a browser shows
 * what the policy would refuse.
 */
export async function serveBuilt(site: "app" | "console", mock: MockServer): Promise<{ url: string; close: () => void }> {
  const base = site === "console" ? "/console" : "";
  const policy = contentSecurityPolicy();
  const root = join(internal, "dist", site);
  const index = readFileSync(join(root, "index.html"), "utf8")
    .replace('name="base-path" content=""', `name="base-path" content="${base}"`)
    .replaceAll('="./', `="${base}/`);
  const server = createServer((incoming, outgoing) => {
    const serve = async () => {
      if (await answer(mock, incoming, outgoing)) return;
      const name = new URL(incoming.url ?? "/", "http://localhost").pathname.replace(new RegExp(`^${base}/`), "");
      const file = join(root, name);
      const isFile = /^\/?(assets\/|[^/]+\.\w+$)/.test(name) && existsSync(file);
      outgoing.setHeader("Content-Security-Policy", policy);
      outgoing.setHeader("Content-Type", types[isFile ? (name.split(".").at(-1) ?? "") : "html"] ?? "text/plain");
      outgoing.end(isFile ? readFileSync(file) : index);
    };
    serve().catch((error: unknown) => {
      outgoing.destroy(error instanceof Error ? error : undefined);
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${base}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** The policy as the Go package states it. */
function contentSecurityPolicy(): string {
  const source = readFileSync(join(internal, "webui.go"), "utf8");
  const statement = /const ContentSecurityPolicy = ((?:"[^"]*"(?:\s*\+\s*)?)+)/.exec(source)?.[1];
  if (!statement) throw new Error("internal/webui/webui.go states no ContentSecurityPolicy");
  return [...statement.matchAll(/"([^"]*)"/g)].map((part) => part[1]).join("");
}
