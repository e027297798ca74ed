import { parse } from "yaml";

/** What the pages need of a sweep's YAML: the metric, whether less is better, and the names of the parameters. */
export interface SweepPlan {
  metric: string | undefined;
  minimize: boolean;
  /** Nested ones as paths, "optimizer.lr", as runs have them in their configuration. */
  parameters: string[];
}

/** Reads a sweep's configuration. What cannot be read has no metric and no parameters. */
export function readPlan(yaml: string): SweepPlan {
  const config = asObject(read(yaml));
  const metric = asObject(config.metric);
  return {
    metric: typeof metric.name === "string" ? metric.name : undefined,
    minimize: metric.goal !== "maximize",
    parameters: names(config.parameters, ""),
  };
}

function read(yaml: string): unknown {
  try {
    return parse(yaml);
  } catch {
    return undefined;
  }
}

function names(parameters: unknown, prefix: string): string[] {
  return Object.entries(asObject(parameters)).flatMap(([name, value]) => {
    const nested = asObject(value).parameters;
    return nested === undefined ? [prefix + name] : names(nested, `${prefix}${name}.`);
  });
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
