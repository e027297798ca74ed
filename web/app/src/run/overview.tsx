import { ErrorNotice, Loading } from "@kubewandb/ui";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { type RunHead, type RunInfo, infoQuery, valuesQuery } from "../data/run.ts";
import { type Json, configOf, parseJson } from "../json.ts";
import { paths } from "../paths.ts";
import { useRun } from "./page.tsx";
import { Tree } from "./tree.tsx";
import classes from "./page.module.css";

/** The run's summary and configuration, and what it ran on. */
export function Overview() {
  const { name, head } = useRun();
  const values = useQuery(valuesQuery(name));
  const info = useQuery(infoQuery(name));
  const config = useMemo(() => configOf(values.data?.config), [values.data]);
  const summary = useMemo(() => withoutOwn(parseJson(values.data?.summaryMetrics)), [values.data]);
  const fileLink = (path: string) => paths.file(name.entity, name.project, name.run, path);
  if (values.isPending) return <Loading what="the values" />;
  if (values.error && !values.data) return <ErrorNotice error={values.error} title="The values could not be loaded" onRetry={() => void values.refetch()} />;
  return (
    <div className={classes.columns}>
      <Tree title="Summary" value={summary} empty="Nothing was logged yet." fileLink={fileLink} />
      <Tree title="Config" value={config} empty="The run was started without a configuration." />
      {/* What the run ran on comes from a file that the client sends at its end: without it there is nothing to show. */}
      <Tree title="Environment" value={environment(head, info.data)} empty={info.isPending ? "Loading…" : "The configuration tells nothing about the machine. See wandb-metadata.json under Files."} />
    </div>
  );
}

/** Without what the client keeps for itself. */
function withoutOwn(json: Json | undefined): Json | undefined {
  return json?.kind === "object" ? { ...json, entries: json.entries.filter(([key]) => key !== "_wandb") } : json;
}

function environment(head: RunHead, info: RunInfo | null | undefined): Json {
  const rows: [string, string | number | null | undefined][] = [
    ["program", info?.program],
    ["arguments", info?.args?.join(" ")],
    ["system", info?.os],
    ["python", info?.python],
    ["executable", info?.executable],
    ["CPU cores", info?.cpuCount],
    ["GPU", info?.gpu && info.gpuCount ? `${info.gpuCount} × ${info.gpu}` : info?.gpu],
    ["git repository", info?.git?.remote],
    ["git commit", info?.git?.commit ?? head.commit],
  ];
  return {
    kind: "object",
    entries: rows.flatMap(([key, value]): [string, Json][] => (value === null || value === undefined || value === "" ? [] : [[key, { kind: "string", value: String(value) }]])),
  };
}
