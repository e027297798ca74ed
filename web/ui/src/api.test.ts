import { afterEach, describe, expect, test, vi } from "vitest";
import { ApiError, isTransient, request } from "./api.ts";

afterEach(() => {
  vi.unstubAllGlobals();
});

function answer(response: Response | Error) {
  const fake = vi.fn<(url: string, init: RequestInit) => Promise<Response>>();
  if (response instanceof Response) fake.mockResolvedValue(response);
  else fake.mockRejectedValue(response);
  vi.stubGlobal("fetch", fake);
  return fake;
}

async function failureOf(response: Response | Error): Promise<ApiError> {
  answer(response);
  const error: unknown = await request("/api/x").catch((caught: unknown) => caught);
  if (!(error instanceof ApiError)) throw new Error(`want an ApiError, got ${String(error)}`);
  return error;
}

const failing = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  new Response(typeof body === "string" ? body : JSON.stringify(body), { status, headers });

describe("request", () => {
  test("sends JSON and returns the decoded answer", async () => {
    const fake = answer(new Response('{"id":"1"}'));
    expect(await request("/api/keys", { method: "POST", body: { description: "Laptop" } })).toEqual({ id: "1" });
    const [url, init] = fake.mock.calls[0] ?? [];
    expect(url).toBe("/api/keys");
    expect(init).toMatchObject({ method: "POST", body: '{"description":"Laptop"}', credentials: "same-origin" });
  });

  test("returns nothing for 204", async () => {
    answer(new Response(null, { status: 204 }));
    expect(await request("/api/session", { method: "DELETE" })).toBeUndefined();
  });

  const failures: Record<string, { response: Response | Error; want: Partial<ApiError> }> = {
    "an answer with field, hint, line and path keeps all of them": {
      response: failing(422, { error: "unknown key", hint: "remove it", field: "user", line: 3, path: "values.app" }),
      want: { status: 422, message: "Unknown key.", hint: "Remove it.", field: "user", line: 3, path: "values.app" },
    },
    "a refusal for a while says how long": {
      response: failing(429, { error: "Too many attempts." }, { "Retry-After": "30" }),
      want: { status: 429, retryAfter: 30, hint: "Wait 30 seconds and try again." },
    },
    "a proxy's HTML becomes a sentence": {
      response: failing(502, "<html>Bad Gateway</html>"),
      want: { status: 502, message: "The server failed (502)." },
    },
    "JSON that is no object becomes a sentence": { response: failing(403, '"no"'), want: { message: "You may not do this." } },
    "a broken connection says what to check": {
      response: new TypeError("Failed to fetch"),
      want: { status: 0, message: "The server cannot be reached." },
    },
    "a success that is no JSON is a failure": {
      response: new Response("<html>login of a proxy</html>"),
      want: { status: 200, message: "The server's answer could not be read." },
    },
  };
  test.each(Object.entries(failures))("%s", async (_, { response, want }) => {
    const error = await failureOf(response);
    expect(error).toMatchObject(want);
    expect(error.hint).not.toBe("");
  });

  test("words about a value stand alone", async () => {
    const error = await failureOf(failing(422, { error: "this name is reserved", field: "username" }));
    expect(error).toMatchObject({ message: "This name is reserved.", hint: "", field: "username" });
  });

  test("a caller that gives up sees its own abort, not a failure of the server", async () => {
    const control = new AbortController();
    control.abort();
    answer(new DOMException("aborted", "AbortError"));
    await expect(request("/api/x", { signal: control.signal })).rejects.toThrow("aborted");
  });
});

test("only failures that may pass are worth repeating", () => {
  const transient = (status: number) => isTransient(new ApiError("x", { status }));
  expect([0, 429, 500, 503].map(transient)).toEqual([true, true, true, true]);
  expect([400, 401, 403, 404, 409, 422].map(transient)).toEqual([false, false, false, false, false, false]);
});
