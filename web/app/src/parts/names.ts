import { useMemo } from "react";
import { useParams } from "react-router";
import type { ProjectName } from "../data/project.ts";
import type { RunName } from "../data/run.ts";

/** The project in the page's address. */
export function useProjectName(): ProjectName {
  const { entity = "", project = "" } = useParams();
  return useMemo(() => ({ entity, project }), [entity, project]);
}

/** The run in the page's address. */
export function useRunName(): RunName {
  const { entity = "", project = "", run = "" } = useParams();
  return useMemo(() => ({ entity, project, run }), [entity, project, run]);
}
