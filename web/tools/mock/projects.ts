import { connection } from "./graphql.ts";
import { matches, orderBy } from "./filter.ts";
import type { MockFile, MockProject, MockRun, MockSweep, MockVersion, World } from "./model.ts";
import { history, historyKeys, logLine, systemEvents } from "./training.ts";
import { stepsOf } from "./world.ts";

type Arguments = Record<string, unknown>;

const iso = (time: number) => new Date(time).toISOString().replace(/\.\d+Z$/, "Z");
const living = (run: MockRun) => run.state === "running" && !run.stopped;

/** The fields of GraphQL that the pages ask of projects, runs, sweeps and artifacts. */
export function queryRoot(world: World, viewer: string) {
  return {
    viewer: { entity: viewer, teams: connection([{ name: viewer }, { name: "analytical-engines" }]) },
    models: ({ entityName, first, after }: Arguments) =>
      connection(
        world.projects.filter((project) => project.entityName === entityName).map((project) => projectOf(world, project)),
        { first, after },
      ),
    entity: ({ name }: Arguments) => {
      const { storage } = world;
      if (name !== viewer) return null;
      return { storage: storage ? { ...storage, usedBytes: storage.filesBytes + storage.artifactsBytes + storage.historyBytes } : null };
    },
    project: ({ name, entityName }: Arguments) => {
      const found = world.projects.find((project) => project.name === name && project.entityName === entityName);
      return found && projectOf(world, found);
    },
    artifact: ({ id }: Arguments) => {
      for (const project of world.projects) {
        const found = project.artifacts.find((version) => version.id === id);
        if (found) return versionOf(project, found);
      }
      return null;
    },
  };
}

/** The changes that the pages make. */
export function mutationRoot(world: World) {
  const runById = (id: unknown) => world.projects.flatMap(({ runs }) => runs).find((run) => run.id === id);
  return {
    upsertBucket: ({ input }: Arguments) => {
      const { id, displayName, notes, tags } = input as { id: string } & Partial<Pick<MockRun, "displayName" | "notes" | "tags">>;
      const run = runById(id);
      if (!run) throw new Error("run not found");
      Object.assign(run, definedOnly({ displayName, notes, tags }));
      return { bucket: { id } };
    },
    stopRun: ({ input }: Arguments) => {
      const run = runById((input as { id: string }).id);
      if (run) run.steps = stepsOf(run, world.now());
      if (run) run.state = "killed";
      return { success: run !== undefined };
    },
    deleteRun: ({ input }: Arguments) => {
      for (const project of world.projects) project.runs = project.runs.filter(({ id }) => id !== (input as { id: string }).id);
      return { clientMutationId: null };
    },
    deleteModel: ({ input }: Arguments) => {
      const { id } = input as { id: string };
      if (!world.projects.find((project) => project.id === id)?.manageable) throw new Error("you may see the project but not change it");
      world.projects = world.projects.filter((project) => project.id !== id);
      return { success: true };
    },
    upsertSweep: ({ input }: Arguments) => {
      const { id, state } = input as { id: string; state: string };
      const sweep = world.projects.flatMap(({ sweeps }) => sweeps).find((one) => one.id === id);
      if (!sweep) throw new Error("sweep not found");
      sweep.state = state;
      return { sweep: { name: sweep.name } };
    },
  };
}

function definedOnly(values: object): object {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && value !== null));
}

function projectOf(world: World, project: MockProject): object {
  const types = [...new Set(project.artifacts.map(({ type }) => type))];
  return {
    ...project,
    access: "PRIVATE",
    createdAt: iso(project.createdAt),
    internalId: project.id,
    runCount: ({ filters }: Arguments) => project.runs.filter((run) => matches(flatRun(world, run), filters)).length,
    runs: ({ filters, order, first, after }: Arguments) => {
      const found = project.runs.map((run) => ({ run, flat: flatRun(world, run) })).filter(({ flat }) => matches(flat, filters));
      const sorted = orderBy(found, typeof order === "string" ? order : "");
      return connection(sorted.map(({ run }) => runOf(world, project, run)), { first, after });
    },
    run: ({ name }: Arguments) => {
      const run = project.runs.find((one) => one.name === name);
      return run && runOf(world, project, run);
    },
    totalSweeps: project.sweeps.length,
    sweeps: (given: Arguments) => connection(project.sweeps.map((sweep) => sweepOf(world, project, sweep)), given),
    sweep: ({ sweepName }: Arguments) => {
      const sweep = project.sweeps.find(({ name }) => name === sweepName);
      return sweep && sweepOf(world, project, sweep);
    },
    artifactTypes: (given: Arguments) => connection(types.map((name) => ({ id: name, name, description: null })), given),
    artifactType: ({ name }: Arguments) => (types.includes(String(name)) ? typeOf(project, String(name)) : null),
    artifactCollection: ({ name }: Arguments) => collectionOf(project, project.artifacts.filter(({ collection }) => collection === name)),
    artifactCollectionMembership: ({ name }: Arguments) => {
      const [collection = "", version = "latest"] = String(name).split(":");
      return membershipOf(project, collection, version);
    },
  };
}

