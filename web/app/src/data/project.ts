import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { type Connection, ask, nextCursor, nodesOf, operation } from "../graphql.ts";

export interface Project {
  id: string;
  name: string;
  entityName: string;
  description: string | null;
  createdAt: string;
  runCount: number | null;
}

/** A run in a table: what a line shows, and its values as the client sent them. */
export interface RunRow {
  id: string;
  name: string;
  displayName: string | null;
  state: string;
  createdAt: string;
  heartbeatAt: string | null;
  tags: string[];
  group: string | null;
  jobType: string | null;
  sweepName: string | null;
  config: string | null;
  summaryMetrics: string | null;
  user: { name: string; username: string | null } | null;
}

export const projectsOperation = operation<{ models: Connection<Project> | null }, { entity: string; cursor: string | null; count: number }>(`
  query GetProjects($entity: String, $cursor: String, $count: Int) {
    models(entityName: $entity, after: $cursor, first: $count) {
      edges { node { id name entityName description createdAt runCount } cursor }
      pageInfo { endCursor hasNextPage }
    }
  }`);

export const teamsOperation = operation<{ viewer: { entity: string | null; teams: Connection<{ name: string }> | null } | null }>(`
  query Viewer { viewer { entity teams { edges { node { name } } pageInfo { endCursor hasNextPage } } } }`);

/** What an entity stored when that was last measured, in bytes, and what it may store. */
export interface Storage {
  usedBytes: number;
  filesBytes: number;
  artifactsBytes: number;
  historyBytes: number;
  /** Null where there is no limit. */
  quotaBytes: number | null;
  measuredAt: string | null;
}

export const storageOperation = operation<{ entity: { storage: Storage | null } | null }, { entity: string }>(`
  query EntityStorage($entity: String) {
    entity(name: $entity) { storage { usedBytes filesBytes artifactsBytes historyBytes quotaBytes measuredAt } }
  }`);

/** A project as its settings show it. */
export interface ProjectSettings {
  id: string;
  name: string;
  access: string | null;
  createdAt: string;
  readOnly: boolean | null;
  manageable: boolean;
}

export const projectOperation = operation<{ project: ProjectSettings | null }, ProjectName>(`
  query GetProject($entity: String, $project: String) {
    project(name: $project, entityName: $entity) { id name access createdAt readOnly manageable }
  }`);

export const deleteProjectOperation = operation<{ deleteModel: { success: boolean | null } | null }, { id: string }>(`
  mutation DeleteModel($id: String!) { deleteModel(input: { id: $id }) { success } }`);

const runFields = `
  id name displayName state createdAt heartbeatAt tags group jobType sweepName config summaryMetrics user { name username }`;

export const runsOperation = operation<
  { project: { runCount: number | null; runs: Connection<RunRow> | null } | null },
  ProjectName & { filters: string; order: string; cursor: string | null; count: number }
>(`
  query Runs($entity: String, $project: String, $filters: JSONString, $order: String, $cursor: String, $count: Int) {
    project(name: $project, entityName: $entity) {
      runCount(filters: $filters)
      runs(filters: $filters, order: $order, after: $cursor, first: $count) {
        edges { node { ${runFields} } cursor }
        pageInfo { endCursor hasNextPage }
      }
    }
  }`);

export interface ProjectName {
  entity: string;
  project: string;
}

/** Entities that are asked for their projects on the start page, and projects that it shows. */
const recentEntities = 10;
const recentProjects = 12;

/** The newest projects of the user and of their teams. */
export const recentQuery = queryOptions({
  queryKey: ["projects", "recent"],
  queryFn: async ({ signal }) => {
    const { viewer } = await ask(teamsOperation, {}, signal);
    const names = [viewer?.entity, ...nodesOf(viewer?.teams).map(({ name }) => name)].filter((name) => name != null && name !== "");
    const entities = [...new Set(names as string[])];
    const answers = await Promise.all(
      entities.slice(0, recentEntities).map((entity) => ask(projectsOperation, { entity, cursor: null, count: recentProjects }, signal)),
    );
    const projects = answers.flatMap(({ models }) => nodesOf(models)).sort((a, b) => Date.parse(b.createdAt) - Date.parse(a.createdAt));
    return { entities, projects: projects.slice(0, recentProjects) };
  },
});

/** Null for who does not belong to the entity. */
export function storageQuery(entity: string) {
  return queryOptions({
    queryKey: ["storage", entity],
    queryFn: ({ signal }) => ask(storageOperation, { entity }, signal).then(({ entity: found }) => found?.storage ?? null),
    staleTime: 60_000,
  });
}

export function projectsQuery(entity: string, count = 50) {
  return infiniteQueryOptions({
    queryKey: ["projects", entity, count],
    queryFn: ({ pageParam, signal }) => ask(projectsOperation, { entity, cursor: pageParam, count }, signal).then(({ models }) => models),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => nextCursor(page),
  });
}

/** Null where there is no such project, or none that the user may see. */
export function projectQuery(name: ProjectName) {
  return queryOptions({
    queryKey: ["project", name.entity, name.project],
    queryFn: ({ signal }) => ask(projectOperation, pick(name), signal).then(({ project }) => project),
    staleTime: 60_000,
  });
}

/** Runs of a project, a page at a time. */
export function runsQuery(name: ProjectName, filters: string, order: string, count = 50) {
  return infiniteQueryOptions({
    queryKey: ["runs", name.entity, name.project, filters, order, count],
    queryFn: ({ pageParam, signal }) =>
      ask(runsOperation, { ...pick(name), filters, order, cursor: pageParam, count }, signal).then(({ project }) => project),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => nextCursor(page?.runs),
  });
}

function pick({ entity, project }: ProjectName): ProjectName {
  return { entity, project };
}
