import { Anchor, Paper, Text } from "@mantine/core";
import { ErrorNotice, Page } from "@kubewandb/ui";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { recentQuery } from "../data/project.ts";
import { useUser } from "../gates.tsx";
import { ProjectTable } from "../parts/projecttable.tsx";
import { Steps } from "../parts/steps.tsx";
import { paths } from "../paths.ts";
import { site } from "../site.ts";

/** The start page: recent projects; before the first, the way from nothing to a run. */
export function Home() {
  const { name, admin } = useUser();
  const recent = useQuery(recentQuery);
  const { projects, entities } = recent.data ?? { projects: [], entities: [] };
  const first = recent.data?.projects.length === 0;
  return (
    <Page
      title={`Welcome, ${name.trim().split(/\s+/)[0] ?? name}`}
      site={site}
      width="reading"
      description={recent.isPending ? "Looking for your projects…" : first ? "Four steps from here to your first tracked run." : undefined}
    >
      {recent.error && !recent.data && <ErrorNotice error={recent.error} title="Your projects could not be loaded" onRetry={() => void recent.refetch()} />}
      {projects.length > 0 && (
        <section aria-labelledby="recent" style={{ marginBottom: "2rem" }}>
          <h2 id="recent" style={{ fontSize: "1.125rem", margin: "0 0 0.5rem" }}>
            Recent projects
          </h2>
          <ProjectTable label="Recent projects" projects={projects} entities={entities.length > 1} />
          <Text size="sm" c="dimmed" mt="sm">
            All projects of{" "}
            {entities.map((entity, index) => (
              <span key={entity}>
                {index > 0 && ", "}
                <Anchor component={Link} to={paths.projects(entity)} size="sm">
                  {entity}
                </Anchor>
              </span>
            ))}
            . New here? <Anchor component={Link} to="/quickstart" size="sm">Track a run in four steps</Anchor>.
          </Text>
        </section>
      )}
      {first && <Steps />}
      {admin && (
        <Paper withBorder p="md" radius="lg">
          <Text size="sm">
            You administer this instance. Its state, release and settings are in the{" "}
            <Anchor href="/console/">System Console</Anchor>.
          </Text>
        </Paper>
      )}
    </Page>
  );
}
