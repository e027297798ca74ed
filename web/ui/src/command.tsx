import { CopyIcon } from "./copy.tsx";
import classes from "./command.module.css";

/** Text for a terminal or a file, with a button that copies it. A single line wraps; of several, long ones scroll inside of the block. */
export function Command({ value, what = "command", prompt = false }: { value: string; what?: string; prompt?: boolean }) {
  return (
    <div className={classes.block}>
      {/* Focusable, so that a keyboard can scroll lines that are longer than the block. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <pre className={classes.text} tabIndex={0} role="group" aria-label={what} data-prompt={prompt || undefined} data-wrap={!value.includes("\n") || undefined}>
        <code>{value}</code>
      </pre>
      <div className={classes.copy}>
        <CopyIcon value={value} what={what} />
      </div>
    </div>
  );
}
