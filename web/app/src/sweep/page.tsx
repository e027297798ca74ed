import { Anchor, Button, Group, Stack, Text } from "@mantine/core";
import { Command, Dialog, ErrorNotice, Loading, Page, TimeAgo, useAnnounce } from "@kubewandb/ui";
import { IconPlayerPause, IconPlayerPlay, IconPlayerStop } from "@tabler/icons-react";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import { Link, useParams } from "react-router";
import "../chart/curves.css";
import { type ProjectName, projectQuery, runsQuery } from "../data/project.ts";
import { type Sweep, changeSweepOperation, sweepQuery } from "../data/sweep.ts";
import { ask, nodesOf } from "../graphql.ts";
import { numberOf } from "../json.ts";
import { count, short } from "../number.ts";
import { useEmbedded } from "../parts/embedded.ts";
import { Missing } from "../parts/missing.tsx";
import { useProjectName } from "../parts/names.ts";
import { ProjectHead } from "../parts/projecthead.tsx";
import { StateMark } from "../parts/state.tsx";
import { paths } from "../paths.ts";
import { type Row, nameOf, orderKey, rowOf } from "../runs/row.ts";
import { RunTable } from "../runs/table.tsx";
import pageClasses from "../run/page.module.css";
import { site } from "../site.ts";
import { type SweepPlan, readPlan } from "./config.ts";
import { Picture } from "./picture.tsx";
import classes from "./sweep.module.css";

/** A sweep: its state, what it tries, how its runs did. */
export function SweepPage() {
  const name = useProjectName();
  const { sweep: sweepName = "" } = useParams();
  const query = useQuery(sweepQuery(name, sweepName));
  const project = useQuery(projectQuery(name));
  const sweep = query.data;
  if (sweep === null) return <Missing what="sweep" name={sweepName} to={paths.sweeps(name.entity, name.project)} label={`the sweeps of ${name.project}`} />;
  if (!sweep) {
    return query.error ? (
      <Page title="Sweep" site={site} width="reading">
        <ErrorNotice error={query.error} title="The sweep could not be loaded" onRetry={() => void query.refetch()} />
      </Page>
    ) : (
      <Loading what="the sweep" />
    );
  }
  const title = sweep.displayName ?? sweep.name;
  return (
    <Page
      title={title}
      heading={
        <span className={pageClasses.heading}>
          {title}
          <span className={pageClasses.headstate}>
            <StateMark state={sweep.state} />
          </span>
        </span>
      }
      site={site}
      width="full"
      above={<ProjectHead name={name} deeper={[{ label: "sweeps", to: paths.sweeps(name.entity, name.project) }]} />}
      description={<Facts sweep={sweep} />}
      actions={project.data?.readOnly === false ? <Actions name={name} sweep={sweep} /> : undefined}
    >
      <Body key={sweep.name} name={name} sweep={sweep} />
    </Page>
  );
}

