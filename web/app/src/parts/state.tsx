import { IconAlertTriangle, IconCircleCheck, IconCircleX, IconClock, IconClockPause, IconHandStop, IconHelp, IconLoader2, IconPlayerPause } from "@tabler/icons-react";
import classes from "./state.module.css";

const states = {
  running: { icon: IconLoader2, tone: "busy", word: "Running" },
  pending: { icon: IconClock, tone: "idle", word: "Pending" },
  preempting: { icon: IconClockPause, tone: "warn", word: "Preempting" },
  preempted: { icon: IconClockPause, tone: "idle", word: "Preempted" },
  finished: { icon: IconCircleCheck, tone: "good", word: "Finished" },
  failed: { icon: IconCircleX, tone: "bad", word: "Failed" },
  crashed: { icon: IconAlertTriangle, tone: "bad", word: "Crashed" },
  killed: { icon: IconHandStop, tone: "idle", word: "Killed" },
  paused: { icon: IconPlayerPause, tone: "warn", word: "Paused" },
  canceled: { icon: IconHandStop, tone: "idle", word: "Cancelled" },
} as const;

/** The state of a run or a sweep: a shape and a word, in the state's colour. */
export function StateMark({ state }: { state: string }) {
  const known = states[state.toLowerCase() as keyof typeof states] as (typeof states)[keyof typeof states] | undefined;
  const { icon: Icon, tone, word } = known ?? { icon: IconHelp, tone: "idle", word: state };
  return (
    <span className={classes.state} data-tone={tone} data-state={state.toLowerCase()}>
      <Icon size={16} stroke={2.2} aria-hidden />
      <span className={classes.word}>{word}</span>
    </span>
  );
}
