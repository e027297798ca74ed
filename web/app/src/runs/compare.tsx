import { useQueries, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { ChartCard, ChartGrid } from "../chart/card.tsx";
import type { View } from "../chart/controls.tsx";
import { Plot, type Series } from "../chart/plot.tsx";
import type { ProjectName } from "../data/project.ts";
import { runKey } from "../data/run.ts";
import { samplesQuery } from "../data/samples.ts";
import { useSeen } from "../parts/inview.ts";
import { type Row, nameOf } from "./row.ts";

interface CompareProps {
  name: ProjectName;
  rows: Row[];
  /** Runs to draw, with their colours. */
  shown: Map<string, number>;
  metrics: string[];
  view: View;
}

/** One chart per metric with a curve per run. */
export function Compare({ name, rows, shown, metrics, view }: CompareProps) {
  const drawn = rows.filter(({ run }) => shown.has(run.name));
  useFresh(name, drawn);
  return (
    <ChartGrid dense>
      {metrics.map((metric) => (
        <MetricChart key={metric} name={name} rows={drawn} shown={shown} metric={metric} view={view} />
      ))}
    </ChartGrid>
  );
}

/** A run whose summary changed has logged: its curves are fetched anew. */
function useFresh(name: ProjectName, rows: Row[]): void {
  const client = useQueryClient();
  const before = useRef(new Map<string, string | null>());
  useEffect(() => {
    for (const { run } of rows) {
      const known = before.current.get(run.name);
      before.current.set(run.name, run.summaryMetrics);
      if (known !== undefined && known !== run.summaryMetrics) {
        void client.invalidateQueries({ queryKey: [...runKey({ ...name, run: run.name }), "history"] });
      }
    }
  }, [client, name, rows]);
}

function MetricChart({ name, rows, shown, metric, view }: { name: ProjectName; rows: Row[]; shown: Map<string, number>; metric: string; view: View }) {
  const [element, seen] = useSeen<HTMLElement>();
  const result = useQueries({
    queries: rows.map(({ run }) => ({ ...samplesQuery({ ...name, run: run.name }, metric, view.axis), enabled: seen })),
    combine: (results) => ({
      loading: results.some(({ data, error }) => !data && !error),
      // A run that has this metric not at all is no failure of the chart.
      error: results.length > 0 && results.every(({ error }) => error) ? (results[0]?.error ?? null) : null,
      curves: results.map(({ data }) => data),
      retry: () => {
        for (const one of results) void one.refetch();
      },
    }),
  });
  const series = rows.flatMap(({ run }, index): Series[] => {
    const curve = result.curves[index];
    return curve && curve.x.length > 0 ? [{ ...curve, label: nameOf(run), color: shown.get(run.name) ?? 0 }] : [];
  });
  return (
    <ChartCard title={metric} element={element} loading={result.loading || !seen} error={result.error} onRetry={result.retry} empty={series.length === 0} height={160}>
      <Plot title={metric} series={series} axis={view.axis} log={view.log} smoothing={view.smoothing} height={160} />
    </ChartCard>
  );
}
