/** The document of GET /overview, in three states of an installation. */
export interface Overview {
  resource: { name: string; namespace: string; generation: number; observedGeneration: number; createdAt: string | null };
  conditions: {
    type: string;
    status: string;
    reason: string;
    message: string;
    lastTransitionTime: string | null;
    positive: boolean;
  }[];
  release: { id: string; name: string; chart: string; chartVersion: string; revision: number; deployedAt: string | null };
  channel: { name: string; release: string; checkedAt: string | null };
  pods: {
    name: string;
    component: string;
    phase: string;
    ready: boolean;
    restarts: number;
    images: { name: string; image: string; imageID: string }[];
    startedAt: string | null;
    message: string;
  }[];
  events: { time: string | null; type: string; reason: string; object: string; message: string }[];
  next: string;
}

const ago = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();

type Condition = Overview["conditions"][number];
type Pod = Overview["pods"][number];

function condition(type: string, status: string, reason: string, message: string, minutes: number): Condition {
  const positive = !["Reconciling", "Stalled", "Drifted"].includes(type);
  return { type, status, reason, message, lastTransitionTime: ago(minutes), positive };
}

function pod(component: string, suffix: string, minutes: number, image: string, more: Partial<Pod> = {}): Pod {
  return {
    name: `wandb-${component}-${suffix}`,
    component,
    phase: "Running",
    ready: true,
    restarts: 0,
    images: [{ name: component, image, imageID: `${image.split(":")[0] ?? ""}@sha256:${"7c1f0e5ab9d24638".repeat(4)}` }],
    startedAt: ago(minutes),
    message: "",
    ...more,
  };
}

export function readyOverview(): Overview {
  return {
    resource: { name: "wandb", namespace: "default", generation: 3, observedGeneration: 3, createdAt: ago(61 * 1440) },
    conditions: [
      condition("Ready", "True", "Ready", "Release 0.75.2 runs and is healthy.", 1460),
      condition("LicenseValid", "True", "Valid", "Licence of Example Corp, valid until 2027-06-30.", 61 * 1440),
      condition("ChannelReachable", "True", "Reachable", "Channel stable was read 2 minutes ago.", 3000),
      condition("SpecResolved", "True", "Resolved", "4 layers resolve to 214 values.", 4320),
      condition("Preflight", "True", "Passed", "9 checks passed.", 1462),
      condition("Released", "True", "Upgraded", "Revision 12 of chart operator-wandb 0.14.1 is deployed.", 1461),
      condition("UpToDate", "True", "UpToDate", "Release 0.75.2 is what the layers ask for.", 1461),
      condition("Verified", "True", "Passed", "The release passed its probe.", 1460),
      condition("Reconciling", "False", "Idle", "", 1460),
      condition("Stalled", "False", "NotStalled", "", 61 * 1440),
      condition("Drifted", "False", "InSync", "", 1460),
    ],
    release: { id: "6b0d1f3e-6c0a-4a53-9e0d-0b1f8b6f6f11", name: "0.75.2", chart: "operator-wandb", chartVersion: "0.14.1", revision: 12, deployedAt: ago(1461) },
    channel: { name: "stable", release: "0.75.2", checkedAt: ago(2) },
    pods: [
      pod("app", "6d5c7b9f4-x2x8k", 1460, "registry.example.com/kubewandb/server:0.75.2"),
      pod("app", "6d5c7b9f4-zz4wq", 1459, "registry.example.com/kubewandb/server:0.75.2"),
      pod("console", "7f8b6c4d55-9kq2m", 4300, "registry.example.com/kubewandb/console:0.1.0", { restarts: 1 }),
    ],
    events: [
      { time: ago(1460), type: "Normal", reason: "Verified", object: "WeightsAndBiases/wandb", message: "Release 0.75.2 is healthy." },
      { time: ago(1461), type: "Normal", reason: "Upgraded", object: "WeightsAndBiases/wandb", message: "Upgraded from 0.75.1 to 0.75.2 in 48 s." },
      { time: ago(1462), type: "Normal", reason: "Pulled", object: "Pod/wandb-app-6d5c7b9f4-x2x8k", message: "Container image already present on machine." },
    ],
    next: "Nothing to do. The channel is asked again within a minute.",
  };
}

export function upgradingOverview(): Overview {
  const view = readyOverview();
  const change = (type: string, status: string, reason: string, message: string, minutes = 0) =>
    condition(type, status, reason, message, minutes);
  const changed = [
    change("Ready", "False", "Progressing", "Upgrading to release 0.76.0.", 1),
    change("UpToDate", "False", "UpdatePending", "Release 0.76.0 is being installed.", 1),
    change("Verified", "Unknown", "Progressing", "The probe runs when the workloads are ready.", 1),
    change("Reconciling", "True", "Upgrading", "Helm applies chart operator-wandb 0.15.0.", 1),
  ];
  view.conditions = view.conditions.map((old) => changed.find(({ type }) => type === old.type) ?? old);
  view.channel = { name: "stable", release: "0.76.0", checkedAt: ago(1) };
  view.pods.splice(1, 1, pod("app", "5b9d88c6f-h7m2t", 1, "registry.example.com/kubewandb/server:0.76.0", { ready: false, phase: "Pending" }));
  view.events.unshift({ time: ago(1), type: "Normal", reason: "Upgrading", object: "WeightsAndBiases/wandb", message: "Upgrading from 0.75.2 to 0.76.0." });
  view.next = "Waits until the pods of revision 13 are ready.";
  return view;
}

export function stalledOverview(): Overview {
  const view = upgradingOverview();
  const hint = "Check the pull secret of namespace default, then save the user layer or wait 5 minutes.";
  const changed = [
    condition("Ready", "False", "Stalled", `Upgrade to 0.76.0 failed: 1 pod cannot pull its image. ${hint}`, 9),
    condition("Released", "False", "WorkloadsNotReady", "Helm waited 5 minutes for the workloads.", 9),
    condition("Reconciling", "False", "Idle", "", 9),
    condition("Stalled", "True", "WorkloadsNotReady", `Upgrade to 0.76.0 failed: 1 pod cannot pull its image. ${hint}`, 9),
    condition("Drifted", "True", "ObjectsChanged", "Deployment wandb-console: replicas is 2, applied was 1.", 30),
    condition("ChannelReachable", "False", "Unreachable", "https://deploy.example.com did not answer within 10 s. The cached release is used.", 14),
  ];
  view.conditions = view.conditions.map((old) => changed.find(({ type }) => type === old.type) ?? old);
  view.channel.checkedAt = ago(14);
  view.pods.splice(
    1,
    1,
    pod("app", "5b9d88c6f-h7m2t", 14, "registry.example.com/kubewandb/server:0.76.0", {
      ready: false,
      phase: "Pending",
      restarts: 4,
      images: [{ name: "app", image: "registry.example.com/kubewandb/server:0.76.0", imageID: "" }],
      message: "Container app: ImagePullBackOff: Back-off pulling image \"registry.example.com/kubewandb/server:0.76.0\": unauthorized",
    }),
  );
  view.events.unshift({
    time: ago(9),
    type: "Warning",
    reason: "UpgradeFailed",
    object: "WeightsAndBiases/wandb",
    message: "Upgrade to 0.76.0 failed: 1 pod cannot pull its image.",
  });
  view.next = "Rolls back to revision 12 when the retry at 14:35 fails.";
  return view;
}
