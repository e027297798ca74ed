import { Text } from "@mantine/core";
import { aroundChanges, diffLines } from "./diff.ts";
import classes from "./diffview.module.css";

const signs = { same: " ", removed: "−", added: "+" } as const;
const spoken = { same: "", removed: "removed: ", added: "added: " } as const;

/** What changed between two texts, with two lines around each change. */
export function DiffView({ before, after, label }: { before: string; after: string; label: string }) {
  const lines = aroundChanges(diffLines(before, after), 2);
  if (!lines.some((line) => line && line.kind !== "same")) {
    return (
      <Text size="sm" c="dimmed">
        The text is the same.
      </Text>
    );
  }
  return (
    // Focusable, so that a keyboard can scroll it.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className={classes.diff} role="group" aria-label={label} tabIndex={0}>
      {lines.map((line, index) =>
        line ? (
          <div key={index} className={classes.line} data-kind={line.kind}>
            <span aria-hidden className={classes.sign}>
              {signs[line.kind]}
            </span>
            <span className={classes.spoken}>{spoken[line.kind]}</span>
            {line.text}
          </div>
        ) : (
          <div key={index} className={classes.gap}>
            …
          </div>
        ),
      )}
    </div>
  );
}
