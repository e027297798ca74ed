import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { ask } from "../graphql.ts";
import { type RunName, runKey, samplesOperation } from "./run.ts";

/** What the points of a chart are laid out by. */
export type Axis = "_step" | "_runtime" | "_timestamp";

export interface Samples {
  x: number[];
  /** Null where the run logged no finite number. */
  y: (number | null)[];
}

/** Points per curve; enough for a wide screen, few enough for a quick answer. */
export const sampleCount = 500;

/** Curves that are asked for at the same moment share a request; this many at most. */
export const batchSize = 16;

interface Waiting {
  spec: string;
  settle: (rows: Record<string, unknown>[]) => void;
  fail: (error: unknown) => void;
  signal: AbortSignal;
}

const waiting = new Map<string, { name: RunName; list: Waiting[] }>();

/** The sampled curve of one key of one run. */
export function samplesQuery(name: RunName, key: string, axis: Axis) {
  return queryOptions({
    queryKey: [...runKey(name), "history", "samples", key, axis],
    queryFn: async ({ signal }) => {
      const spec = JSON.stringify({ keys: axis === key ? [key] : [axis, key], samples: sampleCount });
      return toSamples(await load(name, spec, signal), key, axis);
    },
    placeholderData: keepPreviousData,
  });
}

/** Waits for a moment, so that curves which come into view together become one request. */
function load(name: RunName, spec: string, signal: AbortSignal): Promise<Record<string, unknown>[]> {
  return new Promise((settle, fail) => {
    const id = JSON.stringify(runKey(name));
    const batch = waiting.get(id);
    if (batch) {
      batch.list.push({ spec, settle, fail, signal });
      return;
    }
    waiting.set(id, { name, list: [{ spec, settle, fail, signal }] });
    setTimeout(() => {
      const full = waiting.get(id)?.list.filter((one) => !one.signal.aborted) ?? [];
      waiting.delete(id);
      for (let at = 0; at < full.length; at += batchSize) void send(name, full.slice(at, at + batchSize));
    }, 20);
  });
}

/** The request is cancelled when nobody waits for it any more. */
async function send(name: RunName, list: Waiting[]): Promise<void> {
  const all = new AbortController();
  let left = list.length;
  for (const { signal } of list) {
    signal.addEventListener("abort", () => {
      left--;
      if (left === 0) all.abort();
    });
  }
  try {
    const { project } = await ask(samplesOperation, { ...name, specs: list.map(({ spec }) => spec) }, all.signal);
    list.forEach(({ settle }, index) => {
      settle(project?.run?.sampledHistory?.[index] ?? []);
    });
  } catch (error) {
    list.forEach(({ fail }) => {
      fail(error);
    });
  }
}

/** Rows of an answer as two columns in the order of x. */
export function toSamples(rows: Record<string, unknown>[], key: string, axis: Axis): Samples {
  const points = rows.flatMap((row) => {
    const x = finite(row[axis]);
    return x === null ? [] : [{ x, y: finite(row[key]) }];
  });
  points.sort((a, b) => a.x - b.x);
  return { x: points.map(({ x }) => x), y: points.map(({ y }) => y) };
}

function finite(value: unknown): number | null {
  if (typeof value === "boolean") return value ? 1 : 0;
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}
