import { useMemo, useState } from "react";
import { useNavigate } from "react-router";
import { short } from "../number.ts";
import { type Row, nameOf } from "../runs/row.ts";
import { axisOf } from "./parallel.ts";
import classes from "./sweep.module.css";

interface PictureProps {
  rows: Row[];
  parameters: string[];
  metric: string;
  minimize: boolean;
  link: (run: string) => string;
}

const height = 260;
const top = 34;
const bottom = 20;

/** Parallel coordinates: a line per run through its parameters to the metric; the better, the darker. */
export function Picture({ rows, parameters, metric, minimize, link }: PictureProps) {
  const navigate = useNavigate();
  const [pointed, setPointed] = useState<string>();
  const axes = useMemo(
    () => [...parameters.map((key) => axisOf(`config.${key}`, key, rows.map(({ values }) => values.get(`config.${key}`)), short)), axisOf(`summary.${metric}`, metric, rows.map(({ values }) => values.get(`summary.${metric}`)), short)],
    [rows, parameters, metric],
  );
  const lines = useMemo(
    () =>
      rows
        .map((row) => ({ row, places: axes.map(({ key, place }) => place(row.values.get(key))) }))
        .filter(({ places }) => places.every((place) => place !== undefined))
        .map(({ row, places }) => ({ row, places: places as number[], good: minimize ? 1 - (places.at(-1) ?? 0) : (places.at(-1) ?? 0) }))
        .sort((a, b) => a.good - b.good),
    [rows, axes, minimize],
  );
  if (lines.length < 2) return <p className={classes.hint}>The picture needs two runs that have logged {metric}.</p>;
  const width = axes.length * 150;
  const x = (index: number) => 60 + (index * (width - 130)) / Math.max(1, axes.length - 1);
  const y = (place: number) => top + (1 - place) * (height - top - bottom);
  const best = lines.at(-1);
  const said = lines.find(({ row }) => row.run.name === pointed)?.row;
  return (
    <figure className={classes.figure}>
      {/* Focusable, so that a keyboard can scroll it. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div className={classes.scroll} tabIndex={0} role="region" aria-label="Parameters and metric of each run">
        <svg viewBox={`0 0 ${width} ${height}`} className={classes.picture} style={{ minWidth: width * 0.72, maxWidth: width * 1.15 }} role="img" aria-label={`Parallel coordinates of ${lines.length} runs; the best is ${best ? nameOf(best.row.run) : ""}`}>
          {lines.map(({ row, places, good }) => (
            <polyline
              key={row.run.id}
              className={classes.curve}
              data-pointed={row.run.name === pointed || undefined}
              points={places.map((place, index) => `${x(index)},${y(place)}`).join(" ")}
              style={{ strokeOpacity: 0.18 + 0.62 * good ** 2, stroke: good > 0.85 ? "var(--curve-2)" : "var(--curve-1)" }}
              onMouseEnter={() => {
                setPointed(row.run.name);
              }}
              onMouseLeave={() => {
                setPointed(undefined);
              }}
              onClick={() => void navigate(link(row.run.name))}
            />
          ))}
          {axes.map((axis, index) => (
            <g key={axis.key}>
              <line x1={x(index)} x2={x(index)} y1={top} y2={height - bottom} className={classes.axis} />
              <text x={x(index)} y={16} className={classes.label}>
                {axis.label}
              </text>
              {axis.ticks.map(({ at, text }) => (
                <text key={text} x={x(index) + 6} y={y(at) + 4} className={classes.tick}>
                  {text}
                </text>
              ))}
            </g>
          ))}
        </svg>
      </div>
      <figcaption className={classes.hint}>{said ? nameOf(said.run) : `Orange lines are the best 15 % of the range of ${metric}. Point at a line for its run; the table below lists all.`}</figcaption>
    </figure>
  );
}
