import { Anchor, Table, Text } from "@mantine/core";
import { Command, ErrorNotice, Loading, Page, TimeAgo } from "@kubewandb/ui";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, Navigate, useParams } from "react-router";
import { collectionsQuery, typesQuery } from "../data/artifact.ts";
import type { ProjectName } from "../data/project.ts";
import { nodesOf } from "../graphql.ts";
import { Missing } from "../parts/missing.tsx";
import { More } from "../parts/more.tsx";
import { useProjectName } from "../parts/names.ts";
import { ProjectHead } from "../parts/projecthead.tsx";
import { Tabs } from "../parts/trail.tsx";
import { paths } from "../paths.ts";
import { site } from "../site.ts";

/** The artifacts of a project: a tab per type, and its collections. */
export function Artifacts() {
  const name = useProjectName();
  const { type } = useParams();
  const types = useQuery(typesQuery(name));
  if (types.data === null) return <Missing what="project" name={`${name.entity}/${name.project}`} to={paths.projects(name.entity)} label={`the projects of ${name.entity}`} />;
  const first = types.data?.[0]?.name;
  if (!type && first) return <Navigate to={paths.artifacts(name.entity, name.project, first)} replace />;
  return (
    <Page title="Artifacts" site={site} width="full" above={<ProjectHead name={name} />}>
      {types.error && <ErrorNotice error={types.error} title="The artifacts could not be loaded" onRetry={() => void types.refetch()} />}
      {types.isPending && <Loading what="the artifacts" />}
      {types.data?.length === 0 && <NoArtifacts />}
      {types.data && types.data.length > 0 && type && (
        <>
          <Tabs label="Artifact types" tabs={types.data.map((one) => ({ label: one.name, to: paths.artifacts(name.entity, name.project, one.name) }))} />
          <Collections key={type} name={name} type={type} />
        </>
      )}
    </Page>
  );
}

function Collections({ name, type }: { name: ProjectName; type: string }) {
  const query = useInfiniteQuery(collectionsQuery(name, type));
  if (query.isPending) return <Loading what="the collections" />;
  if (query.error && !query.data) return <ErrorNotice error={query.error} title="The collections could not be loaded" onRetry={() => void query.refetch()} />;
  const collections = query.data.pages.flatMap((page) => nodesOf(page));
  if (collections.length === 0) return <Text c="dimmed">This project has no artifacts of type {type}.</Text>;
  return (
    <>
      <Table aria-label={`Collections of type ${type}`} maw="60rem">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Name</Table.Th>
            <Table.Th>Description</Table.Th>
            <Table.Th>Changed</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {collections.map((one) => (
            <Table.Tr key={one.id}>
              <Table.Td>
                <Anchor component={Link} to={paths.artifact(name.entity, name.project, type, one.name)} size="sm">
                  {one.name}
                </Anchor>
              </Table.Td>
              <Table.Td>{one.description ?? "–"}</Table.Td>
              <Table.Td>
                <TimeAgo time={one.updatedAt ?? one.createdAt} />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <More query={query} what="collections" />
    </>
  );
}

const example = `artifact = wandb.Artifact("name", type="dataset")
artifact.add_file("data.csv")
run.log_artifact(artifact)`;

function NoArtifacts() {
  return (
    <div style={{ maxWidth: "46rem" }}>
      <Text c="dimmed" mb="sm">
        This project has no artifacts yet. A run logs one with:
      </Text>
      <Command value={example} what="lines of Python" />
    </div>
  );
}
