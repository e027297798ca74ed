import { Button } from "@mantine/core";
import { IconChevronRight } from "@tabler/icons-react";
import { type ReactNode, useState } from "react";
import { ChartGrid } from "../chart/card.tsx";
import classes from "./page.module.css";

/** Charts in one section before "Show more". */
export const sectionSize = 24;

/** Charts of one group, which can be folded. Of many charts only the first exist until more are asked for. */
export function Section<Item>({ title, items, opened: initially, draw }: { title: string; items: Item[]; opened: boolean; draw: (item: Item) => ReactNode }) {
  const [opened, setOpened] = useState(initially);
  const [limit, setLimit] = useState(sectionSize);
  return (
    <section className={classes.section} aria-label={title}>
      <h2 style={{ margin: 0, font: "inherit" }}>
        <button
          type="button"
          className={classes.sectionhead}
          aria-expanded={opened}
          onClick={() => {
            setOpened((before) => !before);
          }}
        >
          <IconChevronRight size={16} aria-hidden />
          {title}
          <span className={classes.sectioncount}>{items.length}</span>
        </button>
      </h2>
      {opened && <ChartGrid>{items.slice(0, limit).map(draw)}</ChartGrid>}
      {opened && items.length > limit && (
        <Button
          mt="sm"
          size="xs"
          variant="default"
          onClick={() => {
            setLimit((before) => before + sectionSize);
          }}
        >
          Show more of {title}
        </Button>
      )}
    </section>
  );
}
