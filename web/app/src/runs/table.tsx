import { Checkbox, VisuallyHidden } from "@mantine/core";
import { TimeAgo } from "@kubewandb/ui";
import { IconArrowDown, IconArrowUp, IconArrowsSort } from "@tabler/icons-react";
import { type ColumnDef, type SortingState, rowSortingFeature, tableFeatures, useTable } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef } from "react";
import { Link } from "react-router";
import { Swatch } from "../chart/plot.tsx";
import type { ProjectName } from "../data/project.ts";
import { counted } from "../number.ts";
import { StateMark } from "../parts/state.tsx";
import { paths } from "../paths.ts";
import { type Row, cellText, durationText, fixedColumns, nameOf, orderKey } from "./row.ts";
import classes from "./table.module.css";

const features = tableFeatures({ rowSortingFeature });
type Column = ColumnDef<typeof features, Row>;

const rowHeight = 36;

interface RunTableProps {
  name: ProjectName;
  rows: Row[];
  /** All runs that the filter lets through, also those that are not loaded. */
  total: number;
  columns: string[];
  sort: { id: string; desc: boolean };
  onSort: (sort: { id: string; desc: boolean }) => void;
  /** Runs that the charts show, with their colours. */
  shown?: Map<string, number> | undefined;
  onShow?: (run: string, shown: boolean) => void;
  onEnd: () => void;
}

/** Runs as a table: only rows near the screen exist, and the next page is fetched before its end is reached. */
export function RunTable({ name, rows, total, columns, sort, onSort, shown, onShow, onEnd }: RunTableProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const definitions = useMemo(() => columnsFor(name, columns), [name, columns]);
  const sorting: SortingState = [sort];
  const table = useTable({
    features,
    data: rows,
    columns: definitions,
    getRowId: ({ run }) => run.id,
    manualSorting: true,
    enableSortingRemoval: false,
    state: { sorting },
    onSortingChange: (update) => {
      const [next] = typeof update === "function" ? update(sorting) : update;
      if (next) onSort(next);
    },
  });
  // eslint-disable-next-line react-hooks/incompatible-library -- these pages are built without the compiler
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 12,
  });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (rows.length < total && last >= rows.length - 10) onEnd();
  }, [last, rows.length, total, onEnd]);

  const all = table.getRowModel().rows;
  const above = items[0]?.start ?? 0;
  const below = virtual.getTotalSize() - (items.at(-1)?.end ?? 0);
  const width = definitions.length + (onShow ? 1 : 0);
  return (
    // Focusable, so that a keyboard can scroll it.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div ref={scroller} className={classes.scroller} tabIndex={0} role="region" aria-label={`Runs: ${counted(total, "run")}`}>
      <table className={classes.table} aria-rowcount={total + 1}>
        <thead>
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id}>
              {onShow && (
                <th scope="col" className={classes.pick}>
                  <VisuallyHidden>In the charts</VisuallyHidden>
                </th>
              )}
              {group.headers.map((header) => (
                <HeaderCell key={header.id} id={header.column.id} sort={sort} sortable={header.column.getCanSort()} onSort={() => { header.column.toggleSorting(); }} />
              ))}
            </tr>
          ))}
        </thead>
        <tbody>
          <Spacer height={above} width={width} />
          {items.map((item) => {
            const row = all[item.index];
            if (!row) return null;
            const { run } = row.original;
            const color = shown?.get(run.name);
            return (
              <tr key={row.id} aria-rowindex={item.index + 2}>
                {onShow && (
                  <td className={classes.pick}>
                    <Checkbox
                      size="xs"
                      checked={color !== undefined}
                      aria-label={`Show ${nameOf(run)} in the charts`}
                      onChange={(event) => {
                        onShow(run.name, event.currentTarget.checked);
                      }}
                    />
                    {color === undefined ? <span className={classes.blank} /> : <Swatch color={color} />}
                  </td>
                )}
                {row.getAllCells().map((cell) => (
                  <td key={cell.id} data-column={cell.column.id}>
                    <table.FlexRender cell={cell} />
                  </td>
                ))}
              </tr>
            );
          })}
          <Spacer height={below} width={width} />
        </tbody>
      </table>
    </div>
  );
}

function Spacer({ height, width }: { height: number; width: number }) {
  if (height <= 0) return null;
  return (
    <tr aria-hidden className={classes.spacer}>
      <td colSpan={width} style={{ height }} />
    </tr>
  );
}

function HeaderCell({ id, sort, sortable, onSort }: { id: string; sort: { id: string; desc: boolean }; sortable: boolean; onSort: () => void }) {
  const label = fixedColumns.find((column) => column.id === id)?.label ?? id.replace(/^(config|summary)\./, "");
  const group = /^(config|summary)\./.exec(id)?.[1];
  const text = (
    <>
      {group && <VisuallyHidden>{group} </VisuallyHidden>}
      {label}
    </>
  );
  if (!sortable) {
    return (
      <th scope="col" data-column={id} title={id}>
        {text}
      </th>
    );
  }
  const sorted = sort.id === id ? (sort.desc ? "descending" : "ascending") : "none";
  const Icon = sorted === "none" ? IconArrowsSort : sort.desc ? IconArrowDown : IconArrowUp;
  return (
    <th scope="col" data-column={id} aria-sort={sorted} title={id}>
      <button type="button" className={classes.sort} data-sorted={sorted !== "none" || undefined} onClick={onSort}>
        <span className={classes.label}>{text}</span>
        <Icon size={14} aria-hidden />
      </button>
    </th>
  );
}

function columnsFor(name: ProjectName, columns: string[]): Column[] {
  const fixed: Record<(typeof fixedColumns)[number]["id"], (row: Row) => React.ReactNode> = {
    name: ({ run }) => (
      <Link className={classes.run} to={paths.run(name.entity, name.project, run.name)} title={`${nameOf(run)} (${run.name})`}>
        {nameOf(run)}
      </Link>
    ),
    state: ({ run }) => <StateMark state={run.state} />,
    created: ({ run }) => <TimeAgo time={run.createdAt} />,
    user: ({ run }) => run.user?.username ?? run.user?.name ?? "–",
    duration: (row) => durationText(row.duration),
  };
  return [
    ...fixedColumns.map(
      ({ id }): Column => ({ id, accessorFn: ({ run }) => run.name, enableSorting: orderKey(id) !== undefined, sortDescFirst: id === "created", cell: ({ row }) => fixed[id](row.original) }),
    ),
    ...columns.map((id): Column => ({ id, accessorFn: ({ values }) => values.get(id), sortDescFirst: false, cell: ({ row }) => <Value row={row.original} id={id} /> })),
  ];
}

function Value({ row, id }: { row: Row; id: string }) {
  const { text, full, number } = cellText(row.values.get(id));
  return (
    <span className={classes.value} data-number={number || undefined} title={full === text ? undefined : full}>
      {text}
    </span>
  );
}
