import { Text } from "@mantine/core";
import { Command, ErrorNotice, Loading, Page } from "@kubewandb/ui";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useParams } from "react-router";
import { projectsQuery } from "../data/project.ts";
import { nodesOf } from "../graphql.ts";
import { More } from "../parts/more.tsx";
import { ProjectTable } from "../parts/projecttable.tsx";
import { StorageUse } from "../parts/storage.tsx";
import { site } from "../site.ts";

/** The projects of one entity. */
export function Projects() {
  const { entity = "" } = useParams();
  const query = useInfiniteQuery(projectsQuery(entity));
  const projects = query.data?.pages.flatMap((page) => nodesOf(page)) ?? [];
  return (
    <Page title={`Projects of ${entity}`} site={site}>
      <StorageUse entity={entity} />
      {query.error && !query.data && <ErrorNotice error={query.error} title="The projects could not be loaded" onRetry={() => void query.refetch()} />}
      {query.isPending && <Loading what="the projects" />}
      {query.data && projects.length === 0 && (
        <>
          <Text c="dimmed" mb="sm">
            {entity} has no projects, or you may not see them. A project is made by its first run:
          </Text>
          <Command value={`wandb.init(entity=${JSON.stringify(entity)}, project="my-project")`} what="line of Python" />
        </>
      )}
      {projects.length > 0 && <ProjectTable label={`Projects of ${entity}`} projects={projects} />}
      <More query={query} what="projects" />
    </Page>
  );
}
