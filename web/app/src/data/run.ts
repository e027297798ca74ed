import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { type Connection, ask, nextCursor, operation } from "../graphql.ts";

export interface RunName {
  entity: string;
  project: string;
  run: string;
}

export interface RunHead {
  id: string;
  name: string;
  displayName: string | null;
  state: string;
  createdAt: string;
  heartbeatAt: string | null;
  tags: string[];
  group: string | null;
  jobType: string | null;
  notes: string | null;
  commit: string | null;
  sweepName: string | null;
  readOnly: boolean | null;
  user: { name: string; username: string | null } | null;
}

/** What tells whether a reader has to ask again; small, since it is asked every few seconds. */
export interface Pulse {
  state: string;
  heartbeatAt: string | null;
  historyLineCount: number | null;
  eventsLineCount: number | null;
  logLineCount: number | null;
}

export interface HistoryKeys {
  keys: Record<string, { typeCounts?: { type: string; count: number }[]; monotonic?: boolean; previousValue?: unknown }>;
  lastStep?: number;
}

export interface LogLine {
  number: number;
  timestamp: string | null;
  level: string | null;
  label: string | null;
  line: string;
}

export interface StoredFile {
  id: string;
  name: string;
  sizeBytes: number | string;
  mimetype: string | null;
  updatedAt: string | null;
  md5: string | null;
  directUrl: string;
}

export interface RunInfo {
  program: string | null;
  args: string[] | null;
  os: string | null;
  python: string | null;
  executable: string | null;
  cpuCount: number | null;
  gpuCount: number | null;
  gpu: string | null;
  git: { remote: string | null; commit: string | null } | null;
}

interface InProject<Run> {
  project: { run: Run | null } | null;
}

/** A query about one run. */
function ofRun<Run, More = object>(name: string, fields: string, parameters = "") {
  return operation<InProject<Run>, RunName & More>(`
    query ${name}($entity: String!, $project: String!, $run: String!${parameters}) {
      project(name: $project, entityName: $entity) { run(name: $run) { ${fields} } }
    }`);
}

export const headOperation = ofRun<RunHead>(
  "RunHead",
  "id name displayName state createdAt heartbeatAt tags group jobType notes commit sweepName readOnly user { name username }",
);
export const pulseOperation = ofRun<Pulse>("RunPulse", "state heartbeatAt historyLineCount eventsLineCount logLineCount");
export const valuesOperation = ofRun<{ config: string | null; summaryMetrics: string | null }>("RunValues", "config summaryMetrics");
export const keysOperation = ofRun<{ historyKeys: HistoryKeys | null }>("RunHistoryKeys", "historyKeys");
export const infoOperation = ofRun<{ runInfo: RunInfo | null }>(
  "RunInfo",
  "runInfo { program args os python executable cpuCount gpuCount gpu git { remote commit } }",
);
export const eventsOperation = ofRun<{ events: string[] | null }, { samples: number }>("RunEvents", "events(samples: $samples)", ", $samples: Int!");
export const samplesOperation = ofRun<{ sampledHistory: Record<string, unknown>[][] | null }, { specs: string[] }>(
  "RunSampledHistory",
  "sampledHistory(specs: $specs)",
  ", $specs: [JSONString!]!",
);

const logFields = "edges { node { number timestamp level label line } cursor } pageInfo { endCursor hasNextPage }";
export const logTailOperation = ofRun<{ logLineCount: number; logLines: Connection<LogLine> | null }, { count: number }>(
  "RunConsoleLogTail",
  `logLineCount logLines(last: $count) { ${logFields} }`,
  ", $count: Int!",
);
export const logPageOperation = ofRun<{ logLineCount: number; logLines: Connection<LogLine> | null }, { count: number; cursor: string | null }>(
  "RunConsoleLogPage",
  `logLineCount logLines(first: $count, after: $cursor, useImprovedPagination: true) { ${logFields} }`,
  ", $count: Int!, $cursor: String",
);

const fileFields = "id name sizeBytes mimetype updatedAt md5 directUrl";
export const filesOperation = ofRun<{ fileCount: number; files: Connection<StoredFile> }, { cursor: string | null; count: number }>(
  "RunFiles",
  `fileCount files(after: $cursor, first: $count) { edges { node { ${fileFields} } cursor } pageInfo { endCursor hasNextPage } }`,
  ", $cursor: String, $count: Int",
);
export const fileOperation = ofRun<{ files: Connection<StoredFile> }, { names: string[] }>(
  "RunFile",
  `files(names: $names, first: 1) { edges { node { ${fileFields} } cursor } pageInfo { endCursor hasNextPage } }`,
  ", $names: [String!]",
);

