import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { type Connection, ask, nextCursor, nodesOf, operation } from "../graphql.ts";
import type { ProjectName } from "./project.ts";
import type { RunName, StoredFile } from "./run.ts";
import { runKey } from "./run.ts";

export interface Collection {
  id: string;
  name: string;
  description: string | null;
  createdAt: string;
  updatedAt: string | null;
}

export interface Artifact {
  id: string;
  versionIndex: number | null;
  state: string;
  description: string | null;
  metadata: string | null;
  size: number;
  fileCount: number;
  digest: string;
  createdAt: string;
  aliases: { alias: string }[];
  artifactSequence: { name: string; project: { name: string; entityName: string } | null };
  artifactType: { name: string };
}

export interface Membership {
  id: string;
  versionIndex: number | null;
  aliases: { alias: string }[];
  artifactCollection: { name: string } | null;
  artifact: Artifact | null;
}

export interface RunReference {
  id: string;
  name: string;
  displayName: string | null;
  project: { name: string; entityName: string } | null;
}

export interface Lineage {
  createdBy: ({ __typename: string } & Partial<RunReference>) | null;
  usedBy: Connection<RunReference> | null;
}

export type ArtifactFile = Pick<StoredFile, "id" | "name" | "sizeBytes" | "mimetype" | "directUrl">;

const artifactFields = `
  id versionIndex state description metadata size fileCount digest createdAt aliases { alias } artifactSequence { name project { name entityName } } artifactType { name }`;
const page = "pageInfo { endCursor hasNextPage }";

export const typesOperation = operation<
  { project: { artifactTypes: Connection<{ id: string; name: string; description: string | null }> | null } | null },
  ProjectName
>(`
  query ProjectArtifactTypes($entity: String!, $project: String!) {
    project(name: $project, entityName: $entity) {
      artifactTypes(first: 100) { edges { node { id name description } cursor } ${page} }
    }
  }`);

export const collectionsOperation = operation<
  { project: { artifactType: { artifactCollections: (Connection<Collection> & { totalCount: number | null }) | null } | null } | null },
  ProjectName & { type: string; cursor: string | null }
>(`
  query ArtifactTypeArtifactCollections($entity: String!, $project: String!, $type: String!, $cursor: String) {
    project(name: $project, entityName: $entity) {
      artifactType(name: $type) {
        artifactCollections(first: 50, after: $cursor) {
          totalCount edges { node { id name description createdAt updatedAt } cursor } ${page}
        }
      }
    }
  }`);

export const versionsOperation = operation<
  { project: { artifactType: { artifactCollection: { artifacts: (Connection<Artifact> & { totalCount: number }) | null } | null } | null } | null },
  ProjectName & { type: string; collection: string; cursor: string | null }
>(`
  query ProjectArtifacts($entity: String!, $project: String!, $type: String!, $collection: String!, $cursor: String) {
    project(name: $project, entityName: $entity) {
      artifactType(name: $type) {
        artifactCollection(name: $collection) {
          artifacts(first: 50, after: $cursor) { totalCount edges { node { ${artifactFields} } cursor } ${page} }
        }
      }
    }
  }`);

export const membershipOperation = operation<{ project: { artifactCollectionMembership: Membership | null } | null }, ProjectName & { name: string }>(`
  query ArtifactMembershipByName($entity: String!, $project: String!, $name: String!) {
    project(name: $project, entityName: $entity) {
      artifactCollectionMembership(name: $name) {
        id versionIndex aliases { alias } artifactCollection { name } artifact { ${artifactFields} }
      }
    }
  }`);

export const artifactFilesOperation = operation<
  { project: { artifactCollection: { artifactMembership: { files: Connection<ArtifactFile> | null } | null } | null } | null },
  ProjectName & { collection: string; alias: string; cursor: string | null }
