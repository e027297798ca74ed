import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import type { Plugin } from "vite";
import type { MockServer } from "./server.ts";

/** Answers the API from a mock while the development server runs. Never part of a build. */
export function mockApi(create: () => MockServer): Plugin {
  return {
    name: "mock-api",
    apply: "serve",
    configureServer(server) {
      const mock = create();
      server.middlewares.use((incoming, outgoing, next) => {
        answer(mock, incoming, outgoing).then((answered) => {
          if (!answered) next();
        }, next);
      });
    },
  };
}

/** Passes one request of a Node server to the mock; false where it is no request of the API. */
export async function answer(mock: MockServer, incoming: IncomingMessage, outgoing: ServerResponse): Promise<boolean> {
  const gone = new AbortController();
  outgoing.on("close", () => {
    gone.abort();
  });
  const hasBody = incoming.method !== "GET" && incoming.method !== "HEAD";
  const request = new Request(new URL(incoming.url ?? "/", "http://localhost"), {
    method: incoming.method ?? "GET",
    headers: { "Content-Type": incoming.headers["content-type"] ?? "" },
    signal: gone.signal,
    ...(hasBody ? { body: Readable.toWeb(incoming) as ReadableStream, duplex: "half" as const } : {}),
  });
  const response = await mock.handle(request);
  if (!response) return false;
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  if (response.body) {
    for await (const chunk of Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0])) {
      if (gone.signal.aborted) break;
      outgoing.write(chunk);
    }
  }
  outgoing.end();
  return true;
}
