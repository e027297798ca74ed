import { Anchor, Table, Text } from "@mantine/core";
import { Command, ErrorNotice, Loading, Page, TimeAgo } from "@kubewandb/ui";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { sweepsQuery } from "../data/sweep.ts";
import { nodesOf } from "../graphql.ts";
import { count, short } from "../number.ts";
import { Missing } from "../parts/missing.tsx";
import { More } from "../parts/more.tsx";
import { useProjectName } from "../parts/names.ts";
import { ProjectHead } from "../parts/projecthead.tsx";
import { StateMark } from "../parts/state.tsx";
import { paths } from "../paths.ts";
import { site } from "../site.ts";

/** The sweeps of a project. */
export function Sweeps() {
  const name = useProjectName();
  const query = useInfiniteQuery(sweepsQuery(name));
  const sweeps = query.data?.pages.flatMap((page) => nodesOf(page?.sweeps)) ?? [];
  if (query.data?.pages[0] === null) return <Missing what="project" name={`${name.entity}/${name.project}`} to={paths.projects(name.entity)} label={`the projects of ${name.entity}`} />;
  return (
    <Page title="Sweeps" site={site} width="full" above={<ProjectHead name={name} />}>
      {query.error && !query.data && <ErrorNotice error={query.error} title="The sweeps could not be loaded" onRetry={() => void query.refetch()} />}
      {query.isPending && <Loading what="the sweeps" />}
      {query.data && sweeps.length === 0 && (
        <div style={{ maxWidth: "46rem" }}>
          <Text c="dimmed" mb="sm">
            This project has no sweeps yet. Write what to try into <code>sweep.yaml</code>, then run:
          </Text>
          <Command value={`wandb sweep --entity ${name.entity} --project ${JSON.stringify(name.project)} sweep.yaml`} what="sweep command" prompt />
        </div>
      )}
      {sweeps.length > 0 && (
        <Table.ScrollContainer minWidth={560} maw="70rem">
          <Table aria-label="Sweeps">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Name</Table.Th>
                <Table.Th>State</Table.Th>
                <Table.Th>Method</Table.Th>
                <Table.Th>Runs</Table.Th>
                <Table.Th>Best</Table.Th>
                <Table.Th>Created</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {sweeps.map((sweep) => (
                <Table.Tr key={sweep.id}>
                  <Table.Td>
                    <Anchor component={Link} to={paths.sweep(name.entity, name.project, sweep.name)} size="sm">
                      {sweep.displayName ?? sweep.name}
                    </Anchor>
                  </Table.Td>
                  <Table.Td>
                    <StateMark state={sweep.state} />
                  </Table.Td>
                  <Table.Td>{sweep.method}</Table.Td>
                  <Table.Td>
                    {count(sweep.runCount)}
                    {sweep.runCountExpected === null ? "" : ` of ${count(sweep.runCountExpected)}`}
                  </Table.Td>
                  <Table.Td>{sweep.bestLoss === null ? "–" : short(sweep.bestLoss)}</Table.Td>
                  <Table.Td>
                    <TimeAgo time={sweep.createdAt} />
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      <More query={query} what="sweeps" />
    </Page>
  );
}
