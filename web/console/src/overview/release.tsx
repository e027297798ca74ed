import { Badge, DataList, Text } from "@mantine/core";
import { TimeAgo } from "@kubewandb/ui";
import { type ReactNode } from "react";
import { type Overview } from "../api.ts";
import { Section } from "./section.tsx";
import { standing } from "./words.ts";

/** The release that runs, and the newest one of its channel. */
export function ReleaseCard({ view }: { view: Overview }) {
  const { release, channel } = view;
  const relation = standing(view);
  const installed = release.revision > 0 || release.id !== "" || release.name !== "";
  return (
    <Section
      title="Release"
      id="release"
      note={
        relation === "current" ? (
          <Badge variant="light" color="green">
            Newest
          </Badge>
        ) : relation === "behind" ? (
          <Badge variant="light" color="yellow">
            Newer one in the channel
          </Badge>
        ) : undefined
      }
    >
      {installed ? (
        <DataList px="lg" pb="md" labelWidth="8.5rem">
          <Row label="Active">
            <strong>{release.name || release.id}</strong>
          </Row>
          <Row label="Chart">{`${release.chart} ${release.chartVersion}`.trim() || "–"}</Row>
          <Row label="Revision">{release.revision}</Row>
          <Row label="Deployed">
            <TimeAgo time={release.deployedAt} />
          </Row>
          <Row label="Channel">{channel.name || "none"}</Row>
          <Row label="Newest there">{channel.release || "not known yet"}</Row>
          <Row label="Last asked">
            <TimeAgo time={channel.checkedAt} missing="not yet" />
          </Row>
        </DataList>
      ) : (
        <Text size="sm" c="dimmed" px="lg" pb="md">
          No release is installed yet.
          {channel.release && ` The channel ${channel.name} offers ${channel.release}.`}
        </Text>
      )}
    </Section>
  );
}

function Row({ label, children }: { label: string; children: ReactNode }) {
  return (
    <DataList.Item>
      <DataList.ItemLabel>{label}</DataList.ItemLabel>
      <DataList.ItemValue>{children}</DataList.ItemValue>
    </DataList.Item>
  );
}
