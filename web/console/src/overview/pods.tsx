import { Table, Text, Tooltip } from "@mantine/core";
import { age, dateTime, instant, shortDigest, useNow } from "@kubewandb/ui";
import { type Pod } from "../api.ts";
import { Section } from "./section.tsx";
import { ToneIcon } from "./tone.tsx";
import { type Tone } from "./words.ts";
import classes from "./pods.module.css";

export function PodTable({ pods }: { pods: Pod[] }) {
  const ready = pods.filter((pod) => pod.ready || pod.phase === "Succeeded").length;
  return (
    <Section title="Pods" id="pods" note={pods.length > 0 ? `${ready} of ${pods.length} ready` : undefined}>
      {pods.length === 0 ? (
        <Text size="sm" c="dimmed" px="lg" pb="md">
          There are none. They appear when the first release is installed.
        </Text>
      ) : (
        <Table className={classes.table} verticalSpacing="sm" aria-labelledby="pods">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Pod</Table.Th>
              <Table.Th>State</Table.Th>
              <Table.Th>Restarts</Table.Th>
              <Table.Th>Image</Table.Th>
              <Table.Th>Age</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {pods.map((pod) => (
              <PodRow key={pod.name} pod={pod} />
            ))}
          </Table.Tbody>
        </Table>
      )}
    </Section>
  );
}

function PodRow({ pod }: { pod: Pod }) {
  const { tone, state } = podState(pod);
  return (
    <Table.Tr>
      <Table.Td>
        <Text size="sm" fw={600}>
          {pod.component || "–"}
        </Text>
        <Text size="xs" c="dimmed">
          {pod.name}
        </Text>
      </Table.Td>
      <Table.Td data-label="State">
        <div>
          <span className={classes.state}>
            <ToneIcon tone={tone} size={18} />
            {state}
          </span>
          {pod.message && <div className={classes.message}>{pod.message}</div>}
        </div>
      </Table.Td>
      <Table.Td data-label="Restarts">
        <span className={classes.restarts} data-many={pod.restarts >= 3 || undefined}>
          {pod.restarts}
        </span>
      </Table.Td>
      <Table.Td data-label="Image">
        <div>
          {pod.images.map((image) => (
            <Image key={image.name} image={image.image} imageID={image.imageID} />
          ))}
        </div>
      </Table.Td>
      <Table.Td data-label="Age">
        <Age since={pod.startedAt} />
      </Table.Td>
    </Table.Tr>
  );
}

function Image({ image, imageID }: { image: string; imageID: string }) {
  const digest = shortDigest(imageID) || shortDigest(image);
  // The registry is the same for all, and long; the tooltip has it.
  const short = image.replace(/@sha256:.*$/, "").split("/").at(-1) ?? image;
  return (
    <div className={classes.image}>
      <Tooltip label={image} multiline maw={420}>
        {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- the keyboard's way to the tooltip */}
        <span tabIndex={0}>{short}</span>
      </Tooltip>
      {digest && <code className={classes.digest}>{digest}</code>}
    </div>
  );
}

function Age({ since }: { since: string | null }) {
  const now = useNow();
  const start = instant(since);
  if (start === undefined) return <>–</>;
  return (
    <time dateTime={new Date(start).toISOString()} title={dateTime(start)}>
      {age(start, now)}
    </time>
  );
}

function podState({ phase, ready, message }: Pod): { tone: Tone; state: string } {
  if (phase === "Succeeded") return { tone: "good", state: "Finished" };
  if (phase === "Failed") return { tone: "bad", state: "Failed" };
  if (phase === "Terminating") return { tone: "busy", state: "Stopping" };
  if (ready) return { tone: "good", state: "Ready" };
  if (message) return { tone: "bad", state: "Not ready" };
  return { tone: phase === "Unknown" ? "unknown" : "busy", state: phase === "Running" ? "Running, not ready yet" : "Starting" };
}
