import { Group, Progress, Stack, Text } from "@mantine/core";
import { IconAlertTriangleFilled, IconCircleXFilled } from "@tabler/icons-react";
import { TimeAgo } from "@kubewandb/ui";
import { useQuery } from "@tanstack/react-query";
import { type Storage, storageQuery } from "../data/project.ts";
import { binaryBytes } from "../number.ts";

/** From which share of its quota on an entity is nearly full. */
const nearlyFull = 0.9;

/** What an entity stores, beside its quota where it has one. Nothing where nothing was measured, or who looks may not know. */
export function StorageUse({ entity }: { entity: string }) {
  const { data: storage } = useQuery(storageQuery(entity));
  if (!storage?.measuredAt) return null;
  return (
    <Stack component="section" aria-label="Storage" gap={6} mb="md" maw={560}>
      {storage.quotaBytes === null ? <Text size="sm">{binaryBytes(storage.usedBytes)} stored</Text> : <OfQuota storage={storage} quota={storage.quotaBytes} />}
      <Text size="xs" c="dimmed">
        Files {binaryBytes(storage.filesBytes)}, artifacts {binaryBytes(storage.artifactsBytes)}, history {binaryBytes(storage.historyBytes)}; measured{" "}
        <TimeAgo time={storage.measuredAt} />
      </Text>
    </Stack>
  );
}

function OfQuota({ storage, quota }: { storage: Storage; quota: number }) {
  const share = storage.usedBytes / quota;
  const { color, Icon, words } = stateOf(share);
  return (
    <>
      <Group gap={8} wrap="nowrap" align="flex-start">
        {Icon && <Icon size={18} color={color} style={{ flex: "none", marginTop: 1 }} aria-hidden />}
        <Text size="sm">
          {binaryBytes(storage.usedBytes)} of {binaryBytes(quota)} stored ({Math.floor(share * 100)} %){words}
        </Text>
      </Group>
      <Progress value={Math.min(100, share * 100)} color={color} size="sm" aria-hidden />
    </>
  );
}

/** How an entity that has used this share of its quota is shown; the words follow the figures. */
function stateOf(share: number) {
  if (share >= 1) {
    return {
      color: "var(--bad)",
      Icon: IconCircleXFilled,
      words: ". The quota is used up: no new run begins until runs or artifacts are deleted or an administrator sets a larger quota. Runs that have begun go on.",
    };
  }
  if (share >= nearlyFull) {
    return { color: "var(--warn)", Icon: IconAlertTriangleFilled, words: ". The quota is nearly used up; once it is, no new run begins." };
  }
  return { color: "var(--busy)", Icon: undefined, words: "" };
}
