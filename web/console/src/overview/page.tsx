import { ActionIcon, Group, SimpleGrid, Stack, Text, Tooltip } from "@mantine/core";
import { ErrorNotice, Loading, Page, TimeAgo, useAnnounce } from "@kubewandb/ui";
import { IconRefresh } from "@tabler/icons-react";
import { useEffect, useRef } from "react";
import { type Overview } from "../api.ts";
import { site } from "../site.ts";
import { ConditionList } from "./conditions.tsx";
import { EventList } from "./events.tsx";
import { HeadlineCard } from "./headline.tsx";
import { useLiveOverview } from "./live.ts";
import { PodTable } from "./pods.tsx";
import { ReleaseCard } from "./release.tsx";
import { type Liveness } from "./watch.ts";
import { headline } from "./words.ts";
import classes from "./page.module.css";

export function OverviewPage() {
  const { overview, liveness, refresh } = useLiveOverview();
  const view = overview.data;
  return (
    <Page
      title="Overview"
      site={site}
      actions={<LiveIndicator liveness={liveness} updatedAt={overview.dataUpdatedAt} onRefresh={refresh} />}
    >
      {view ? (
        <State view={view} error={overview.error} onRetry={refresh} />
      ) : overview.error ? (
        <ErrorNotice error={overview.error} title="The state could not be read" onRetry={refresh} />
      ) : (
        <Loading what="the state of the instance" />
      )}
    </Page>
  );
}

function State({ view, error, onRetry }: { view: Overview; error: unknown; onRetry: () => void }) {
  useAnnouncedHeadline(view);
  return (
    <Stack gap="lg">
      {error !== null && <ErrorNotice error={error} title="What you see may be out of date" onRetry={onRetry} />}
      <HeadlineCard view={view} />
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="lg" className={classes.columns}>
        <ConditionList view={view} />
        <Stack gap="lg">
          <ReleaseCard view={view} />
          <EventList events={view.events} />
        </Stack>
      </SimpleGrid>
      <PodTable pods={view.pods} />
    </Stack>
  );
}

/** Has a change of the headline, and only that, said aloud. */
function useAnnouncedHeadline(view: Overview) {
  const announce = useAnnounce();
  const { state, reason } = headline(view);
  const before = useRef(state);
  useEffect(() => {
    if (before.current === state) return;
    before.current = state;
    announce(`The instance is now: ${state}${reason ? `, ${reason}` : ""}.`);
  }, [announce, state, reason]);
}

const livenessText: Record<Liveness, string> = {
  live: "Live",
  connecting: "Connecting…",
  stale: "Not live: the connection is lost. The page tries again by itself.",
};

function LiveIndicator({ liveness, updatedAt, onRefresh }: { liveness: Liveness; updatedAt: number; onRefresh: () => void }) {
  const at = updatedAt > 0 ? new Date(updatedAt).toISOString() : null;
  return (
    <Group gap={6} className={classes.live} data-liveness={liveness}>
      <span className={classes.dot} aria-hidden />
      <Text size="sm" role="status" className={classes.liveText}>
        {livenessText[liveness]}
      </Text>
      {liveness === "stale" && at && (
        <Text size="sm" c="dimmed">
          Read <TimeAgo time={at} />
        </Text>
      )}
      {liveness !== "live" && (
        <Tooltip label="Try now">
          <ActionIcon variant="subtle" color="gray" aria-label="Connect now" onClick={onRefresh}>
            <IconRefresh size={18} aria-hidden />
          </ActionIcon>
        </Tooltip>
      )}
    </Group>
  );
}
