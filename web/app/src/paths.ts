/** Addresses of the pages, as the client prints them. Names may hold anything: each part is encoded. */
export const paths = {
  projects: (entity: string) => join(entity, "projects"),
  project: (entity: string, project: string) => join(entity, project),
  run: (entity: string, project: string, run: string, tab?: string) => join(entity, project, "runs", run, ...(tab ? [tab] : [])),
  file: (entity: string, project: string, run: string, file: string) => join(entity, project, "runs", run, "files", ...file.split("/")),
  sweeps: (entity: string, project: string) => join(entity, project, "sweeps"),
  sweep: (entity: string, project: string, sweep: string) => join(entity, project, "sweeps", sweep),
  projectSettings: (entity: string, project: string) => join(entity, project, "settings"),
  artifacts: (entity: string, project: string, type?: string) => join(entity, project, "artifacts", ...(type ? [type] : [])),
  artifact: (entity: string, project: string, type: string, collection: string, version?: string) =>
    join(entity, project, "artifacts", type, collection, ...(version ? [version] : [])),
};

function join(...parts: string[]): string {
  return `/${parts.map(encodeURIComponent).join("/")}`;
}
