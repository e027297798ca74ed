export interface MockFile {
  name: string;
  body: string | Uint8Array;
  mimetype: string;
}

export interface MockRun {
  id: string;
  name: string;
  displayName: string;
  state: string;
  createdAt: number;
  /** Steps that the run makes in all, and milliseconds between two. */
  steps: number;
  pace: number;
  seed: number;
  tags: string[];
  notes: string;
  group: string | null;
  jobType: string | null;
  sweepName: string | null;
  username: string;
  config: Record<string, unknown>;
  files: MockFile[];
  stopped?: boolean;
}

export interface MockSweep {
  id: string;
  name: string;
  displayName: string;
  method: string;
  state: string;
  description: string | null;
  config: string;
  createdAt: number;
  runCountExpected: number | null;
}

export interface MockVersion {
  id: string;
  type: string;
  collection: string;
  version: number;
  aliases: string[];
  description: string | null;
  metadata: string;
  createdAt: number;
  createdBy: string | null;
  usedBy: string[];
  files: MockFile[];
}

/** What an entity stores and may store. */
export interface MockStorage {
  filesBytes: number;
  artifactsBytes: number;
  historyBytes: number;
  quotaBytes: number | null;
  measuredAt: string | null;
}

export interface MockProject {
  id: string;
  name: string;
  entityName: string;
  description: string | null;
  createdAt: number;
  readOnly: boolean;
  /** Whether the user may delete it. */
  manageable: boolean;
  runs: MockRun[];
  sweeps: MockSweep[];
  artifacts: MockVersion[];
}

export interface World {
  /** The time now, in milliseconds; tests move it. */
  now: () => number;
  projects: MockProject[];
  /** What "ada" stores; nothing was measured where it is left out. */
  storage?: MockStorage;
}
