import { TextInput } from "@mantine/core";
import { ErrorNotice, Loading } from "@kubewandb/ui";
import { IconSearch } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useDeferredValue, useMemo, useState } from "react";
import { ChartCard } from "../chart/card.tsx";
import { type View, ViewControls, plainView } from "../chart/controls.tsx";
import { Plot } from "../chart/plot.tsx";
import { type HistoryKeys, type RunName, keysQuery } from "../data/run.ts";
import { samplesQuery } from "../data/samples.ts";
import { counted } from "../number.ts";
import { useSeen } from "../parts/inview.ts";
import { useRun } from "./page.tsx";
import { Section } from "./section.tsx";
import classes from "./page.module.css";

/** Sections that exist at once; a search finds the others. */
const sectionLimit = 100;

/** A chart per metric, in sections by what stands before the first "/" of its name. */
export function Charts() {
  const { name, living } = useRun();
  const keys = useQuery(keysQuery(name));
  const [view, setView] = useState(plainView);
  const [search, setSearch] = useState("");
  const sought = useDeferredValue(search);
  const { numbers, others } = useMemo(() => sortKeys(keys.data), [keys.data]);
  const sections = useMemo(() => sectionsOf(numbers.filter((key) => key.toLowerCase().includes(sought.toLowerCase()))), [numbers, sought]);
  if (keys.isPending) return <Loading what="the metrics" />;
  if (keys.error && !keys.data) return <ErrorNotice error={keys.error} title="The metrics could not be loaded" onRetry={() => void keys.refetch()} />;
  if (numbers.length === 0) {
    return <p className={classes.hint}>{living ? "Nothing was logged yet. Charts appear here with the first numbers." : "This run logged no numbers."}</p>;
  }
  return (
    <>
      <div className={classes.tools}>
        <TextInput
          className={classes.search ?? ""}
          aria-label="Search metrics"
          placeholder={`Search ${counted(numbers.length, "metric")}`}
          leftSection={<IconSearch size={16} aria-hidden />}
          value={search}
          onChange={(event) => {
            setSearch(event.currentTarget.value);
          }}
        />
        <ViewControls view={view} onChange={setView} />
      </div>
      {sections.length === 0 && <p className={classes.hint}>No metric is called like this.</p>}
      {sections.slice(0, sectionLimit).map(([title, items], index) => (
        <Section key={`${title}:${sought === ""}`} title={title} items={items} opened={index < 12 || sought !== ""} draw={(key) => <MetricChart key={key} name={name} metric={key} view={view} />} />
      ))}
      {sections.length > sectionLimit && <p className={classes.hint}>{counted(sections.length - sectionLimit, "further section")}: search for a metric to see it.</p>}
      {others.length > 0 && (
        <p className={classes.hint}>
          {counted(others.length, "further key")} without numbers: {others.slice(0, 8).join(", ")}
          {others.length > 8 ? ", …" : ""}. Their last values are under Overview, their files under Files.
        </p>
      )}
    </>
  );
}

function MetricChart({ name, metric, view }: { name: RunName; metric: string; view: View }) {
  const [element, seen] = useSeen<HTMLElement>();
  const samples = useQuery({ ...samplesQuery(name, metric, view.axis), enabled: seen });
  const series = useMemo(() => (samples.data ? [{ ...samples.data, label: metric, color: 0 }] : []), [samples.data, metric]);
  return (
    <ChartCard
      title={metric}
      element={element}
      loading={!samples.data && !samples.error}
      error={samples.data ? null : samples.error}
      onRetry={() => void samples.refetch()}
      empty={samples.data?.x.length === 0}
    >
      <Plot title={metric} series={series} axis={view.axis} log={view.log} smoothing={view.smoothing} single />
    </ChartCard>
  );
}

/** Keys with numbers, to chart, and the others; those that the client adds are left out. */
export function sortKeys(history: HistoryKeys | null | undefined): { numbers: string[]; others: string[] } {
  const numbers: string[] = [];
  const others: string[] = [];
  for (const [key, { typeCounts }] of Object.entries(history?.keys ?? {})) {
    if (key.startsWith("_")) continue;
    const isNumber = !typeCounts || typeCounts.some(({ type }) => type === "number");
    (isNumber ? numbers : others).push(key);
  }
  return { numbers, others };
}

/** Keys by the part before the first "/", in the order of their names; those without come first. */
export function sectionsOf(keys: string[]): [string, string[]][] {
  const sections = new Map<string, string[]>();
  for (const key of keys) {
    const slash = key.indexOf("/");
    const title = slash > 0 ? key.slice(0, slash) : "Charts";
    const list = sections.get(title);
    if (list) list.push(key);
    else sections.set(title, [key]);
  }
  const sorted = [...sections].sort(([a], [b]) => Number(b === "Charts") - Number(a === "Charts") || a.localeCompare(b));
  return sorted.map(([title, list]) => [title, list.sort((a, b) => a.localeCompare(b, "en", { numeric: true }))]);
}