function flatRun(world: World, run: MockRun): Record<string, unknown> {
  const flat: Record<string, unknown> = {
    name: run.name,
    display_name: run.displayName,
    state: run.state,
    group: run.group,
    jobType: run.jobType,
    username: run.username,
    tags: run.tags,
    created_at: iso(run.createdAt),
    sweep: run.sweepName,
    notes: run.notes,
  };
  for (const [key, value] of Object.entries(run.config)) flat[`config.${key}`] = (value as { value: unknown }).value;
  for (const [key, value] of Object.entries(summaryOf(world, run))) flat[`summary_metrics.${key}`] = value;
  return flat;
}

function summaryOf(world: World, run: MockRun): Record<string, unknown> {
  const last = stepsOf(run, world.now()) - 1;
  return { ...history(run, last - (last % 10)), ...history(run, last), best: { accuracy: 0.5 + (run.seed % 40) / 100 }, samples_seen: "@18014398509481985" };
}

/** JSON in which "@123" stands for a number that JavaScript cannot hold. */
function exact(value: unknown): string {
  return JSON.stringify(value).replace(/"@(\d+)"/g, "$1");
}

function runOf(world: World, project: MockProject, run: MockRun): object {
  const now = world.now();
  const steps = stepsOf(run, now);
  const lines = Math.floor(steps / 5);
  const log = (given: Arguments) => connection(Array.from({ length: lines }, (_, number) => logLine(run, number)), given);
  return {
    ...run,
    __typename: "Run",
    project: { name: project.name, entityName: project.entityName },
    config: exact(run.config),
    summaryMetrics: exact(summaryOf(world, run)),
    createdAt: iso(run.createdAt),
    heartbeatAt: iso(living(run) ? now : run.createdAt + steps * run.pace),
    commit: "3f2c9a41d07be5582c1f6d0e9b7a6f5c4d3e2b1a",
    readOnly: project.readOnly,
    user: { name: run.username === "ada" ? "Ada Lovelace" : "Grace Hopper", username: run.username },
    historyLineCount: steps,
    eventsLineCount: Math.ceil(steps / 30),
    logLineCount: lines,
    fileCount: run.files.length,
    historyKeys: { keys: Object.fromEntries(historyKeys.map((key) => [key, { typeCounts: [{ type: "number", count: steps }], previousValue: 1 }])), sets: [], lastStep: steps - 1 },
    sampledHistory: ({ specs }: Arguments) => (specs as string[]).map((spec) => sample(run, steps, JSON.parse(spec) as { keys: string[]; samples: number })),
    events: () => systemEvents(run, steps),
    logLines: log,
    files: ({ names, first, after }: Arguments) => {
      const wanted = names as string[] | undefined;
      const found = wanted?.length ? wanted.map((name) => run.files.find((file) => file.name === name) ?? missing(name)) : run.files;
      return connection(found.map((file) => fileOf(`runs/${run.name}`, file)), { first, after });
    },
    runInfo: {
      program: "train.py",
      args: ["--epochs", "20"],
      os: "Linux-6.8",
      python: "CPython 3.12.3",
      executable: "/usr/bin/python3",
      cpuCount: 16,
      gpuCount: 1,
      gpu: "NVIDIA L4",
      git: { remote: "git@example.com:ada/digits.git", commit: "3f2c9a41d07be5582c1f6d0e9b7a6f5c4d3e2b1a" },
    },
    outputArtifacts: (given: Arguments) => connection(project.artifacts.filter(({ createdBy }) => createdBy === run.name).map((one) => versionOf(project, one)), given),
    inputArtifacts: (given: Arguments) => connection(project.artifacts.filter(({ usedBy }) => usedBy.includes(run.name)).map((one) => versionOf(project, one)), given),
  };
}

