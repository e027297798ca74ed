import { IconAlertTriangleFilled, IconCircleCheckFilled, IconCircleXFilled, IconHelpCircle, IconProgress } from "@tabler/icons-react";
import { type Tone } from "./words.ts";

const icons = {
  good: IconCircleCheckFilled,
  busy: IconProgress,
  warn: IconAlertTriangleFilled,
  bad: IconCircleXFilled,
  unknown: IconHelpCircle,
} as const;

const colours: Record<Tone, string> = {
  good: "var(--good)",
  busy: "var(--busy)",
  warn: "var(--warn)",
  bad: "var(--bad)",
  unknown: "var(--idle)",
};

/** A state as shape and colour; say it in words beside it or as its label. */
export function ToneIcon({ tone, size = 20, label }: { tone: Tone; size?: number; label?: string }) {
  const Icon = icons[tone];
  const said = label ? { role: "img", "aria-label": label } : { "aria-hidden": true };
  return <Icon size={size} color={colours[tone]} style={{ flex: "none" }} {...said} />;
}
