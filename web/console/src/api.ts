import { type Banners, basePath, request } from "@kubewandb/ui";
import { queryOptions } from "@tanstack/react-query";

export interface Session {
  user: { name: string; method: "password" | "application" } | null;
  /** Name of the custom resource, which names the Secret with the password. */
  instance: string;
  namespace: string;
  version: string;
  /** URL of the application. */
  application: string;
  banners?: Banners;
  /** Set by these pages when the user signs out on purpose. */
  left?: boolean;
}

export interface Condition {
  type: string;
  status: string;
  reason: string;
  message: string;
  lastTransitionTime: string | null;
  /** Whether True is good. */
  positive: boolean;
}

export interface Pod {
  name: string;
  component: string;
  phase: string;
  ready: boolean;
  restarts: number;
  images: { name: string; image: string; imageID: string }[];
  startedAt: string | null;
  /** What keeps the pod from working; empty where nothing does. */
  message: string;
}

export interface InstanceEvent {
  time: string | null;
  type: string;
  reason: string;
  object: string;
  message: string;
}

export interface Release {
  id: string;
  name: string;
  chart: string;
  chartVersion: string;
  revision: number;
  deployedAt: string | null;
}

export interface Channel {
  name: string;
  /** Name (or, where it has none, ID) of the newest release. */
  release: string;
  checkedAt: string | null;
}

export interface Overview {
  resource: { name: string; namespace: string; generation: number; observedGeneration: number; createdAt: string | null };
  conditions: Condition[];
  release: Release;
  channel: Channel;
  pods: Pod[];
  events: InstanceEvent[];
  /** What the operator does next. */
  next: string;
}

export interface Shadowed {
  path: string;
  by: string;
}

export interface Spec {
  /** The user layer as YAML. */
  user: string;
  version: string;
  /** The last applied specification as YAML, secrets masked. */
  active: string;
  shadowed: Shadowed[];
}

export interface Saved {
  version: string;
  shadowed: Shadowed[];
}

export function api(path: string): string {
  return `${basePath()}/api${path}`;
}

export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: ({ signal }) => request<Session>(api("/session"), { signal }),
  staleTime: 60_000,
});

export const overviewQuery = queryOptions({
  queryKey: ["overview"],
  queryFn: ({ signal }) => request<Overview>(api("/overview"), { signal }),
});

export const specQuery = queryOptions({
  queryKey: ["spec"],
  queryFn: ({ signal }) => request<Spec>(api("/spec"), { signal }),
});

export function signIn(password: string): Promise<unknown> {
  return request(api("/session"), { method: "POST", body: { password } });
}

export function signOut(): Promise<void> {
  return request(api("/session"), { method: "DELETE" });
}

export function saveUserLayer(layer: { user: string; version: string }): Promise<Saved> {
  return request<Saved>(api("/spec/user"), { method: "PUT", body: layer });
}
