import type { ProjectName } from "../data/project.ts";
import { paths } from "../paths.ts";
import { Tabs, Trail } from "./trail.tsx";
import { useEmbedded } from "./embedded.ts";

/** Where a page of a project is, and, at the first level, the ways to the project's other pages. */
export function ProjectHead({ name: { entity, project }, deeper = [] }: { name: ProjectName; deeper?: { label: string; to: string }[] }) {
  const embedded = useEmbedded();
  if (embedded) return null;
  const to = paths.project(entity, project);
  return (
    <>
      <Trail steps={[{ label: entity, to: paths.projects(entity) }, { label: project, to }, ...deeper]} />
      {deeper.length === 0 && (
        <Tabs
          label="Project"
          tabs={[
            { label: "Runs", to, end: true },
            { label: "Sweeps", to: paths.sweeps(entity, project) },
            { label: "Artifacts", to: paths.artifacts(entity, project) },
            { label: "Settings", to: paths.projectSettings(entity, project) },
          ]}
        />
      )}
    </>
  );
}
