import { ErrorNotice, Loading, Page } from "@kubewandb/ui";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Suspense, useEffect, useRef } from "react";
import { Outlet, useOutletContext } from "react-router";
import { type Pulse, type RunHead, type RunName, headQuery, livingStates, pulseQuery, runKey } from "../data/run.ts";
import { useEmbedded } from "../parts/embedded.ts";
import { Missing } from "../parts/missing.tsx";
import { useRunName } from "../parts/names.ts";
import { ProjectHead } from "../parts/projecthead.tsx";
import { StateMark } from "../parts/state.tsx";
import { Tabs } from "../parts/trail.tsx";
import { paths } from "../paths.ts";
import { site } from "../site.ts";
import { Facts, Notes, RunActions } from "./head.tsx";
import classes from "./page.module.css";

export interface RunContext {
  name: RunName;
  head: RunHead;
  pulse: Pulse | undefined;
  living: boolean;
}

/** The run that the page is about, for the parts of the page. */
export function useRun(): RunContext {
  return useOutletContext<RunContext>();
}

/** A run: what it is, and below it one of its parts. */
export function Run() {
  const name = useRunName();
  const head = useQuery(headQuery(name));
  const pulse = useQuery({ ...pulseQuery(name), enabled: head.data != null });
  const embedded = useEmbedded();
  useChanges(name, pulse.data ?? undefined);
  if (head.data === null) {
    return <Missing what="run" name={name.run} to={paths.project(name.entity, name.project)} label={`the runs of ${name.project}`} />;
  }
  if (!head.data) {
    return head.error ? (
      <Page title="Run" site={site} width="reading">
        <ErrorNotice error={head.error} title="The run could not be loaded" onRetry={() => void head.refetch()} />
      </Page>
    ) : (
      <Loading what="the run" />
    );
  }
  const run = head.data;
  const state = pulse.data?.state ?? run.state;
  const title = run.displayName ?? run.name;
  const to = paths.run(name.entity, name.project, name.run);
  const context: RunContext = { name, head: run, pulse: pulse.data ?? undefined, living: livingStates.includes(state) };
  return (
    <Page
      title={title}
      heading={
        <span className={classes.heading}>
          {title}
          <span className={classes.headstate}>
            <StateMark state={state} />
          </span>
        </span>
      }
      site={site}
      width="full"
      above={<ProjectHead name={name} deeper={[{ label: "runs", to: `${paths.project(name.entity, name.project)}/runs` }]} />}
      description={<Facts name={name} run={run} heartbeatAt={pulse.data?.heartbeatAt ?? run.heartbeatAt} living={context.living} />}
      actions={embedded || run.readOnly ? undefined : <RunActions name={name} run={run} state={state} />}
    >
      <Notes key={run.id} name={name} run={run} editable={!embedded && !run.readOnly} />
      <Tabs
        label="Run"
        tabs={[
          { label: "Charts", to, end: true },
          { label: "System", to: `${to}/system` },
          { label: "Overview", to: `${to}/overview` },
          { label: "Console", to: `${to}/logs` },
          { label: "Files", to: `${to}/files` },
          { label: "Artifacts", to: `${to}/artifacts` },
        ]}
      />
      <Suspense fallback={<Loading what="this part" />}>
        <Outlet context={context} />
      </Suspense>
    </Page>
  );
}

/** Has fetched anew what changed since the last look, and nothing else. */
function useChanges(name: RunName, pulse: Pulse | undefined): void {
  const client = useQueryClient();
  const before = useRef<{ of: RunName; pulse: Pulse }>(null);
  useEffect(() => {
    if (!pulse) return;
    const last = before.current?.of === name ? before.current.pulse : undefined;
    before.current = { of: name, pulse };
    if (!last) return;
    const ended = last.state !== pulse.state;
    const stale: string[] = [];
    if (ended) stale.push("head", "artifacts", "files", "info");
    if (ended || last.historyLineCount !== pulse.historyLineCount) stale.push("history", "values");
    if (ended || last.eventsLineCount !== pulse.eventsLineCount) stale.push("events");
    if (ended || last.logLineCount !== pulse.logLineCount) stale.push("log");
    for (const part of stale) void client.invalidateQueries({ queryKey: [...runKey(name), part] });
  }, [client, name, pulse]);
}
