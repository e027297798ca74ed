import { ApiError, request } from "@kubewandb/ui";

/** One GraphQL operation: its text, and the types of its variables and its answer. */
export interface Operation<Data, Variables> {
  readonly name: string;
  readonly text: string;
  /** Only for the compiler. */
  readonly types?: (variables: Variables) => Data;
}

interface Answer<Data> {
  data?: Data | null;
  errors?: { message?: string; extensions?: { hint?: unknown } }[] | null;
}

/** States an operation. Its name, which the server's log and metrics show, is read from the text. */
export function operation<Data, Variables = Record<string, never>>(text: string): Operation<Data, Variables> {
  const name = /^\s*(?:query|mutation)\s+(\w+)/.exec(text)?.[1];
  if (!name) throw new Error("an operation has a name");
  return { name, text: text.replace(/\s+/g, " ").trim() };
}

/** Sends one operation; cancelled with the signal. An answer with errors is a failure, also where a part of it arrived. */
export async function ask<Data, Variables>(asked: Operation<Data, Variables>, variables: Variables, signal?: AbortSignal): Promise<Data> {
  const answer = await request<Answer<Data>>("/graphql", {
    method: "POST",
    body: { operationName: asked.name, query: asked.text, variables },
    ...(signal ? { signal } : {}),
  });
  const first = answer.errors?.[0];
  if (first || !answer.data) throw refusal(first?.message, first?.extensions?.hint);
  return answer.data;
}

function refusal(message: string | undefined, hint: unknown): ApiError {
  const text = message?.trim() ?? "";
  return new ApiError(text === "" ? "The server gave no answer." : sentence(text), {
    status: 200,
    hint: typeof hint === "string" && hint !== "" ? sentence(hint) : "Reload the page. If it happens again, look at the server's log.",
  });
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?:…]$/.test(text) ? "" : ".");
}

/** A page of a list, as each list of the server comes. */
export interface Connection<Node> {
  edges: { node: Node; cursor?: string }[];
  pageInfo: { endCursor: string | null; hasNextPage: boolean };
}

/** Where the next page of a list begins; undefined after the last one. */
export function nextCursor(connection: Connection<unknown> | null | undefined): string | undefined {
  return (connection?.pageInfo.hasNextPage && connection.pageInfo.endCursor) || undefined;
}

/** The things in a list, without what wraps them. */
export function nodesOf<Node>(connection: Connection<Node> | null | undefined): Node[] {
  return connection?.edges.map(({ node }) => node) ?? [];
}