function Facts({ sweep }: { sweep: Sweep }) {
  const facts: [string, React.ReactNode][] = [
    ["Method", sweep.method],
    ["Runs", count(sweep.runCount) + (sweep.runCountExpected === null ? "" : ` of ${count(sweep.runCountExpected)}`)],
    ["Best", sweep.bestLoss === null ? "–" : short(sweep.bestLoss)],
    ["Created", <TimeAgo key="created" time={sweep.createdAt} />],
    ["Id", <code key="id">{sweep.name}</code>],
  ];
  return (
    <dl className={classes.facts}>
      {facts.map(([label, value]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Body({ name, sweep }: { name: ProjectName; sweep: Sweep }) {
  const plan = useMemo(() => readPlan(sweep.config), [sweep.config]);
  const [sort, setSort] = useState(plan.metric ? { id: `summary.${plan.metric}`, desc: !plan.minimize } : { id: "created", desc: true });
  const filter = JSON.stringify({ $and: [{ sweep: sweep.name }] });
  const query = useInfiniteQuery({
    ...runsQuery(name, filter, `${sort.desc ? "-" : "+"}${orderKey(sort.id) ?? "created_at"}`, 100),
    placeholderData: (before) => before,
    refetchInterval: sweep.state === "RUNNING" ? 8_000 : false,
  });
  const pages = query.data?.pages;
  const rows = useMemo(() => pages?.flatMap((page) => nodesOf(page?.runs).map(rowOf)) ?? [], [pages]);
  const total = pages?.[0]?.runCount ?? rows.length;
  const columns = useMemo(() => [...(plan.metric ? [`summary.${plan.metric}`] : []), ...plan.parameters.map((key) => `config.${key}`)], [plan]);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = query;
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  return (
    <>
      <div className={classes.columns}>
        <section className={classes.section} aria-labelledby="picture">
          <h2 id="picture" className={classes.subtitle}>
            {plan.metric ? `Parameters and ${plan.metric}` : "Parameters"}
          </h2>
          <Best name={name} rows={rows} plan={plan} />
          {plan.metric && <Picture rows={rows} parameters={plan.parameters} metric={plan.metric} minimize={plan.minimize} link={(run) => paths.run(name.entity, name.project, run)} />}
          {!plan.metric && <p className={classes.hint}>This sweep names no metric to compare its runs by.</p>}
        </section>
        <section className={classes.section} aria-labelledby="config">
          <h2 id="config" className={classes.subtitle}>
            Configuration
          </h2>
          <Command value={sweep.config} what="configuration" />
          <Text size="sm" c="dimmed" mt="sm" mb={4}>
            Start an agent on any machine:
          </Text>
          <Command value={`wandb agent ${name.entity}/${name.project}/${sweep.name}`} what="agent command" prompt />
        </section>
      </div>
      <section aria-labelledby="runs">
        <h2 id="runs" className={classes.subtitle}>
          Runs
        </h2>
        {query.error && !query.data && <ErrorNotice error={query.error} title="The runs could not be loaded" onRetry={() => void query.refetch()} />}
        {query.isPending && <Loading what="the runs" />}
        {query.data && total === 0 && <Text c="dimmed">No run yet: the sweep waits for an agent.</Text>}
        {total > 0 && (
          <div className={classes.table}>
            <RunTable name={name} rows={rows} total={total} columns={columns} sort={sort} onSort={setSort} onEnd={more} />
          </div>
        )}
      </section>
    </>
  );
}

function Best({ name, rows, plan }: { name: ProjectName; rows: Row[]; plan: SweepPlan }) {
  const best = bestOf(rows, plan);
  if (!best || !plan.metric) return null;
  return (
    <Text size="sm" mb="xs">
      Best of those loaded:{" "}
      <Anchor component={Link} to={paths.run(name.entity, name.project, best.run.name)} size="sm">
        {nameOf(best.run)}
      </Anchor>{" "}
      with {plan.metric} {short(numberOf(best.values.get(`summary.${plan.metric}`)) ?? NaN)}
    </Text>
  );
}

/** The run with the best metric; undefined before any has logged it. */
export function bestOf(rows: Row[], { metric, minimize }: Pick<SweepPlan, "metric" | "minimize">): Row | undefined {
  let best: { row: Row; value: number } | undefined;
  for (const row of rows) {
    const value = numberOf(row.values.get(`summary.${metric ?? ""}`));
    if (value === undefined || Number.isNaN(value)) continue;
    if (!best || (minimize ? value < best.value : value > best.value)) best = { row, value };
  }
  return best?.row;
}

function Actions({ name, sweep }: { name: ProjectName; sweep: Sweep }) {
  const client = useQueryClient();
  const announce = useAnnounce();
  const embedded = useEmbedded();
  const [asking, setAsking] = useState(false);
  const change = useMutation({
    mutationFn: (state: string) => ask(changeSweepOperation, { ...name, id: sweep.id, state }),
    onSuccess: async (_, state) => {
      announce(state === "PAUSED" ? "Sweep paused." : state === "RUNNING" ? "Sweep resumed." : "Sweep stopped.");
      setAsking(false);
      await client.invalidateQueries({ queryKey: ["sweeps", name.entity, name.project] });
    },
  });
  const ended = ["FINISHED", "CANCELED", "CRASHED"].includes(sweep.state);
  if (ended || embedded) return null;
  const paused = sweep.state === "PAUSED";
  return (
    <Stack gap="xs" align="flex-end">
      <Group gap="xs">
        <Button
          variant="default"
          loading={change.isPending && !asking}
          leftSection={paused ? <IconPlayerPlay size={16} aria-hidden /> : <IconPlayerPause size={16} aria-hidden />}
          onClick={() => {
            change.mutate(paused ? "RUNNING" : "PAUSED");
          }}
        >
          {paused ? "Resume" : "Pause"}
        </Button>
        <Button
          variant="default"
          leftSection={<IconPlayerStop size={16} aria-hidden />}
          onClick={() => {
            setAsking(true);
          }}
        >
          Stop
        </Button>
      </Group>
      {change.error && !asking && <ErrorNotice error={change.error} title="The sweep was not changed" />}
      <Dialog
        opened={asking}
        onClose={() => {
          setAsking(false);
        }}
        title="Stop this sweep?"
      >
        <Stack gap="md">
          <Text size="sm">No new runs are started and agents end. Runs that are under way either finish, or are stopped as well. A stopped sweep cannot be resumed.</Text>
          {change.error && <ErrorNotice error={change.error} title="The sweep was not stopped" />}
          <Group justify="flex-end" gap="sm">
            <Button
              variant="default"
              data-autofocus
              onClick={() => {
                setAsking(false);
              }}
            >
              Let it go on
            </Button>
            <Button
              variant="default"
              loading={change.isPending}
              onClick={() => {
                change.mutate("CANCELED");
              }}
            >
              Stop, and its runs too
            </Button>
            <Button
              loading={change.isPending}
              onClick={() => {
                change.mutate("FINISHED");
              }}
            >
              Stop after these runs
            </Button>
          </Group>
        </Stack>
      </Dialog>
    </Stack>
  );
}
