import { Paper, Text, Title } from "@mantine/core";
import { type ReactNode } from "react";
import classes from "./section.module.css";

interface SectionProps {
  title: string;
  id: string;
  /** A short fact at the right of the title. */
  note?: ReactNode;
  children: ReactNode;
}

/** A framed part of the overview with its heading. */
export function Section({ title, id, note, children }: SectionProps) {
  return (
    <Paper component="section" withBorder radius="lg" aria-labelledby={id} className={classes.section}>
      <div className={classes.head}>
        <Title order={2} id={id}>
          {title}
        </Title>
        {note && (
          <Text size="sm" c="dimmed" component="div">
            {note}
          </Text>
        )}
      </div>
      {children}
    </Paper>
  );
}
