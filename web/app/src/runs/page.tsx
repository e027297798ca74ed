import { Button, Group, Text } from "@mantine/core";
import { Command, ErrorNotice, Loading, Page } from "@kubewandb/ui";
import { IconChartLine, IconColumns } from "@tabler/icons-react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import { useSearchParams } from "react-router";
import { ViewControls, plainView } from "../chart/controls.tsx";
import { paletteSize } from "../chart/palette.ts";
import { type ProjectName, runsQuery } from "../data/project.ts";
import { livingStates } from "../data/run.ts";
import { parseFilter } from "../filter.ts";
import { counted } from "../number.ts";
import { Missing } from "../parts/missing.tsx";
import { useProjectName } from "../parts/names.ts";
import { ProjectHead } from "../parts/projecthead.tsx";
import { paths } from "../paths.ts";
import { site } from "../site.ts";
import { Chooser } from "./chooser.tsx";
import { Compare } from "./compare.tsx";
import { FilterBox } from "./filterbox.tsx";
import { type Row, columnsOf, metricsOf, orderKey, rowOf, usualColumns } from "./row.ts";
import { RunTable } from "./table.tsx";
import classes from "./page.module.css";

/** Curves that are drawn before anybody chose. */
const usualCurves = 8;

const none: Row[] = [];

/** The runs of a project beside charts of their metrics. What is chosen stands in the address, so that it can be shared. */
export function Runs() {
  const name = useProjectName();
  const [search, setSearch] = useSearchParams();
  const change = useCallback(
    (values: Record<string, string | string[] | undefined>) => {
      setSearch(
        (before) => {
          const next = new URLSearchParams(before);
          for (const [key, value] of Object.entries(values)) {
            next.delete(key);
            for (const one of typeof value === "string" ? [value] : (value ?? [])) next.append(key, one);
          }
          return next;
        },
        { replace: true, preventScrollReset: true },
      );
    },
    [setSearch],
  );

  const filterText = search.get("filter") ?? "";
  const sort = readSort(search.get("sort"));
  const parsed = parseFilter(filterText);
  const query = useInfiniteQuery({
    ...runsQuery(name, parsed.ok ? parsed.filter : "{}", `${sort.desc ? "-" : "+"}${orderKey(sort.id) ?? "created_at"}`),
    placeholderData: (before) => before,
    refetchInterval: ({ state }) => {
      const pages = state.data?.pages ?? [];
      const living = pages.some((page) => page?.runs?.edges.some(({ node }) => livingStates.includes(node.state)));
      return living && pages.length <= 3 ? 8_000 : 60_000;
    },
  });

  const pages = query.data?.pages;
  const rows = useMemo(() => pages?.flatMap((page) => page?.runs?.edges.map(({ node }) => rowOf(node)) ?? []) ?? none, [pages]);
  const total = pages?.[0]?.runCount ?? rows.length;
  if (pages?.[0] === null) return <Missing what="project" name={`${name.entity}/${name.project}`} to={paths.projects(name.entity)} label={`the projects of ${name.entity}`} />;
  const columns = readList(search, "columns") ?? usualColumns(rows);
  return (
    <Page title={name.project} site={site} width="full" above={<ProjectHead name={name} />}>
      {query.error && !query.data && <ErrorNotice error={query.error} title="The runs could not be loaded" onRetry={() => void query.refetch()} />}
      {query.isPending && <Loading what="the runs" />}
      {query.data && total === 0 && filterText === "" ? (
        <NoRuns name={name} />
      ) : (
        query.data && (
          <>
            <div className={classes.bar}>
              <FilterBox value={filterText} columns={columnsOf(rows)} onChange={(text) => { change({ filter: text || undefined }); }} />
              <Group gap="xs">
                <Text size="sm" c="dimmed" role="status">
                  {counted(total, "run")}
                  {query.error ? ", not up to date" : ""}
                </Text>
                <Chooser label="Columns" icon={<IconColumns size={16} aria-hidden />} options={columnsOf(rows)} chosen={columns} onChange={(chosen) => { change({ columns: list(chosen) }); }} />
              </Group>
            </div>
            <Workspace
              name={name}
              rows={rows}
              total={total}
              columns={columns}
              sort={sort}
              charts={readList(search, "charts")}
              onCharts={(chosen) => { change({ charts: list(chosen) }); }}
              onSort={({ id, desc }) => { change({ sort: `${desc ? "-" : ""}${id}` }); }}
              onEnd={() => { if (query.hasNextPage && !query.isFetchingNextPage) void query.fetchNextPage(); }}
              onReset={() => { change({ filter: undefined }); }}
            />
          </>
        )
      )}
    </Page>
  );
}

