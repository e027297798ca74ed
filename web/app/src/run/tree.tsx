import { Anchor, TextInput } from "@mantine/core";
import { CopyIcon } from "@kubewandb/ui";
import { IconChevronRight, IconSearch } from "@tabler/icons-react";
import { useDeferredValue, useId, useMemo, useState } from "react";
import { Link } from "react-router";
import { type Json, inline, member, stringOf } from "../json.ts";
import { counted } from "../number.ts";
import classes from "./tree.module.css";

interface TreeProps {
  title: string;
  value: Json | undefined;
  /** What to say where there is nothing. */
  empty: string;
  /** Where a file of the run is shown. */
  fileLink?: (path: string) => string;
}

/** Lines that exist at once; a search finds the others. */
const limit = 500;

/** A JSON object as lines of keys and values, each number as it was sent; searchable, and folded below the first level. */
export function Tree({ title, value, empty, fileLink }: TreeProps) {
  const id = useId();
  const [search, setSearch] = useState("");
  const sought = useDeferredValue(search.trim().toLowerCase());
  const [toggled, setToggled] = useState<ReadonlySet<string>>(new Set());
  const lines = useMemo(() => linesOf(value, sought, toggled), [value, sought, toggled]);
  const toggle = (path: string) => {
    setToggled((before) => {
      const next = new Set(before);
      if (!next.delete(path)) next.add(path);
      return next;
    });
  };
  const isEmpty = value?.kind !== "object" || value.entries.length === 0;
  return (
    <section className={classes.card} aria-labelledby={id}>
      <div className={classes.head}>
        <h2 id={id} className={classes.title}>
          {title}
        </h2>
        {!isEmpty && (
          <>
            <TextInput
              size="xs"
              className={classes.search ?? ""}
              aria-label={`Search ${title.toLowerCase()}`}
              placeholder="Search keys and values"
              leftSection={<IconSearch size={14} aria-hidden />}
              value={search}
              onChange={(event) => {
                setSearch(event.currentTarget.value);
              }}
            />
            <CopyIcon value={inline(value)} what={title.toLowerCase()} />
          </>
        )}
      </div>
      {isEmpty ? (
        <p className={classes.empty}>{empty}</p>
      ) : (
        <ul className={classes.lines}>
          {lines.slice(0, limit).map((line) => (
            <li key={line.path} className={classes.line} style={{ paddingInlineStart: `${0.75 + line.depth * 1.1}rem` }}>
              {line.folds ? (
                <button
                  type="button"
                  className={classes.fold}
                  aria-expanded={line.opened}
                  onClick={() => {
                    toggle(line.path);
                  }}
                >
                  <IconChevronRight size={14} aria-hidden />
                  <span className={classes.key}>{line.name}</span>
                  <span className={classes.kind}>{sizeOf(line.value)}</span>
                </button>
              ) : (
                <>
                  <span className={classes.key}>{line.name}</span>
                  <Value value={line.value} fileLink={fileLink} />
                </>
              )}
            </li>
          ))}
          {lines.length === 0 && <li className={classes.empty}>Nothing is called like this.</li>}
          {lines.length > limit && <li className={classes.empty}>{counted(lines.length - limit, "further line")}: search to see them.</li>}
        </ul>
      )}
    </section>
  );
}

function Value({ value, fileLink }: { value: Json; fileLink: ((path: string) => string) | undefined }) {
  const type = stringOf(member(value, "_type"));
  const path = stringOf(member(value, "path"));
  if (type && path && fileLink) {
    return (
      <span className={classes.value}>
        <Anchor component={Link} to={fileLink(path)} inherit>
          {type.replace(/-file$/, "")}
        </Anchor>
      </span>
    );
  }
  return (
    <span className={classes.value} data-kind={value.kind}>
      {inline(value)}
    </span>
  );
}

interface Line {
  path: string;
  name: string;
  depth: number;
  value: Json;
  folds: boolean;
  opened: boolean;
}

/** The lines to show. Everything that a search finds is unfolded. */
export function linesOf(value: Json | undefined, sought: string, toggled: ReadonlySet<string>): Line[] {
  const lines: Line[] = [];
  const walk = (json: Json, prefix: string, depth: number, wanted: boolean) => {
    for (const [name, child] of childrenOf(json)) {
      const path = `${prefix}/${name}`;
      const folds = isFolder(child);
      const found = wanted || sought === "" || name.toLowerCase().includes(sought);
      if (!found && !holds(child, sought)) continue;
      const opened = folds && ((sought !== "" && !found) || toggled.has(path));
      lines.push({ path, name, depth, value: child, folds, opened });
      if (opened) walk(child, path, depth + 1, found && sought !== "");
    }
  };
  if (value) walk(value, "", 0, false);
  return lines;
}

function childrenOf(json: Json): [string, Json][] {
  if (json.kind === "object") return [...json.entries].sort(([a], [b]) => Number(a.startsWith("_")) - Number(b.startsWith("_")));
  return json.kind === "array" ? json.items.map((item, index) => [String(index), item]) : [];
}

/** Whether a value gets lines of its own: objects, and lists of more than plain values. */
function isFolder(json: Json): boolean {
  if (json.kind === "object") return json.entries.length > 0 && !member(json, "_type");
  return json.kind === "array" && json.items.some(({ kind }) => kind === "object" || kind === "array");
}

function holds(json: Json, sought: string): boolean {
  if (!isFolder(json)) return inline(json).toLowerCase().includes(sought);
  return childrenOf(json).some(([name, child]) => name.toLowerCase().includes(sought) || holds(child, sought));
}

function sizeOf(json: Json): string {
  return json.kind === "object" ? counted(json.entries.length, "key") : json.kind === "array" ? counted(json.items.length, "item") : "";
}