>(`
  query ArtifactMembershipFiles($entity: String!, $project: String!, $collection: String!, $alias: String!, $cursor: String) {
    project(name: $project, entityName: $entity) {
      artifactCollection(name: $collection) {
        artifactMembership(aliasName: $alias) {
          files(first: 500, after: $cursor) { edges { node { id name: displayName sizeBytes mimetype directUrl } cursor } ${page} }
        }
      }
    }
  }`);

const runReference = "id name displayName project { name entityName }";
export const lineageOperation = operation<{ artifact: Lineage | null }, { id: string }>(`
  query ArtifactLineage($id: ID!) {
    artifact(id: $id) {
      createdBy { __typename ... on Run { ${runReference} } }
      usedBy { edges { node { ${runReference} } } ${page} }
    }
  }`);

export const runArtifactsOperation = operation<
  { project: { run: { outputArtifacts: Connection<Artifact> | null; inputArtifacts: Connection<Artifact> | null } | null } | null },
  RunName
>(`
  query RunArtifacts($entity: String!, $project: String!, $run: String!) {
    project(name: $project, entityName: $entity) {
      run(name: $run) {
        outputArtifacts(first: 100) { edges { node { ${artifactFields} } cursor } ${page} }
        inputArtifacts(first: 100) { edges { node { ${artifactFields} } cursor } ${page} }
      }
    }
  }`);

export function typesQuery({ entity, project }: ProjectName) {
  return queryOptions({
    queryKey: ["artifacts", entity, project, "types"],
    queryFn: ({ signal }) => ask(typesOperation, { entity, project }, signal).then((data) => data.project && nodesOf(data.project.artifactTypes)),
  });
}

export function collectionsQuery({ entity, project }: ProjectName, type: string) {
  return infiniteQueryOptions({
    queryKey: ["artifacts", entity, project, "collections", type],
    queryFn: ({ pageParam, signal }) =>
      ask(collectionsOperation, { entity, project, type, cursor: pageParam }, signal).then((data) => data.project?.artifactType?.artifactCollections ?? null),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => nextCursor(page),
  });
}

export function versionsQuery({ entity, project }: ProjectName, type: string, collection: string) {
  return infiniteQueryOptions({
    queryKey: ["artifacts", entity, project, "versions", type, collection],
    queryFn: ({ pageParam, signal }) =>
      ask(versionsOperation, { entity, project, type, collection, cursor: pageParam }, signal).then(
        (data) => data.project?.artifactType?.artifactCollection?.artifacts ?? null,
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => nextCursor(page),
  });
}

/** A version by its number ("v3") or an alias; null where there is none. */
export function membershipQuery({ entity, project }: ProjectName, collection: string, version: string) {
  return queryOptions({
    queryKey: ["artifacts", entity, project, "membership", collection, version],
    queryFn: ({ signal }) =>
      ask(membershipOperation, { entity, project, name: `${collection}:${version}` }, signal).then(
        (data) => data.project?.artifactCollectionMembership ?? null,
      ),
  });
}

export function artifactFilesQuery({ entity, project }: ProjectName, collection: string, alias: string) {
  return infiniteQueryOptions({
    queryKey: ["artifacts", entity, project, "files", collection, alias],
    queryFn: ({ pageParam, signal }) =>
      ask(artifactFilesOperation, { entity, project, collection, alias, cursor: pageParam }, signal).then(
        (data) => data.project?.artifactCollection?.artifactMembership?.files ?? null,
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => nextCursor(page),
  });
}

export function lineageQuery(id: string) {
  return queryOptions({
    queryKey: ["artifact", id, "lineage"],
    queryFn: ({ signal }) => ask(lineageOperation, { id }, signal).then(({ artifact }) => artifact),
  });
}

export function runArtifactsQuery(name: RunName) {
  return queryOptions({
    queryKey: [...runKey(name), "artifacts"],
    queryFn: ({ signal }) => ask(runArtifactsOperation, { entity: name.entity, project: name.project, run: name.run }, signal).then(({ project }) => project?.run ?? null),
  });
}