export const changeRunOperation = operation<
  { upsertBucket: { bucket: { id: string } | null } | null },
  { id: string; displayName?: string; notes?: string; tags?: string[] }
>(`
  mutation UpsertBucket($id: String!, $displayName: String, $notes: String, $tags: [String!]) {
    upsertBucket(input: { id: $id, displayName: $displayName, notes: $notes, tags: $tags }) { bucket { id } }
  }`);
export const stopRunOperation = operation<{ stopRun: { success: boolean } | null }, { id: string }>(`
  mutation StopRun($id: ID!) { stopRun(input: { id: $id }) { success } }`);
export const deleteRunOperation = operation<{ deleteRun: { clientMutationId: string | null } | null }, { id: string; deleteArtifacts: boolean }>(`
  mutation DeleteRun($id: ID!, $deleteArtifacts: Boolean) {
    deleteRun(input: { id: $id, deleteArtifacts: $deleteArtifacts }) { clientMutationId }
  }`);

/** States in which a run may still log. */
export const livingStates = ["running", "pending", "preempting"];

/** Time between two looks at a run that still logs, in milliseconds. */
export const pulseInterval = 3_000;

/** Everything about one run begins with this key. */
export function runKey({ entity, project, run }: RunName) {
  return ["run", entity, project, run] as const;
}

function one<Run>(data: InProject<Run>): Run | null {
  return data.project?.run ?? null;
}

/** Null where there is no such run, or none that the user may see. */
export function headQuery(name: RunName) {
  return queryOptions({
    queryKey: [...runKey(name), "head"],
    queryFn: ({ signal }) => ask(headOperation, pick(name), signal).then(one),
  });
}

/** Looks every few seconds while the run may log, and no more afterwards. */
export function pulseQuery(name: RunName) {
  return queryOptions({
    queryKey: [...runKey(name), "pulse"],
    queryFn: ({ signal }) => ask(pulseOperation, pick(name), signal).then(one),
    refetchInterval: ({ state }) => (state.data && livingStates.includes(state.data.state) ? pulseInterval : 60_000),
  });
}

export function valuesQuery(name: RunName) {
  return queryOptions({
    queryKey: [...runKey(name), "values"],
    queryFn: ({ signal }) => ask(valuesOperation, pick(name), signal).then(one),
  });
}

export function keysQuery(name: RunName) {
  return queryOptions({
    queryKey: [...runKey(name), "history", "keys"],
    queryFn: ({ signal }) => ask(keysOperation, pick(name), signal).then((data) => one(data)?.historyKeys ?? null),
  });
}

export function infoQuery(name: RunName) {
  return queryOptions({
    queryKey: [...runKey(name), "info"],
    queryFn: ({ signal }) => ask(infoOperation, pick(name), signal).then((data) => one(data)?.runInfo ?? null),
    staleTime: 60_000,
  });
}

/** Lines of system metrics, as JSON text. */
export function eventsQuery(name: RunName, samples = 500) {
  return queryOptions({
    queryKey: [...runKey(name), "events"],
    queryFn: ({ signal }) => ask(eventsOperation, { ...pick(name), samples }, signal).then((data) => one(data)?.events ?? []),
  });
}

/** The last lines of the console. */
export function logTailQuery(name: RunName, count: number) {
  return queryOptions({
    queryKey: [...runKey(name), "log", "tail", count],
    queryFn: ({ signal }) => ask(logTailOperation, { ...pick(name), count }, signal).then(one),
  });
}

/** The console from its first line. */
export function logPagesQuery(name: RunName, count: number) {
  return infiniteQueryOptions({
    queryKey: [...runKey(name), "log", "pages", count],
    queryFn: ({ pageParam, signal }) => ask(logPageOperation, { ...pick(name), count, cursor: pageParam }, signal).then(one),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => nextCursor(page?.logLines),
  });
}

export function filesQuery(name: RunName, count = 500) {
  return infiniteQueryOptions({
    queryKey: [...runKey(name), "files", count],
    queryFn: ({ pageParam, signal }) => ask(filesOperation, { ...pick(name), cursor: pageParam, count }, signal).then(one),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => nextCursor(page?.files),
  });
}

/** One file; null where the run has none of this name. A name that only was announced has the checksum "0". */
export function fileQuery(name: RunName, file: string) {
  return queryOptions({
    queryKey: [...runKey(name), "file", file],
    queryFn: async ({ signal }) => {
      const found = one(await ask(fileOperation, { ...pick(name), names: [file] }, signal))?.files.edges[0]?.node;
      return found && found.md5 !== "0" ? found : null;
    },
  });
}

function pick({ entity, project, run }: RunName): RunName {
  return { entity, project, run };
}
