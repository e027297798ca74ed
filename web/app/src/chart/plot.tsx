import { useComputedColorScheme } from "@mantine/core";
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Axis } from "../data/samples.ts";
import { bytes, duration, short, ticks } from "../number.ts";
import { colorVariable, isDashed } from "./palette.ts";
import { type Column, type Curve, align, smooth, span } from "./smooth.ts";
import classes from "./chart.module.css";

export interface Series extends Curve {
  label: string;
  /** Place in the palette. */
  color: number;
}

export interface PlotProps {
  title: string;
  series: Series[];
  axis: Axis;
  log?: boolean;
  smoothing?: number;
  unit?: string | undefined;
  height?: number;
  /** Says, for a single curve, nothing of whose it is. */
  single?: boolean;
}

// The library's own enumeration exists only for the compiler.
/* eslint-disable @typescript-eslint/no-unsafe-enum-assignment */
const linear: uPlot.Scale.Distr.Linear = 1;
const logarithmic: uPlot.Scale.Distr.Logarithmic = 3;
/* eslint-enable @typescript-eslint/no-unsafe-enum-assignment */

const empty: [number[], ...Column[]] = [[]];

/** Curves over a common axis. The pointer and the arrow keys read values; dragging narrows the axis, a double click widens it. */
export function Plot({ title, series, axis, log = false, smoothing = 0, unit = "", height = 190, single = false }: PlotProps) {
  const scheme = useComputedColorScheme("light");
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot>(null);
  const [at, setAt] = useState<number | null>(null);
  const data = useMemo(() => layers(series, log, smoothing), [series, log, smoothing]);
  const latest = useRef(empty);
  const shape = JSON.stringify([series.map(({ color }) => color), smoothing > 0, axis, log, height, scheme, unit]);

  useEffect(() => {
    latest.current = data;
    chart.current?.setData(data);
  }, [data]);

  useEffect(() => {
    const target = box.current;
    if (!target) return;
    const [colors, faint, axis, log, height, , unit] = JSON.parse(shape) as [number[], boolean, Axis, boolean, number, string, string];
    const style = getComputedStyle(target);
    const drawn = new uPlot(
      {
        width: Math.max(80, target.clientWidth),
        height,
        legend: { show: false },
        cursor: { y: false, points: { size: 7 }, drag: { x: true, y: false }, sync: { key: `${window.location.pathname}:${axis}` } },
        scales: { x: { time: axis === "_timestamp", range: xRange }, y: { distr: log ? logarithmic : linear, range: log ? logRange : linearRange } },
        axes: axesOf(style, axis, unit),
        series: [{}, ...seriesOf(style, colors, faint)],
        hooks: {
          setCursor: [
            (plot) => {
              setAt(plot.cursor.idx ?? null);
            },
          ],
        },
      },
      latest.current,
      target,
    );
    chart.current = drawn;
    const resized = new ResizeObserver(() => {
      if (target.clientWidth > 0) drawn.setSize({ width: target.clientWidth, height });
    });
    resized.observe(target);
    return () => {
      resized.disconnect();
      drawn.destroy();
      chart.current = null;
    };
  }, [shape]);

  const readings = series.map((one, index) => ({ ...one, value: valueAt(data[index + 1] ?? [], at) }));
  const x = at === null ? data[0].at(-1) : data[0][at];
  return (
    <>
      <div className={classes.reading} aria-hidden>
        {x !== undefined && single && <strong>{readings[0]?.value === undefined ? "–" : withUnit(readings[0].value, unit)}</strong>}
        {x !== undefined && <span>{placeOf(x, axis)}</span>}
      </div>
      {/* Focusable, so that the arrow keys read the values. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex, jsx-a11y/no-noninteractive-element-interactions */}
      <div ref={box} className={classes.plot} style={{ minHeight: height }} role="img" tabIndex={0} aria-label={describe(title, series, data, unit)} onKeyDown={(event) => { move(event, chart.current, data, series, unit, axis); }} />
      {!single && (
        <ul className={classes.legend}>
          {readings.map((one) => (
            <li key={one.label}>
              <Swatch color={one.color} />
              <span className={classes.name}>{one.label}</span>
              <span className={classes.value}>{one.value === undefined ? "–" : withUnit(one.value, unit)}</span>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

/** A piece of a curve, as its legend. */
export function Swatch({ color }: { color: number }) {
  return (
    <svg className={classes.swatch} width="14" height="10" aria-hidden>
      <line x1="0" y1="5" x2="14" y2="5" stroke={`var(${colorVariable(color)})`} strokeWidth="3" strokeDasharray={isDashed(color) ? "4 2" : undefined} />
    </svg>
  );
}

/** The columns of the chart: the curves to read, then, under smoothing, the raw ones. */
function layers(series: Series[], log: boolean, smoothing: number): [number[], ...Column[]] {
  const positive = (values: readonly (number | null)[]) => values.map((value) => (log && value !== null && value <= 0 ? null : value));
  const raw = series.map(({ x, y }) => ({ x, y: positive(y) }));
  return align(smoothing > 0 ? [...raw.map(({ x, y }) => ({ x, y: smooth(y, smoothing) })), ...raw] : raw);
}

function seriesOf(style: CSSStyleDeclaration, colors: number[], faint: boolean): uPlot.Series[] {
  const one = (index: number, raw: boolean): uPlot.Series => ({
    stroke: style.getPropertyValue(colorVariable(index)),
    width: raw ? 1 : 1.75,
    alpha: raw ? 0.3 : 1,
    ...(isDashed(index) ? { dash: [6, 4] } : {}),
    points: { show: raw ? false : isLonely, size: 6 },
  });
  return [...colors.map((index) => one(index, false)), ...(faint ? colors.map((index) => one(index, true)) : [])];
}

/** A curve of one or two points would be invisible without marks. */
function isLonely(plot: uPlot, series: number): boolean {
  let points = 0;
  for (const value of plot.data[series] ?? []) if (value !== null && value !== undefined) points++;
  return points > 0 && points <= 2;
}

function axesOf(style: CSSStyleDeclaration, axis: Axis, unit: string): uPlot.Axis[] {
  const shared = {
    stroke: style.getPropertyValue("--mantine-color-dimmed"),
    grid: { stroke: style.getPropertyValue("--line"), width: 1 },
    ticks: { show: false },
    font: `11px ${style.fontFamily}`,
  };
  const x: uPlot.Axis = { ...shared, size: 26, gap: 4, space: 70, grid: { show: false } };
  if (axis === "_runtime") {
    x.incrs = [1, 5, 10, 15, 30, 60, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400, 172_800, 604_800];
    x.values = (_, values) => values.map((value) => (value === 0 ? "0" : duration(value)));
  }
  if (axis === "_step") x.values = (_, values) => ticks(values);
  return [x, { ...shared, size: width, gap: 4, space: 34, values: (_, values: (number | null)[]) => (unit === " B" ? values.map((value) => (value === null ? "" : bytes(value))) : labels(values).map((text) => (text === "" ? "" : text + unit))) }];
}

/** A logarithmic axis splits into more values than it labels: those come as null. */
function labels(values: (number | null)[]): string[] {
  const shown = values.filter((value) => value !== null);
  const [first = 0, second = 0, third = second] = shown;
  const linear = shown.length < 3 || Math.abs(third - second - (second - first)) < Math.abs(second - first) * 0.01;
  const texts = linear ? ticks(shown) : shown.map(short);
  let next = 0;
  return values.map((value) => (value === null ? "" : (texts[next++] ?? "")));
}

function width(_: uPlot, values: string[] | null): number {
  return 14 + Math.max(3, ...(values ?? []).map((text) => text.length)) * 6.2;
}

/** From the first to the last point; a single one stands in the middle, where the library would choose 0 to 100. */
function xRange(plot: uPlot, min: number | null, max: number | null): [number, number] {
  const [xs] = plot.data;
  const only = xs.length === 1 ? xs[0] : undefined;
  if (only !== undefined) return [only - 1, only + 1];
  return min === null || max === null ? [0, 1] : [min, max];
}

function linearRange(_: uPlot, min: number | null, max: number | null): [number, number] {
  if (min === null || max === null || (min === 0 && max === 0)) return [0, 1];
  const room = (max - min || Math.abs(max) || 1) * 0.06;
  return [min >= 0 && min - room < 0 ? 0 : min - room, max + room];
}

function logRange(_: uPlot, min: number | null, max: number | null): [number, number] {
  if (min === null || max === null || max <= 0) return [0.1, 1];
  return min === max ? [min / 2, max * 2] : [min / 1.15, max * 1.15];
}

/** The value at a place of the axis, or the last one before it. */
function valueAt(column: Column, at: number | null): number | undefined {
  for (let index = at ?? column.length - 1; index >= 0; index--) {
    const value = column[index];
    if (value !== undefined && value !== null) return value;
  }
  return undefined;
}

/** A value with its unit; bytes in the multiple that suits. */
function withUnit(value: number, unit: string): string {
  return unit === " B" && Number.isFinite(value) ? bytes(value) : short(value) + unit;
}

function placeOf(x: number, axis: Axis): string {
  if (axis === "_runtime") return `after ${duration(x)}`;
  if (axis === "_timestamp") return new Date(x * 1000).toLocaleString();
  return `step ${x}`;
}

function describe(title: string, series: Series[], data: [number[], ...Column[]], unit: string): string {
  const parts = series.map(({ label }, index) => {
    const found = span(data[index + 1] ?? []);
    const name = series.length > 1 ? `${label}: ` : "";
    return found ? `${name}${found.count} points from ${short(found.min)} to ${short(found.max)}, last ${withUnit(found.last, unit)}` : `${name}no points`;
  });
  return `${title}. ${parts.join("; ")}.`;
}

/** The arrow keys walk along the curves; what is read goes into the label, which a screen reader says. */
function move(event: KeyboardEvent<HTMLElement>, plot: uPlot | null, data: [number[], ...Column[]], series: Series[], unit: string, axis: Axis): void {
  const steps: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };
  const by = steps[event.key];
  const [xs] = data;
  if (by === undefined || !plot || xs.length === 0) return;
  event.preventDefault();
  const from = plot.cursor.idx ?? (by > 0 ? -1 : xs.length);
  const to = Math.min(xs.length - 1, Math.max(0, from + by));
  const x = xs[to] ?? 0;
  plot.setCursor({ left: plot.valToPos(x, "x"), top: 0 });
  const values = series.map(({ label }, index) => `${label} ${withUnit(valueAt(data[index + 1] ?? [], to) ?? NaN, unit)}`);
  event.currentTarget.setAttribute("aria-label", `${placeOf(x, axis)}: ${values.join(", ")}`);
}
