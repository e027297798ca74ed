import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { type Connection, ask, nextCursor, operation } from "../graphql.ts";
import type { ProjectName } from "./project.ts";

export interface Sweep {
  id: string;
  name: string;
  displayName: string | null;
  method: string;
  state: string;
  description: string | null;
  bestLoss: number | null;
  /** YAML. */
  config: string;
  createdAt: string;
  runCount: number;
  runCountExpected: number | null;
}

const fields = "id name displayName method state description bestLoss config createdAt runCount runCountExpected";

export const sweepsOperation = operation<
  { project: { totalSweeps: number | null; sweeps: Connection<Sweep> | null } | null },
  ProjectName & { cursor: string | null }
>(`
  query GetSweeps($entity: String!, $project: String!, $cursor: String) {
    project(name: $project, entityName: $entity) {
      totalSweeps
      sweeps(first: 50, after: $cursor) { edges { node { ${fields} } cursor } pageInfo { endCursor hasNextPage } }
    }
  }`);

export const sweepOperation = operation<{ project: { sweep: Sweep | null } | null }, ProjectName & { sweep: string }>(`
  query GetSweep($entity: String!, $project: String!, $sweep: String!) {
    project(name: $project, entityName: $entity) { sweep(sweepName: $sweep) { ${fields} } }
  }`);

export const changeSweepOperation = operation<
  { upsertSweep: { sweep: { name: string } | null } | null },
  ProjectName & { id: string; state: string }
>(`
  mutation UpsertSweep($id: ID, $state: String, $entity: String, $project: String) {
    upsertSweep(input: { id: $id, state: $state, entityName: $entity, projectName: $project }) { sweep { name } }
  }`);

export function sweepsQuery({ entity, project }: ProjectName) {
  return infiniteQueryOptions({
    queryKey: ["sweeps", entity, project],
    queryFn: ({ pageParam, signal }) => ask(sweepsOperation, { entity, project, cursor: pageParam }, signal).then((data) => data.project),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => nextCursor(page?.sweeps),
  });
}

/** Null where there is no such sweep. */
export function sweepQuery({ entity, project }: ProjectName, sweep: string) {
  return queryOptions({
    queryKey: ["sweeps", entity, project, sweep],
    queryFn: ({ signal }) => ask(sweepOperation, { entity, project, sweep }, signal).then((data) => data.project?.sweep ?? null),
    refetchInterval: ({ state }) => (["RUNNING", "PENDING"].includes(state.data?.state ?? "") ? 5_000 : false),
  });
}