function sample(run: MockRun, steps: number, { keys, samples }: { keys: string[]; samples: number }): object[] {
  const stride = Math.max(1, Math.floor(steps / samples));
  const rows: object[] = [];
  for (let step = 0; step < steps; step++) {
    if (step % stride !== 0 && step !== steps - 1 && step % 10 !== 0) continue;
    const line = history(run, step);
    if (keys.every((key) => key in line)) rows.push(Object.fromEntries(keys.map((key) => [key, line[key]])));
  }
  return rows;
}

function missing(name: string): MockFile & { missing: true } {
  return { name, body: "", mimetype: "", missing: true };
}

function fileOf(place: string, file: MockFile & { missing?: boolean }): object {
  return {
    id: file.name,
    name: file.name,
    displayName: file.name,
    sizeBytes: file.body.length,
    mimetype: file.mimetype || null,
    updatedAt: file.missing ? null : iso(Date.now() - 3_600_000),
    md5: file.missing ? "0" : "1B2M2Y8AsgTpgAmY7PhCfg==",
    directUrl: `/storage/${place}/${file.name.split("/").map(encodeURIComponent).join("/")}`,
  };
}

function sweepOf(world: World, project: MockProject, sweep: MockSweep): object {
  const losses = project.runs.filter(({ sweepName }) => sweepName === sweep.name).map((run) => summaryOf(world, run)["val/loss"] as number);
  return { ...sweep, createdAt: iso(sweep.createdAt), bestLoss: losses.length > 0 ? Math.min(...losses) : null, runCount: losses.length };
}

function typeOf(project: MockProject, type: string): object {
  const versions = project.artifacts.filter((one) => one.type === type);
  const names = [...new Set(versions.map(({ collection }) => collection))];
  const collection = (name: string) => collectionOf(project, versions.filter((one) => one.collection === name));
  return {
    name: type,
    artifactCollections: (given: Arguments) => connection(names.map(collection), given),
    artifactCollection: ({ name }: Arguments) => collection(String(name)),
  };
}

function collectionOf(project: MockProject, versions: MockVersion[]): object | null {
  const [first] = versions;
  if (!first) return null;
  const newest = [...versions].reverse();
  return {
    id: first.collection,
    name: first.collection,
    description: null,
    createdAt: iso(first.createdAt),
    updatedAt: iso(newest[0]?.createdAt ?? 0),
    artifacts: (given: Arguments) => connection(newest.map((one) => versionOf(project, one)), given),
    artifactMembership: ({ aliasName }: Arguments) => membershipOf(project, first.collection, String(aliasName)),
  };
}

function membershipOf(project: MockProject, collection: string, version: string): object | null {
  const found = project.artifacts.find((one) => one.collection === collection && (`v${one.version}` === version || one.aliases.includes(version)));
  if (!found) return null;
  return {
    id: found.id,
    versionIndex: found.version,
    aliases: found.aliases.map((alias) => ({ alias })),
    artifactCollection: { name: collection },
    artifact: versionOf(project, found),
    files: (given: Arguments) => connection(found.files.map((file) => fileOf(`artifacts/${found.id}`, file)), given),
  };
}

function versionOf(project: MockProject, version: MockVersion): object {
  const run = (name: string) => {
    const found = project.runs.find((one) => one.name === name);
    return found && { __typename: "Run", id: found.id, name, displayName: found.displayName, project: { name: project.name, entityName: project.entityName } };
  };
  return {
    id: version.id,
    versionIndex: version.version,
    state: "COMMITTED",
    description: version.description,
    metadata: version.metadata,
    size: version.files.reduce((sum, { body }) => sum + body.length, 0),
    fileCount: version.files.length,
    digest: "5d41402abc4b2a76b9719d911017c592",
    createdAt: iso(version.createdAt),
    aliases: version.aliases.map((alias) => ({ alias })),
    artifactSequence: { name: version.collection, project: { name: project.name, entityName: project.entityName } },
    artifactType: { name: version.type },
    createdBy: version.createdBy ? run(version.createdBy) : null,
    usedBy: (given: Arguments) => connection(version.usedBy.map(run).filter(Boolean), given),
  };
}

/** The bytes of a file below /storage/. */
export function storedFile(world: World, pathname: string): MockFile | undefined {
  const [, place, id, ...name] = pathname.replace(/^\//, "").split("/").map(decodeURIComponent);
  const holders = world.projects.flatMap<{ files: MockFile[] }>(({ runs, artifacts }) =>
    place === "runs" ? runs.filter((run) => run.name === id) : artifacts.filter((one) => one.id === id),
  );
  return holders[0]?.files.find((file) => file.name === name.join("/"));
}
