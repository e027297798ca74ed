import { type Overview } from "../api.ts";
import { ToneIcon } from "./tone.tsx";
import { describe, isStalled } from "./words.ts";
import classes from "./pipeline.module.css";

/** What has to be well, in the order in which a release passes it. */
const order = ["LicenseValid", "ChannelReachable", "SpecResolved", "Preflight", "Released", "Verified"];

/** The way of a release through the operator as a row of stations, so that one look shows where it stands. */
export function Pipeline({ view }: { view: Overview }) {
  const stalled = isStalled(view);
  const stations = order.flatMap((type) => view.conditions.filter((condition) => condition.type === type));
  if (stations.length === 0) return null;
  return (
    <ol className={classes.stations} aria-label="The way of a release">
      {stations.map((condition) => {
        const { title, tone, state } = describe(condition, stalled);
        return (
          <li key={condition.type} className={classes.station} data-tone={tone}>
            <ToneIcon tone={tone} size={22} label={state} />
            <span>{title}</span>
          </li>
        );
      })}
    </ol>
  );
}
