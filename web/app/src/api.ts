import { type Banners, request } from "@kubewandb/ui";
import { queryOptions } from "@tanstack/react-query";

export interface User {
  name: string;
  username: string;
  email: string;
  admin: boolean;
}

export interface Session {
  user: User | null;
  /** No user exists yet: the next visitor creates the administrator. */
  setup: boolean;
  version: string;
  /** External URL of this server. */
  host: string;
  banners?: Banners;
  /** People can sign in at an identity provider. */
  sso?: boolean;
  /** Set by these pages when the user signs out on purpose: the next user is not led to this one's page. */
  left?: boolean;
}

export interface Key {
  id: string;
  /** First characters of the key. */
  name: string;
  description: string;
  createdAt: string;
  lastUsedAt: string | null;
}

export interface NewKey {
  id: string;
  name: string;
  key: string;
}

export interface NewAdministrator {
  name: string;
  username: string;
  email: string;
  password: string;
}

export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: ({ signal }) => request<Session>("/api/session", { signal }),
  staleTime: 60_000,
});

export const keysQuery = queryOptions({
  queryKey: ["keys"],
  queryFn: ({ signal }) => request<Key[] | null>("/api/keys", { signal }).then((keys) => keys ?? []),
});

export function createAdministrator(administrator: NewAdministrator): Promise<unknown> {
  return request("/api/setup", { method: "POST", body: administrator });
}

/** Makes the account of somebody who was invited; the token came in the link. */
export function acceptInvitation(account: { token: string; name: string; username: string; password: string }): Promise<unknown> {
  return request("/api/invitation", { method: "POST", body: account });
}

export function signIn(credentials: { login: string; password: string }): Promise<unknown> {
  return request("/api/session", { method: "POST", body: credentials });
}

export function signOut(): Promise<void> {
  return request("/api/session", { method: "DELETE" });
}

export function createKey(description: string): Promise<NewKey> {
  return request<NewKey>("/api/keys", { method: "POST", body: { description } });
}

export function revokeKey(id: string): Promise<void> {
  return request(`/api/keys/${encodeURIComponent(id)}`, { method: "DELETE" });
}
