import { Text } from "@mantine/core";
import { TimeAgo } from "@kubewandb/ui";
import { type Condition, type Overview } from "../api.ts";
import { Section } from "./section.tsx";
import { ToneIcon } from "./tone.tsx";
import { type Tone, describe, isStalled } from "./words.ts";
import classes from "./conditions.module.css";

const urgency: Tone[] = ["bad", "warn", "busy", "unknown", "good"];

/** Each condition in plain words, what needs attention first. */
export function ConditionList({ view }: { view: Overview }) {
  const stalled = isStalled(view);
  const rows = view.conditions
    .map((condition) => ({ condition, ...describe(condition, stalled) }))
    .sort((a, b) => urgency.indexOf(a.tone) - urgency.indexOf(b.tone));
  const good = rows.filter(({ tone }) => tone === "good").length;
  return (
    <Section title="Conditions" id="conditions" note={rows.length > 0 ? `${good} of ${rows.length} good` : undefined}>
      {rows.length === 0 ? (
        <Text size="sm" c="dimmed" px="lg" py="sm">
          The operator has not reported any yet.
        </Text>
      ) : (
        <ul className={classes.list}>
          {rows.map(({ condition, title, text, tone, state }) => (
            <li key={condition.type} className={classes.row} data-tone={tone}>
              <ToneIcon tone={tone} label={state} />
              <div className={classes.body}>
                <div className={classes.head}>
                  <span className={classes.title}>{title}</span>
                  <span className={classes.meta}>
                    <TimeAgo time={condition.lastTransitionTime} missing="" />
                  </span>
                </div>
                <Text size="sm" className={classes.text ?? ""}>
                  {text}
                </Text>
                {tone !== "good" && <Raw condition={condition} />}
              </div>
            </li>
          ))}
        </ul>
      )}
    </Section>
  );
}

/** The condition as kubectl names it, for those who search for it. */
function Raw({ condition: { type, status, reason } }: { condition: Condition }) {
  return (
    <code className={classes.raw}>
      {type}={status}
      {reason && `, ${reason}`}
    </code>
  );
}