interface WorkspaceProps {
  name: ProjectName;
  rows: Row[];
  total: number;
  columns: string[];
  sort: { id: string; desc: boolean };
  charts: string[] | undefined;
  onCharts: (chosen: string[]) => void;
  onSort: (sort: { id: string; desc: boolean }) => void;
  onEnd: () => void;
  onReset: () => void;
}

function Workspace({ name, rows, total, columns, sort, charts, onCharts, onSort, onEnd, onReset }: WorkspaceProps) {
  const [view, setView] = useState(plainView);
  const [picked, setPicked] = useState<ReadonlySet<string>>();
  const shown = useMemo(() => {
    const chosen = rows.filter(({ run }, index) => (picked ? picked.has(run.name) : index < usualCurves));
    return new Map(chosen.map(({ run }, index) => [run.name, index % paletteSize]));
  }, [rows, picked]);
  const all = useMemo(() => metricsOf(rows), [rows]);
  const metrics = charts ?? all.slice(0, 6);
  if (total === 0) {
    return (
      <div className={classes.nothing}>
        <p>No run meets this filter.</p>
        <Button variant="default" onClick={onReset}>
          Clear the filter
        </Button>
      </div>
    );
  }
  const show = (run: string, on: boolean) => {
    const next = new Set(picked ?? shown.keys());
    if (on) next.add(run);
    else next.delete(run);
    setPicked(next);
  };
  return (
    <div className={classes.workspace}>
      <div className={classes.runs}>
        <RunTable name={name} rows={rows} total={total} columns={columns} sort={sort} onSort={onSort} shown={shown} onShow={show} onEnd={onEnd} />
      </div>
      <section className={classes.charts} aria-labelledby="charts">
        <div className={classes.bar}>
          <h2 id="charts" className={classes.subtitle}>
            Charts
          </h2>
          <ViewControls view={view} onChange={setView} />
          <Chooser label="Metrics" icon={<IconChartLine size={16} aria-hidden />} options={all} chosen={metrics} onChange={onCharts} />
        </div>
        {shown.size === 0 ? (
          <p className={classes.hint}>Tick runs in the table to see their curves.</p>
        ) : metrics.length === 0 ? (
          <p className={classes.hint}>These runs have logged no numbers yet.</p>
        ) : (
          <Compare name={name} rows={rows} shown={shown} metrics={metrics} view={view} />
        )}
      </section>
    </div>
  );
}

function NoRuns({ name }: { name: ProjectName }) {
  return (
    <div className={classes.nothing}>
      <p>This project has no runs yet. The first one appears here as soon as it starts:</p>
      <Command value={`wandb.init(entity=${JSON.stringify(name.entity)}, project=${JSON.stringify(name.project)})`} what="line of Python" />
    </div>
  );
}

function readSort(text: string | null): { id: string; desc: boolean } {
  const id = (text ?? "").replace(/^-/, "");
  return orderKey(id) && id !== "" ? { id, desc: (text ?? "").startsWith("-") } : { id: "created", desc: true };
}

/** Undefined where nothing was chosen; a choice of nothing stands in the address as an empty value. */
function readList(search: URLSearchParams, key: string): string[] | undefined {
  return search.has(key) ? search.getAll(key).filter((name) => name !== "") : undefined;
}

function list(chosen: string[]): string[] {
  return chosen.length > 0 ? chosen : [""];
}
