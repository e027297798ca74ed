/**
 * An exponential moving average without the bias of its start: weight 0 changes nothing, 0.99 averages over about a hundred
 * points. Gaps stay gaps.
 */
export function smooth(values: readonly (number | null)[], weight: number): (number | null)[] {
  if (weight <= 0) return [...values];
  let sum = 0;
  let share = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = sum * weight + value * (1 - weight);
    share = share * weight + (1 - weight);
    return sum / share;
  });
}

export interface Curve {
  x: readonly number[];
  y: readonly (number | null)[];
}

export type Column = (number | null | undefined)[];

/** Several curves on one x axis: undefined where a curve has no point, null where it has a gap. Of equal x the last point counts. */
export function align(curves: readonly Curve[]): [number[], ...Column[]] {
  const xs = [...new Set(curves.flatMap(({ x }) => x))].sort((a, b) => a - b);
  const place = new Map(xs.map((x, index) => [x, index]));
  const columns = curves.map(({ x, y }) => {
    const column: Column = new Array<undefined>(xs.length).fill(undefined);
    x.forEach((at, index) => {
      column[place.get(at) ?? 0] = y[index] ?? null;
    });
    return column;
  });
  return [xs, ...columns];
}

/** The span of a column's numbers; undefined for none. */
export function span(values: Column): { min: number; max: number; last: number; count: number } | undefined {
  let found: { min: number; max: number; last: number; count: number } | undefined;
  for (const value of values) {
    if (value === null || value === undefined) continue;
    if (found) found = { min: Math.min(found.min, value), max: Math.max(found.max, value), last: value, count: found.count + 1 };
    else found = { min: value, max: value, last: value, count: 1 };
  }
  return found;
}
