import { Group, Paper, Text, Title } from "@mantine/core";
import { TimeAgo } from "@kubewandb/ui";
import { IconArrowRight } from "@tabler/icons-react";
import { type Overview } from "../api.ts";
import { Pipeline } from "./pipeline.tsx";
import { ToneIcon } from "./tone.tsx";
import { headline } from "./words.ts";
import classes from "./headline.module.css";

/** The state of the instance at one look, and what comes next. */
export function HeadlineCard({ view }: { view: Overview }) {
  const { state, tone, reason, message, since } = headline(view);
  return (
    <Paper component="section" withBorder radius="lg" className={classes.card} data-tone={tone} aria-labelledby="headline">
      <Group gap="md" align="flex-start" wrap="nowrap" p="lg">
        <ToneIcon tone={tone} size={36} />
        <div className={classes.text}>
          <Group gap="sm" align="baseline">
            <Title order={2} id="headline" className={classes.state ?? ""}>
              {state}
            </Title>
            {reason && reason !== state && <code className={classes.reason}>{reason}</code>}
            {since && (
              <Text size="sm" c="dimmed">
                since <TimeAgo time={since} />
              </Text>
            )}
          </Group>
          <Text mt={4}>{message}</Text>
        </div>
      </Group>
      <Pipeline view={view} />
      {view.next && view.next !== message && (
        <div className={classes.next}>
          <IconArrowRight size={16} aria-hidden className={classes.arrow} />
          <Text size="sm">
            <strong>Next:</strong> {view.next}
          </Text>
        </div>
      )}
    </Paper>
  );
}
