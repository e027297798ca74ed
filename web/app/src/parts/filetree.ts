/** A folder or a file in one folder of a tree. */
export interface Entry<File> {
  name: string;
  path: string;
  /** Undefined for a folder. */
  file: File | undefined;
  size: number;
  /** Files in a folder and all below it. */
  files: number;
}

/** What one folder holds, folders first. Files are known by their whole paths. */
export function listFolder<File extends { name: string; sizeBytes: number | string }>(files: File[], folder: string): Entry<File>[] {
  const prefix = folder === "" ? "" : `${folder}/`;
  const entries = new Map<string, Entry<File>>();
  for (const file of files) {
    if (!file.name.startsWith(prefix)) continue;
    const rest = file.name.slice(prefix.length);
    const slash = rest.indexOf("/");
    const name = slash < 0 ? rest : rest.slice(0, slash);
    const key = slash < 0 ? `f:${name}` : `d:${name}`;
    const size = Number(file.sizeBytes);
    const entry = entries.get(key);
    if (entry) {
      entry.size += size;
      entry.files++;
    } else {
      entries.set(key, { name, path: prefix + name, file: slash < 0 ? file : undefined, size, files: 1 });
    }
  }
  return [...entries.values()].sort((a, b) => Number(a.file !== undefined) - Number(b.file !== undefined) || a.name.localeCompare(b.name, "en", { numeric: true }));
}
