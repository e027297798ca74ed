import type { MockFile, MockRun, MockSweep, MockVersion, World } from "./model.ts";

const day = 86_400_000;
const adjectives = ["amber", "brisk", "calm", "dawn", "eager", "faint", "gentle", "hollow", "ivory", "jolly"];
const nouns = ["otter", "comet", "meadow", "falcon", "harbor", "lantern", "maple", "nebula", "pebble", "sparrow"];

/** A project with a run that is training now, 120 others, a sweep and artifacts; and two smaller projects. */
export function exampleWorld(start = Date.now(), now: () => number = Date.now): World {
  const runs = Array.from({ length: 121 }, (_, index) => exampleRun(121 - index, start));
  const world: World = {
    now,
    storage: { filesBytes: 9.4e9, artifactsBytes: 212e9, historyBytes: 1.31e9, quotaBytes: 500 * 2 ** 30, measuredAt: new Date(start - 90_000).toISOString() },
    projects: [
      {
        id: "UHJvamVjdDox",
        name: "mnist",
        entityName: "ada",
        description: "Digits, small networks",
        createdAt: start - 40 * day,
        readOnly: false,
        manageable: true,
        runs,
        sweeps: [exampleSweep(start)],
        artifacts: exampleArtifacts(runs, start),
      },
      { id: "UHJvamVjdDoy", name: "speech recognition", entityName: "ada", description: null, createdAt: start - 90 * day, readOnly: false, manageable: true, runs: [], sweeps: [], artifacts: [] },
      { id: "UHJvamVjdDoz", name: "vision", entityName: "analytical-engines", description: null, createdAt: start - 9 * day, readOnly: false, manageable: false, runs: [], sweeps: [], artifacts: [] },
    ],
  };
  return world;
}

function exampleRun(number: number, start: number): MockRun {
  const lively = number === 121;
  const rate = Number((0.1 / (1 + (number % 7) * 3)).toPrecision(3));
  const state = lively ? "running" : number === 120 ? "crashed" : number % 23 === 0 ? "failed" : number % 37 === 0 ? "killed" : "finished";
  const steps = lively ? 2_000 : 400 + (number % 9) * 150;
  const pace = 500;
  return {
    id: `UnVuOnYxOg${number}`,
    name: `r${(number * 7919).toString(36).padStart(6, "x")}`,
    displayName: `${adjectives[number % 10] ?? ""}-${nouns[(number * 3) % 10] ?? ""}-${number}`,
    state,
    createdAt: lively ? start - 600_000 : start - (121 - number) * 5 * 3_600_000,
    steps,
    pace,
    seed: number,
    tags: number % 5 === 0 ? ["baseline", "paper"] : lively ? ["baseline"] : [],
    notes: lively ? "Warm-up over 500 steps.\nCompare with amber-lantern-120." : "",
    group: number % 4 === 0 ? "ablation" : null,
    jobType: "train",
    sweepName: number > 90 && number <= 110 ? "k3m9x2pa" : null,
    username: number % 3 === 0 ? "grace" : "ada",
    config: {
      lr: { value: rate, desc: null },
      batch_size: { value: 32 * (1 + (number % 4)), desc: null },
      optimizer: { value: number % 2 ? "adam" : "sgd", desc: null },
      dropout: { value: Number((0.1 * (number % 6)).toFixed(2)), desc: null },
      model: { value: { layers: 2 + (number % 5), width: 128, activation: "gelu" }, desc: null },
      seed: { value: "@9007199254740993", desc: null },
      augment: { value: number % 2 === 0, desc: null },
      dataset: { value: "mnist-v2", desc: null },
      _wandb: { value: { cli_version: "0.31.0", python_version: "3.12", t: { "1": [1] } }, desc: null },
    },
    files: exampleFiles(number),
  };
}

const pixel = Uint8Array.from(
  atob("iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAKElEQVR4nGNgYPhPImIY1TCqYVQDRRpINXdUw6iGUQ2jGkY1DBYNAIm2/wFf7a5rAAAAAElFTkSuQmCC"),
  (sign) => sign.charCodeAt(0),
);

