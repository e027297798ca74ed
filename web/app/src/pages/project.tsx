import { Button, Group, Paper, Stack, Text, TextInput, Title } from "@mantine/core";
import { Dialog, ErrorNotice, Loading, Page, TimeAgo, useAnnounce } from "@kubewandb/ui";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate } from "react-router";
import { type ProjectName, type ProjectSettings as Settings, deleteProjectOperation, projectQuery } from "../data/project.ts";
import { ask } from "../graphql.ts";
import { Details } from "../parts/details.tsx";
import { Missing } from "../parts/missing.tsx";
import { useProjectName } from "../parts/names.ts";
import { ProjectHead } from "../parts/projecthead.tsx";
import { paths } from "../paths.ts";
import { site } from "../site.ts";

/** Who may see the project beside the members of its entity. */
const openness: Record<string, string> = {
  PRIVATE: "Nobody else sees it",
  USER_READ: "Everybody who is signed in may look",
  USER_WRITE: "Everybody who is signed in may look and log runs",
};

/** What a project is, and its end. */
export function ProjectSettings() {
  const name = useProjectName();
  const query = useQuery(projectQuery(name));
  if (query.data === null) return <Missing what="project" name={`${name.entity}/${name.project}`} to={paths.projects(name.entity)} label={`the projects of ${name.entity}`} />;
  return (
    <Page title="Project settings" site={site} width="reading" above={<ProjectHead name={name} />}>
      {query.error && !query.data && <ErrorNotice error={query.error} title="The project could not be loaded" onRetry={() => void query.refetch()} />}
      {query.isPending && <Loading what="the project" />}
      {query.data && <Sections name={name} project={query.data} />}
    </Page>
  );
}

function Sections({ name, project }: { name: ProjectName; project: Settings }) {
  return (
    <Stack gap="lg">
      <Paper component="section" withBorder p="lg" radius="lg" aria-labelledby="about">
        <Title order={2} id="about" mb="md">
          About
        </Title>
        <Details
          rows={[
            ["Name", project.name],
            ["Belongs to", name.entity],
            ["Others", openness[project.access ?? ""] ?? project.access],
            ["Created", <TimeAgo key="created" time={project.createdAt} />],
          ]}
        />
      </Paper>
      <Paper component="section" withBorder p="lg" radius="lg" aria-labelledby="end">
        <Title order={2} id="end">
          Delete this project
        </Title>
        <End name={name} project={project} />
      </Paper>
    </Stack>
  );
}

function End({ name, project }: { name: ProjectName; project: Settings }) {
  const [asking, setAsking] = useState(false);
  if (!project.manageable) {
    return (
      <Text size="sm" c="dimmed" mt={4}>
        Only administrators of {name.entity} may delete it.
      </Text>
    );
  }
  return (
    <>
      <Text size="sm" c="dimmed" mt={4} mb="md">
        Its runs, files, artifacts, sweeps and reports go with it, and programs that still log to it fail.
      </Text>
      <Button
        color="red"
        onClick={() => {
          setAsking(true);
        }}
      >
        Delete project…
      </Button>
      {asking && (
        <DeleteDialog
          name={name}
          project={project}
          onClose={() => {
            setAsking(false);
          }}
        />
      )}
    </>
  );
}

/** Asks for the project's name: a project is too much to lose by two clicks. */
function DeleteDialog({ name, project, onClose }: { name: ProjectName; project: Settings; onClose: () => void }) {
  const client = useQueryClient();
  const announce = useAnnounce();
  const navigate = useNavigate();
  const [typed, setTyped] = useState("");
  const remove = useMutation({
    mutationFn: () => ask(deleteProjectOperation, { id: project.id }),
    onSuccess: async () => {
      announce(`Project ${project.name} deleted.`);
      await navigate(paths.projects(name.entity));
      client.removeQueries({ queryKey: projectQuery(name).queryKey });
      client.removeQueries({ queryKey: ["runs", name.entity, name.project] });
      await client.invalidateQueries({ queryKey: ["projects"] });
    },
  });
  return (
    <Dialog opened onClose={onClose} title="Delete this project?">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (typed === project.name) remove.mutate();
        }}
      >
        <Stack gap="md">
          <Text size="sm">
            Everything in <strong>{project.name}</strong> is removed: runs with their metrics and files, artifacts, sweeps and reports. This
            cannot be undone.
          </Text>
          <TextInput
            label="Name of the project"
            description={`Type ${project.name} to go on.`}
            value={typed}
            autoComplete="off"
            spellCheck={false}
            data-autofocus
            onChange={(event) => {
              setTyped(event.currentTarget.value);
            }}
          />
          {remove.error && <ErrorNotice error={remove.error} title="The project was not deleted" />}
          <Group justify="flex-end" gap="sm">
            <Button variant="default" onClick={onClose}>
              Keep it
            </Button>
            <Button type="submit" color="red" disabled={typed !== project.name} loading={remove.isPending}>
              Delete project
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}
