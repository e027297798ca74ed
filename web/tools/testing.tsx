import { Provider, newQueryClient } from "@kubewandb/ui";
import type { QueryClient } from "@tanstack/react-query";
import { render } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import axe from "axe-core";
import { type RouteObject, RouterProvider, createMemoryRouter } from "react-router";
import { expect, vi } from "vitest";
import type { MockServer } from "./mock/server.ts";

/** Replaces fetch by a mock API for the current test; returns the requests as "METHOD /path". */
export function serve(mock: MockServer): string[] {
  const seen: string[] = [];
  vi.stubGlobal("fetch", async (input: string, init: RequestInit = {}) => {
    const url = new URL(input, window.location.href);
    seen.push(`${init.method ?? "GET"} ${url.pathname}`);
    const { signal, ...rest } = init;
    if (signal?.aborted) throw new DOMException("aborted", "AbortError");
    const response = await mock.handle(new Request(url, { method: rest.method ?? "GET", headers: rest.headers ?? {}, body: rest.body ?? null }));
    if (!response) throw new TypeError(`no server answers ${url.pathname}`);
    return signal && response.body ? abortable(response, response.body, signal) : response;
  });
  return seen;
}

/** A response whose body fails when the signal is aborted, as that of a real fetch does. */
function abortable(response: Response, source: ReadableStream<Uint8Array>, signal: AbortSignal): Response {
  const reader = source.getReader();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      signal.addEventListener("abort", () => {
        controller.error(new DOMException("aborted", "AbortError"));
        void reader.cancel().catch(() => undefined);
      });
    },
    async pull(controller) {
      const { done, value } = await reader.read();
      if (signal.aborted) return;
      if (done) controller.close();
      else controller.enqueue(value);
    },
  });
  return new Response(body, { status: response.status, headers: response.headers });
}

/** Opens a site at a path, as a browser would. */
export function open(routes: RouteObject[], path: string, client: QueryClient = newQueryClient()) {
  client.setDefaultOptions({ ...client.getDefaultOptions(), queries: { ...client.getDefaultOptions().queries, retry: false } });
  const router = createMemoryRouter(routes, { initialEntries: [path] });
  const view = render(
    <Provider client={client} env="test">
      <RouterProvider router={router} />
    </Provider>,
  );
  return { ...view, router, client, user: userEvent.setup(), path: () => router.state.location.pathname + router.state.location.search };
}

/** Fails with each accessibility rule that the document breaks; colours need a real browser and are left to the pictures. */
export async function expectAccessible(): Promise<void> {
  const { violations } = await axe.run(document.body, { rules: { "color-contrast": { enabled: false } } });
  const found = violations.flatMap(({ id, help, nodes }) => nodes.map((node) => `${id}: ${help}: ${node.html}`));
  expect(found).toEqual([]);
}
