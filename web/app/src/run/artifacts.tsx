import { Anchor, Table, Text } from "@mantine/core";
import { ErrorNotice, Loading } from "@kubewandb/ui";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { type Artifact, runArtifactsQuery } from "../data/artifact.ts";
import { nodesOf } from "../graphql.ts";
import { bytes, count } from "../number.ts";
import { paths } from "../paths.ts";
import { useRun } from "./page.tsx";

/** What the run made and what it used. */
export function Artifacts() {
  const { name } = useRun();
  const artifacts = useQuery(runArtifactsQuery(name));
  if (artifacts.isPending) return <Loading what="the artifacts" />;
  if (artifacts.error && !artifacts.data) return <ErrorNotice error={artifacts.error} title="The artifacts could not be loaded" onRetry={() => void artifacts.refetch()} />;
  return (
    <>
      <List id="made" title="Made by this run" list={nodesOf(artifacts.data?.outputArtifacts)} empty="This run has logged no artifact." />
      <List id="used" title="Used by this run" list={nodesOf(artifacts.data?.inputArtifacts)} empty="This run has used no artifact." />
    </>
  );
}

function List({ id, title, list, empty }: { id: string; title: string; list: Artifact[]; empty: string }) {
  const { name } = useRun();
  return (
    <section aria-labelledby={id} style={{ marginBottom: "1.5rem" }}>
      <h2 id={id} style={{ fontSize: "1rem", margin: "0 0 0.5rem" }}>
        {title}
      </h2>
      {list.length === 0 ? (
        <Text c="dimmed" size="sm">
          {empty}
        </Text>
      ) : (
        <Table.ScrollContainer minWidth={480}>
          <Table aria-labelledby={id}>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Artifact</Table.Th>
                <Table.Th>Type</Table.Th>
                <Table.Th>Aliases</Table.Th>
                <Table.Th>Files</Table.Th>
                <Table.Th>Size</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {list.map((one) => {
                const version = `v${one.versionIndex ?? 0}`;
                const { name: project, entityName: entity } = one.artifactSequence.project ?? { name: name.project, entityName: name.entity };
                return (
                  <Table.Tr key={one.id}>
                    <Table.Td>
                      <Anchor component={Link} to={paths.artifact(entity, project, one.artifactType.name, one.artifactSequence.name, version)} size="sm">
                        {one.artifactSequence.name}:{version}
                      </Anchor>
                    </Table.Td>
                    <Table.Td>{one.artifactType.name}</Table.Td>
                    <Table.Td>{one.aliases.map(({ alias }) => alias).join(", ") || "–"}</Table.Td>
                    <Table.Td>{count(one.fileCount)}</Table.Td>
                    <Table.Td>{bytes(one.size)}</Table.Td>
                  </Table.Tr>
                );
              })}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
    </section>
  );
}
