import { Anchor, Table, Text } from "@mantine/core";
import { TimeAgo } from "@kubewandb/ui";
import { Link } from "react-router";
import type { Project } from "../data/project.ts";
import { count } from "../number.ts";
import { paths } from "../paths.ts";

/** Projects, each with a link; with their entities where there are several. */
export function ProjectTable({ label, projects, entities = false }: { label: string; projects: Project[]; entities?: boolean }) {
  return (
    <Table.ScrollContainer minWidth={320}>
      <Table aria-label={label} verticalSpacing="xs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Project</Table.Th>
            <Table.Th ta="right">Runs</Table.Th>
            <Table.Th>Created</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {projects.map((project) => (
            <Table.Tr key={project.id}>
              <Table.Td>
                <Anchor component={Link} to={paths.project(project.entityName, project.name)} fw={550}>
                  {project.name}
                </Anchor>
                {entities && (
                  <Text span size="sm" c="dimmed" ml={8}>
                    {project.entityName}
                  </Text>
                )}
                {project.description && (
                  <Text size="sm" c="dimmed">
                    {project.description}
                  </Text>
                )}
              </Table.Td>
              <Table.Td ta="right">{project.runCount === null ? "–" : count(project.runCount)}</Table.Td>
              <Table.Td>
                <TimeAgo time={project.createdAt} />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
