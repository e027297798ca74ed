import { Button, Group, Stack, Text } from "@mantine/core";
import { Dialog } from "@kubewandb/ui";
import { DiffView } from "./diffview.tsx";

interface ConflictDialogProps {
  /** The text when the editing began. */
  base: string;
  /** The text that somebody else saved. */
  theirs: string;
  onReload: () => void;
  onKeep: () => void;
}

/** Shows that somebody else saved meanwhile, and what. Closing it keeps the reader's text. */
export function ConflictDialog({ base, theirs, onReload, onKeep }: ConflictDialogProps) {
  return (
    <Dialog
      opened
      onClose={onKeep}
      size="lg"
      title="Somebody else changed the user layer"
      closeButtonProps={{ "aria-label": "Close and keep my text" }}
    >
      <Stack gap="md">
        <Text size="sm">Nothing of yours is saved yet. This is what changed since you opened the page:</Text>
        <DiffView before={base} after={theirs} label="Their changes" />
        <Text size="sm" c="dimmed">
          If you keep your text, copy what you need of theirs into it: the next save replaces theirs.
        </Text>
        <Group justify="flex-end" gap="sm">
          <Button variant="default" onClick={onReload}>
            Discard mine and load theirs
          </Button>
          <Button onClick={onKeep} data-autofocus>
            Keep mine
          </Button>
        </Group>
      </Stack>
    </Dialog>
  );
}
