import { ErrorNotice, Loading } from "@kubewandb/ui";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { ChartCard } from "../chart/card.tsx";
import { ViewControls, plainView } from "../chart/controls.tsx";
import { Plot } from "../chart/plot.tsx";
import { eventsQuery } from "../data/run.ts";
import { type Samples, toSamples } from "../data/samples.ts";
import { flatten, numberOf, parseJson } from "../json.ts";
import { useRun } from "./page.tsx";
import { Section } from "./section.tsx";
import { type SystemMetric, systemMetric } from "./systemmetric.ts";
import classes from "./page.module.css";

interface Curve extends SystemMetric {
  key: string;
  samples: Samples;
}

/** What the client measured of the machine, over the run's time. */
export function System() {
  const { name, living } = useRun();
  const events = useQuery(eventsQuery(name));
  const [view, setView] = useState({ ...plainView, axis: "_runtime" as const });
  const sections = useMemo(() => curvesOf(events.data ?? []), [events.data]);
  if (events.isPending) return <Loading what="the system metrics" />;
  if (events.error && !events.data) return <ErrorNotice error={events.error} title="The system metrics could not be loaded" onRetry={() => void events.refetch()} />;
  if (sections.length === 0) {
    return <p className={classes.hint}>{living ? "The client sends its first measurements about 15 seconds after the start." : "This run sent no system metrics."}</p>;
  }
  return (
    <>
      <div className={classes.tools}>
        <ViewControls
          view={view}
          axis={false}
          onChange={(next) => {
            setView({ ...next, axis: "_runtime" });
          }}
        />
      </div>
      {sections.map(([title, curves]) => (
        <Section
          key={title}
          title={title}
          items={curves}
          opened
          draw={({ key, title: label, unit, samples }) => (
            <ChartCard key={key} title={label} loading={false} empty={samples.x.length === 0}>
              <SystemPlot label={label} unit={unit} samples={samples} log={view.log} smoothing={view.smoothing} />
            </ChartCard>
          )}
        />
      ))}
    </>
  );
}

function SystemPlot({ label, unit, samples, log, smoothing }: { label: string; unit: string; samples: Samples; log: boolean; smoothing: number }) {
  const series = useMemo(() => [{ ...samples, label, color: 0 }], [samples, label]);
  return <Plot title={label} unit={unit} series={series} axis="_runtime" log={log} smoothing={smoothing} single />;
}

const order = ["GPU", "CPU", "Memory", "CPU cores", "Disk", "Network", "Other"];

/** The curves in lines of system metrics, by section. */
export function curvesOf(lines: string[]): [string, Curve[]][] {
  const rows = lines.map((line) => {
    const row: Record<string, unknown> = {};
    for (const [key, value] of flatten(parseJson(line))) row[key] = numberOf(value);
    return row;
  });
  const keys = new Set(rows.flatMap((row) => Object.keys(row)).filter((key) => !key.startsWith("_")));
  const sections = new Map<string, Curve[]>();
  for (const key of [...keys].sort((a, b) => a.localeCompare(b, "en", { numeric: true }))) {
    const samples = toSamples(rows.filter((row) => row[key] !== undefined), key, "_runtime");
    if (samples.x.length === 0) continue;
    const metric = systemMetric(key);
    const { bytes = 1 } = metric;
    const counted = { x: samples.x, y: samples.y.map((value) => (value === null ? null : value * bytes)) };
    sections.set(metric.section, [...(sections.get(metric.section) ?? []), { ...metric, key, samples: counted }]);
  }
  return [...sections].sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
}
