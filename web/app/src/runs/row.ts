import type { RunRow } from "../data/project.ts";
import { type Json, configOf, flatten, inline, member, numberOf, parseJson } from "../json.ts";
import { duration, shortText } from "../number.ts";

/** A run with its values by the names of columns: "config.lr", "summary.loss". */
export interface Row {
  run: RunRow;
  values: Map<string, Json>;
  /** Seconds; undefined where nothing tells. */
  duration: number | undefined;
}

export function rowOf(run: RunRow): Row {
  const summary = parseJson(run.summaryMetrics);
  const values = new Map<string, Json>();
  for (const [key, value] of flatten(configOf(run.config))) values.set(`config.${key}`, value);
  for (const [key, value] of flatten(summary)) if (!key.startsWith("_wandb")) values.set(`summary.${key}`, value);
  return { run, values, duration: durationOf(run.createdAt, run.heartbeatAt, summary) };
}

/** How long a run took: what its client measured, else from its creation to its last sign of life. */
export function durationOf(createdAt: string, heartbeatAt: string | null, summary: Json | undefined): number | undefined {
  const measured = numberOf(member(member(summary, "_wandb"), "runtime")) ?? numberOf(member(summary, "_runtime"));
  if (measured !== undefined) return measured;
  const seconds = (Date.parse(heartbeatAt ?? "") - Date.parse(createdAt)) / 1000;
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined;
}

/** What a cell shows, and the whole value for those who point at it. */
export function cellText(value: Json | undefined): { text: string; full: string; number: boolean } {
  if (!value) return { text: "–", full: "", number: false };
  const full = inline(value);
  if (value.kind === "number") return { text: shortText(value.text), full, number: true };
  const media = member(value, "_type");
  if (media?.kind === "string") return { text: media.value.replace(/-file$/, ""), full, number: false };
  return { text: full, full, number: false };
}

export function nameOf({ name, displayName }: Pick<RunRow, "name" | "displayName">): string {
  return displayName ?? name;
}

/** Columns that every run has. */
export const fixedColumns = [
  { id: "name", label: "Name", order: "displayName" },
  { id: "state", label: "State", order: undefined },
  { id: "created", label: "Created", order: "created_at" },
  { id: "user", label: "User", order: undefined },
  { id: "duration", label: "Duration", order: undefined },
] as const;

/** What the server sorts a column by; undefined where it does not. */
export function orderKey(column: string): string | undefined {
  const fixed = fixedColumns.find(({ id }) => id === column);
  if (fixed) return fixed.order;
  if (column.startsWith("summary.")) return `summary_metrics.${column.slice("summary.".length)}`;
  return `${column}.value`;
}

/** Every config and summary column of the runs, those that most runs have first, and else in the order in which they were logged. */
export function columnsOf(rows: Row[]): string[] {
  const counts = new Map<string, number>();
  for (const { values } of rows) for (const key of values.keys()) counts.set(key, (counts.get(key) ?? 0) + 1);
  return [...counts].sort(([, n], [, m]) => m - n).map(([key]) => key);
}

/** Columns to begin with: settings that differ between runs, and metrics. */
export function usualColumns(rows: Row[]): string[] {
  const all = columnsOf(rows).filter((key) => !/^summary\._/.test(key));
  const config = all.filter((key) => key.startsWith("config.") && differs(rows, key)).slice(0, 3);
  return [...config, ...all.filter((key) => key.startsWith("summary.") && isNumber(rows, key)).slice(0, 3)];
}

/** Keys of the summary that are metrics to chart. */
export function metricsOf(rows: Row[]): string[] {
  return columnsOf(rows)
    .filter((key) => key.startsWith("summary.") && !key.startsWith("summary._") && isNumber(rows, key))
    .map((key) => key.slice("summary.".length));
}

function differs(rows: Row[], key: string): boolean {
  const texts = new Set(rows.map(({ values }) => cellText(values.get(key)).full));
  return texts.size > 1 || rows.length === 1;
}

function isNumber(rows: Row[], key: string): boolean {
  return rows.some(({ values }) => values.get(key)?.kind === "number");
}

export function durationText(seconds: number | undefined): string {
  if (seconds === undefined) return "–";
  // The client measures its runs in whole seconds.
  return seconds >= 0 && seconds < 1 ? "< 1 s" : duration(seconds);
}
