import { Group, NativeSelect, Switch, Text } from "@mantine/core";
import { useId } from "react";
import type { Axis } from "../data/samples.ts";
import classes from "./controls.module.css";

export interface View {
  axis: Axis;
  log: boolean;
  /** Weight of the moving average, 0 to 0.99. */
  smoothing: number;
}

export const plainView: View = { axis: "_step", log: false, smoothing: 0 };

const axes = [
  { value: "_step", label: "Step" },
  { value: "_runtime", label: "Time since start" },
  { value: "_timestamp", label: "Date and time" },
];

/** How all charts of a page are drawn. */
export function ViewControls({ view, onChange, axis = true }: { view: View; onChange: (view: View) => void; axis?: boolean }) {
  const id = useId();
  return (
    <Group gap="md" className={classes.controls}>
      {axis && (
        <div className={classes.field}>
          <Text component="label" htmlFor={`${id}-axis`} size="sm" c="dimmed">
            X axis
          </Text>
          <NativeSelect
            id={`${id}-axis`}
            size="xs"
            data={axes}
            value={view.axis}
            onChange={(event) => {
              onChange({ ...view, axis: event.currentTarget.value as Axis });
            }}
          />
        </div>
      )}
      <div className={classes.field}>
        <Text component="label" htmlFor={id} size="sm" c="dimmed">
          Smoothing
        </Text>
        <input
          id={id}
          type="range"
          className={classes.range}
          min={0}
          max={0.99}
          step={0.01}
          value={view.smoothing}
          onChange={(event) => {
            onChange({ ...view, smoothing: Number(event.currentTarget.value) });
          }}
        />
        <Text span size="xs" className={classes.amount} aria-hidden>
          {view.smoothing === 0 ? "off" : view.smoothing.toFixed(2)}
        </Text>
      </div>
      <Switch
        size="sm"
        label="Log scale"
        checked={view.log}
        onChange={(event) => {
          onChange({ ...view, log: event.currentTarget.checked });
        }}
      />
    </Group>
  );
}
