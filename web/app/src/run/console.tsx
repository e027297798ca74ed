import { Button, Group, Switch, Text } from "@mantine/core";
import { ErrorNotice, Loading, dateTime, instant } from "@kubewandb/ui";
import { IconArrowBarToDown } from "@tabler/icons-react";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useEffect, useMemo, useRef, useState } from "react";
import { type LogLine, logPagesQuery, logTailQuery, pulseInterval } from "../data/run.ts";
import { nodesOf } from "../graphql.ts";
import { count } from "../number.ts";
import { pieces } from "./ansi.ts";
import { useRun } from "./page.tsx";
import classes from "./console.module.css";

/** Lines of the end that are held at once. */
export const tailLength = 1_000;

/** Lines of one page when reading from the beginning. */
const pageLength = 2_000;

/** The run's console: its end, which is followed while the run goes on, or all of it from the first line. */
export function Console() {
  const { name, living, pulse } = useRun();
  const [whole, setWhole] = useState(false);
  const tail = useQuery({
    ...logTailQuery(name, tailLength),
    enabled: !whole,
    // A progress bar changes lines without adding any, which no count shows.
    refetchInterval: living ? pulseInterval : false,
  });
  const pages = useInfiniteQuery({ ...logPagesQuery(name, pageLength), enabled: whole });
  const query = whole ? pages : tail;
  const lines = useMemo(
    () => (whole ? (pages.data?.pages.flatMap((page) => nodesOf(page?.logLines)) ?? []) : nodesOf(tail.data?.logLines)),
    [whole, pages.data, tail.data],
  );
  const total = pulse?.logLineCount ?? tail.data?.logLineCount ?? pages.data?.pages[0]?.logLineCount ?? 0;
  if (query.isPending) return <Loading what="the console" />;
  if (query.error && !query.data) return <ErrorNotice error={query.error} title="The console could not be loaded" onRetry={() => void query.refetch()} />;
  if (lines.length === 0) return <p className={classes.hint}>{living ? "The program has printed nothing yet." : "The program printed nothing."}</p>;
  return (
    <Lines
      key={String(whole)}
      lines={lines}
      follows={!whole}
      head={
        <>
          <Text size="sm" c="dimmed">
            {lines.length >= total ? `${count(total)} lines` : whole ? `Lines 1 to ${count(lines.length)} of ${count(total)}` : `The last ${count(lines.length)} of ${count(total)} lines`}
          </Text>
          {(whole || lines.length < total) && (
            <Button
              size="compact-sm"
              variant="subtle"
              onClick={() => {
                setWhole((before) => !before);
              }}
            >
              {whole ? "Show the end" : "Show from the beginning"}
            </Button>
          )}
        </>
      }
      onEnd={() => {
        if (whole && pages.hasNextPage && !pages.isFetchingNextPage) void pages.fetchNextPage();
      }}
    />
  );
}

const lineHeight = 20;

function Lines({ lines, follows, head, onEnd }: { lines: LogLine[]; follows: boolean; head: React.ReactNode; onEnd: () => void }) {
  const scroller = useRef<HTMLDivElement>(null);
  const [atEnd, setAtEnd] = useState(follows);
  const [times, setTimes] = useState(false);
  // eslint-disable-next-line react-hooks/incompatible-library -- these pages are built without the compiler
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => lineHeight,
    getItemKey: (index) => lines[index]?.number ?? index,
    overscan: 20,
  });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  const newest = lines.at(-1);
  useEffect(() => {
    if (follows && atEnd) virtual.scrollToIndex(lines.length - 1, { align: "end" });
  }, [virtual, follows, atEnd, lines.length, newest]);
  useEffect(() => {
    if (last >= lines.length - 50) onEnd();
  }, [last, lines.length, onEnd]);
  const jump = () => {
    setAtEnd(true);
    virtual.scrollToIndex(lines.length - 1, { align: "end" });
  };
  return (
    <>
      <Group justify="space-between" mb="xs" gap="xs">
        <Group gap="xs">{head}</Group>
        <Switch
          size="sm"
          label="Times"
          checked={times}
          onChange={(event) => {
            setTimes(event.currentTarget.checked);
          }}
        />
      </Group>
      <div className={classes.frame}>
        {/* Focusable, so that a keyboard can scroll it. */}
        <div
          ref={scroller}
          className={classes.console}
          // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
          tabIndex={0}
          role="region"
          aria-label="Console"
          onScroll={({ currentTarget: box }) => {
            setAtEnd(box.scrollHeight - box.scrollTop - box.clientHeight < lineHeight * 2);
          }}
        >
          <div style={{ height: virtual.getTotalSize(), position: "relative" }}>
            {items.map((item) => {
              const line = lines[item.index];
              return (
                line && (
                  <div key={item.key} ref={virtual.measureElement} data-index={item.index} className={classes.place} style={{ transform: `translateY(${item.start}px)` }}>
                    <Line line={line} times={times} />
                  </div>
                )
              );
            })}
          </div>
        </div>
        {follows && !atEnd && (
          <Button className={classes.jump ?? ""} size="xs" leftSection={<IconArrowBarToDown size={16} aria-hidden />} onClick={jump}>
            Follow the end
          </Button>
        )}
      </div>
    </>
  );
}

const Line = memo(function Line({ line, times }: { line: LogLine; times: boolean }) {
  const isError = line.level === "error";
  const time = instant(line.timestamp);
  return (
    <div className={classes.line} data-error={isError || undefined}>
      <span className={classes.number} aria-hidden>
        {line.number + 1}
      </span>
      {times && <span className={classes.time}>{time === undefined ? "" : dateTime(time)}</span>}
      {isError && <span className={classes.mark}>stderr</span>}
      {line.label && <span className={classes.label}>{line.label}</span>}
      <span className={classes.text}>
        {pieces(line.line).map(({ text, classes: marks, style }, index) =>
          marks === "" && !style ? (
            text
          ) : (
            <span key={index} data-ansi={marks} style={style}>
              {text}
            </span>
          ),
        )}
      </span>
    </div>
  );
});