function exampleFiles(number: number): MockFile[] {
  const text = (name: string, body: string, mimetype = "text/plain"): MockFile => ({ name, body, mimetype });
  const images = Array.from({ length: 24 }, (_, index): MockFile => ({
    name: `media/images/predictions_${index * 50}_${(number * 31 + index).toString(16)}.png`,
    body: pixel,
    mimetype: "image/png",
  }));
  return [
    text("config.yaml", "lr:\n  value: 0.1\nbatch_size:\n  value: 64\n", "application/yaml"),
    text("wandb-metadata.json", `{"os":"Linux-6.8","python":"CPython 3.12.3","program":"train.py","args":["--epochs","20"],"cpu_count":16,"gpu":"NVIDIA L4"}`, "application/json"),
    text("wandb-summary.json", `{"loss":0.1,"_step":11,"big":9007199254740993}`, "application/json"),
    text("output.log", "epoch 1\nepoch 2\n"),
    text("requirements.txt", "numpy==2.1.0\ntorch==2.6.0\nwandb==0.31.0\n"),
    text("code/train.py", "import wandb\n\nwith wandb.init() as run:\n    run.log({'loss': 0.1})\n", "text/x-python"),
    text("media/html/report 100%_3.html", "<h1>Report</h1><script>document.title='taken over'</script>", "text/html"),
    ...images,
    { name: "checkpoints/last.ckpt", body: new Uint8Array(64), mimetype: "application/octet-stream" },
  ];
}

function exampleSweep(start: number): MockSweep {
  return {
    id: "U3dlZXA6MQ==",
    name: "k3m9x2pa",
    displayName: "learning rate and width",
    method: "random",
    state: "RUNNING",
    description: null,
    config: "method: random\nmetric:\n  goal: minimize\n  name: val/loss\nname: learning rate and width\nparameters:\n  batch_size:\n    values: [32, 64, 96, 128]\n  dropout:\n    max: 0.5\n    min: 0\n  lr:\n    distribution: log_uniform_values\n    max: 0.1\n    min: 0.001\n  optimizer:\n    values: [adam, sgd]\n",
    createdAt: start - 3 * day,
    runCountExpected: 40,
  };
}

function exampleArtifacts(runs: MockRun[], start: number): MockVersion[] {
  const file = (name: string, size: number): MockFile => ({ name, body: new Uint8Array(size), mimetype: "application/octet-stream" });
  const models = Array.from({ length: 5 }, (_, index): MockVersion => ({
    id: `QXJ0aWZhY3Q6${index}`,
    type: "model",
    collection: "classifier",
    version: index,
    aliases: index === 4 ? ["latest", "best"] : index === 2 ? ["production"] : [],
    description: index === 4 ? "Trained for 20 epochs with warm-up." : null,
    metadata: `{"accuracy":0.9${index + 3},"params":61706,"dataset":{"name":"mnist-v2","rows":60000}}`,
    createdAt: start - (5 - index) * day,
    createdBy: runs[6 - index]?.name ?? null,
    usedBy: index === 4 ? runs.slice(8, 12).map(({ name }) => name) : [],
    files: [file("model.safetensors", 246_824), file("tokenizer/vocab.txt", 1_204), { name: "README.md", body: "# Classifier\n", mimetype: "text/markdown" }],
  }));
  return [
    ...models,
    {
      id: "QXJ0aWZhY3Q6OTk=",
      type: "dataset",
      collection: "mnist-v2",
      version: 0,
      aliases: ["latest"],
      description: null,
      metadata: "{}",
      createdAt: start - 20 * day,
      createdBy: null,
      usedBy: runs.slice(0, 7).map(({ name }) => name),
      files: Array.from({ length: 12 }, (_, index) => file(`shards/train-${String(index).padStart(3, "0")}.parquet`, 8_000 + index)),
    },
  ];
}

/** Steps that a run has made by now. */
export function stepsOf(run: MockRun, now: number): number {
  return run.state === "running" && !run.stopped ? Math.max(1, Math.min(run.steps, Math.floor((now - run.createdAt) / run.pace))) : run.steps;
}
