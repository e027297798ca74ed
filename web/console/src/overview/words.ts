import { type Condition, type Overview } from "../api.ts";

/** How a state looks: what is good is calm, what needs somebody stands out. */
export type Tone = "good" | "busy" | "warn" | "bad" | "unknown";

interface Words {
  title: string;
  /** What it means when the condition is as it should be, and when it is not. */
  good: string;
  bad: string;
}

const words: Record<string, Words> = {
  Ready: { title: "Ready", good: "The instance runs as specified.", bad: "The instance does not run as specified yet." },
  LicenseValid: { title: "Licence", good: "The licence is valid.", bad: "The licence is missing or not valid." },
  ChannelReachable: { title: "Release channel", good: "The channel answers.", bad: "The channel does not answer." },
  SpecResolved: { title: "Specification", good: "All layers fit together.", bad: "The layers do not fit together." },
  Preflight: { title: "Preflight checks", good: "The cluster has what the release needs.", bad: "The cluster lacks something that the release needs." },
  Released: { title: "Release", good: "The release is installed and its workloads are ready.", bad: "The release is not installed, or not ready." },
  UpToDate: { title: "Up to date", good: "What runs is what the layers ask for.", bad: "An update is waiting." },
  Verified: { title: "Verification", good: "The release passed its own check.", bad: "The release did not pass its own check." },
  Reconciling: { title: "Work in progress", good: "The operator is at rest.", bad: "The operator is working." },
  Stalled: { title: "Stalled", good: "Nothing blocks the operator.", bad: "The operator cannot go on by itself." },
  Drifted: { title: "Changes by others", good: "The objects are as they were installed.", bad: "Somebody else changed objects of the release." },
};

/** A condition in plain words; stalled tells whether the operator has given up for now. */
export function describe(condition: Condition, stalled: boolean): { title: string; text: string; tone: Tone; state: string } {
  const known = words[condition.type];
  const title = known?.title ?? condition.type.replace(/(?<=[a-z])(?=[A-Z])/g, " ");
  const tone = toneOf(condition, stalled);
  const fallback = tone === "good" ? known?.good : tone === "unknown" ? "Not known yet." : known?.bad;
  return { title, tone, text: condition.message || fallback || "", state: stateWord[tone] };
}

const stateWord: Record<Tone, string> = { good: "Good", busy: "Working", warn: "Attention", bad: "Problem", unknown: "Unknown" };

function toneOf({ type, status, positive }: Condition, stalled: boolean): Tone {
  if (status !== "True" && status !== "False") return "unknown";
  if ((status === "True") === positive) return "good";
  switch (type) {
    case "Reconciling":
    case "Verified":
    case "Ready":
      return stalled ? "bad" : "busy";
    case "UpToDate":
    case "ChannelReachable":
    case "Drifted":
      return "warn";
    default:
      return "bad";
  }
}

/** The state of the instance in one line. */
export interface Headline {
  state: "Ready" | "Progressing" | "Not ready" | "Stalled" | "Not installed";
  tone: Tone;
  reason: string;
  /** What is going on and, where somebody must act, what to do. */
  message: string;
  since: string | null;
}

export function headline(view: Overview): Headline {
  const find = (type: string) => view.conditions.find((condition) => condition.type === type);
  const ready = find("Ready");
  const stalled = find("Stalled");
  const reconciling = find("Reconciling");
  if (!view.resource.createdAt && view.conditions.length === 0) {
    return { state: "Not installed", tone: "unknown", reason: "", message: view.next, since: null };
  }
  if (stalled?.status === "True") {
    return line("Stalled", "bad", stalled, "The operator cannot go on by itself. Look at the conditions below.");
  }
  if (view.resource.observedGeneration < view.resource.generation) {
    return {
      state: "Progressing",
      tone: "busy",
      reason: "Changed",
      message: "The custom resource was changed. The operator has not looked at it yet; if this lasts, check that its pod runs.",
      since: null,
    };
  }
  if (ready?.status === "True") return line("Ready", "good", ready, "The instance runs as specified.");
  if (reconciling?.status === "True") return line("Progressing", "busy", reconciling, "The operator is working.");
  if (ready?.status === "False") return line("Not ready", "warn", ready, "Something is missing. Look at the conditions below.");
  return {
    state: "Progressing",
    tone: "busy",
    reason: "",
    message: "The operator has not reported yet. If this lasts, check that the deployment controller-manager runs.",
    since: view.resource.createdAt,
  };
}

/** Whether the operator has given up until something changes. */
export function isStalled({ conditions }: Overview): boolean {
  return conditions.some(({ type, status }) => type === "Stalled" && status === "True");
}

function line(state: Headline["state"], tone: Tone, condition: Condition, fallback: string): Headline {
  return { state, tone, reason: condition.reason, message: condition.message || fallback, since: condition.lastTransitionTime };
}

/** How the active release relates to the newest of the channel. */
export function standing({ release, channel }: Overview): "current" | "behind" | "unknown" {
  if (!channel.release || (!release.name && !release.id)) return "unknown";
  return channel.release === release.name || channel.release === release.id ? "current" : "behind";
}
