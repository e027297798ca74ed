/**
 * A stand-in for a backend, for the development server and for tests. It speaks the JSON of docs/architecture.md and keeps
 * its state in memory.
 */
export interface MockServer {
  /** Answers one request of the API, or returns undefined where the path is no part of it. */
  handle(request: Request): Promise<Response | undefined>;
}

export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json", ...headers } });
}

export function noContent(): Response {
  return new Response(null, { status: 204 });
}

export interface Problem {
  error: string;
  field?: string;
  hint?: string;
  line?: number;
  path?: string;
}

export function problem(status: number, body: Problem, headers: Record<string, string> = {}): Response {
  return json(body, status, headers);
}

/** The body of a request as an object of strings; missing and other values read as "". */
export async function strings<Name extends string>(request: Request, ...names: Name[]): Promise<Record<Name, string>> {
  const body = (await request.json()) as Record<string, unknown>;
  const read = (name: Name): [Name, string] => {
    const value = body[name];
    return [name, typeof value === "string" ? value : ""];
  };
  return Object.fromEntries(names.map(read)) as Record<Name, string>;
}
