import { ApiError, newQueryClient } from "@kubewandb/ui";
import { type QueryClient } from "@tanstack/react-query";
import { sessionQuery } from "./api.ts";

/** The console's server state. An answer that says "not signed in" asks for the session anew, which shows the sign-in. */
export function newConsoleClient(): QueryClient {
  const client = newQueryClient();
  const onError = (error: Error) => {
    if (error instanceof ApiError && error.status === 401) void client.invalidateQueries(sessionQuery);
  };
  client.getQueryCache().subscribe((event) => {
    if (event.type === "updated" && event.action.type === "error") onError(event.action.error as Error);
  });
  client.getMutationCache().subscribe((event) => {
    if (event.type === "updated" && event.action.type === "error") onError(event.action.error as Error);
  });
  return client;
}
