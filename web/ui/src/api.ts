/** A failure that a person can act on: what happened, and what to do about it. */
export class ApiError extends Error {
  /** HTTP status; 0 when no answer arrived. */
  readonly status: number;
  /** What to do, as a full sentence. */
  readonly hint: string;
  /** Name of the form field that the failure is about. */
  readonly field: string | undefined;
  /** Line (from 1) and path of a mistake in a submitted document. */
  readonly line: number | undefined;
  readonly path: string | undefined;
  /** Seconds after which the same request may work. */
  readonly retryAfter: number | undefined;

  constructor(message: string, details: Partial<Pick<ApiError, "status" | "hint" | "field" | "line" | "path" | "retryAfter">> = {}) {
    super(message);
    this.name = "ApiError";
    this.status = details.status ?? 0;
    this.hint = details.hint ?? "";
    this.field = details.field;
    this.line = details.line;
    this.path = details.path;
    this.retryAfter = details.retryAfter;
  }
}

/** No answer within this time counts as a failure; every request of the pages is small. */
const deadline = 20_000;

export interface RequestOptions {
  method?: "GET" | "POST" | "PUT" | "DELETE";
  body?: unknown;
  signal?: AbortSignal;
}

/** Sends one request and returns its JSON answer (undefined for 204). Throws ApiError for everything else. */
export async function request<T>(path: string, { method = "GET", body, signal }: RequestOptions = {}): Promise<T> {
  const timeout = AbortSignal.timeout(deadline);
  const init: RequestInit = {
    method,
    headers: { Accept: "application/json" },
    credentials: "same-origin",
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
  };
  if (body !== undefined) {
    init.headers = { Accept: "application/json", "Content-Type": "application/json" };
    init.body = JSON.stringify(body);
  }
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError(timeout.aborted ? "The server took too long to answer." : "The server cannot be reached.", {
      hint: "Check your connection, then try again. If it stays like this, the server may be restarting.",
    });
  }
  if (!response.ok) throw await failure(response);
  if (response.status === 204) return undefined as T;
  try {
    return (await response.json()) as T;
  } catch {
    throw new ApiError("The server's answer could not be read.", {
      status: response.status,
      hint: "Reload the page. If it happens again, something between your browser and the server rewrites its answers.",
    });
  }
}

async function failure(response: Response): Promise<ApiError> {
  const retryAfter = seconds(response.headers.get("Retry-After"));
  const details = { status: response.status, hint: usualHint(response.status, retryAfter), retryAfter };
  let document: unknown;
  try {
    document = await response.json();
  } catch {
    document = undefined;
  }
  if (typeof document !== "object" || document === null) {
    return new ApiError(usualMessage(response.status), definedOnly(details));
  }
  const { error, hint, field, line, path } = document as Record<string, unknown>;
  // The server's own words about a value say what to change; a general advice would contradict them.
  const aboutValue = typeof error === "string" && error !== "" && [400, 409, 413, 422].includes(response.status);
  return new ApiError(
    typeof error === "string" && error !== "" ? sentence(error) : usualMessage(response.status),
    definedOnly({
      ...details,
      hint: typeof hint === "string" && hint !== "" ? sentence(hint) : aboutValue ? undefined : details.hint,
      field: typeof field === "string" && field !== "" ? field : undefined,
      line: typeof line === "number" && line > 0 ? line : undefined,
      path: typeof path === "string" && path !== "" ? path : undefined,
    }),
  );
}

function definedOnly<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

function sentence(text: string): string {
  const trimmed = text.trim();
  const closed = /[.!?:…]$/.test(trimmed) ? trimmed : `${trimmed}.`;
  return closed.charAt(0).toUpperCase() + closed.slice(1);
}

function seconds(header: string | null): number | undefined {
  if (header === null) return undefined;
  const value = Number(header);
  if (Number.isFinite(value)) return Math.max(0, Math.ceil(value));
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - Date.now()) / 1000));
}

function usualMessage(status: number): string {
  switch (status) {
    case 401:
      return "You are not signed in.";
    case 403:
      return "You may not do this.";
    case 404:
      return "This does not exist.";
    case 429:
      return "Too many attempts.";
    default:
      return status >= 500 ? `The server failed (${status}).` : `The server refused the request (${status}).`;
  }
}

function usualHint(status: number, retryAfter: number | undefined): string {
  switch (status) {
    case 401:
      return "Sign in and try again.";
    case 403:
      return "Ask an administrator of this instance.";
    case 404:
      return "It may have been removed. Reload the page.";
    case 429:
      return retryAfter ? `Wait ${wait(retryAfter)} and try again.` : "Wait a minute and try again.";
    default:
      return status >= 500 ? "Try again in a moment. If it stays like this, look at the server's log." : "Reload the page and try again.";
  }
}

function wait(seconds: number): string {
  if (seconds < 90) return seconds === 1 ? "1 second" : `${seconds} seconds`;
  return `${Math.ceil(seconds / 60)} minutes`;
}

/** Whether repeating a failed read may help. */
export function isTransient(error: unknown): boolean {
  return !(error instanceof ApiError) || error.status === 0 || error.status === 429 || error.status >= 500;
}
