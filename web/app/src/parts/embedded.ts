import { createContext, useContext } from "react";

/** Whether the page stands in a frame of a notebook: without a bar, and without what changes or deletes anything. */
export const EmbeddedContext = createContext(false);

export function useEmbedded(): boolean {
  return useContext(EmbeddedContext);
}

/** Whether an address is that of a run in a notebook, as the client opens it. */
export function isEmbedded(pathname: string, search: string): boolean {
  return /^\/[^/]+\/[^/]+\/runs\/[^/]+\/?$/.test(pathname) && new URLSearchParams(search).get("jupyter") === "true";
}
