import { Alert, Anchor, Button, Group, Kbd, Stack, Text } from "@mantine/core";
import { ApiError, ErrorNotice, useAnnounce } from "@kubewandb/ui";
import { IconCircleCheck } from "@tabler/icons-react";
import { useEffect, useEffectEvent, useMemo } from "react";
import { Link } from "react-router";
import { type Spec } from "../api.ts";
import { ConflictDialog } from "./conflict.tsx";
import { useDraft } from "./draft.ts";
import { LeaveGuard } from "./leave.tsx";
import { ShadowedList } from "./shadowed.tsx";
import { type Mistake, YamlEditor } from "./yaml.tsx";

const example = ["# For example:", "values:", "  app:", "    extraEnv:", "      LOG_LEVEL: debug"].join("\n");

/** Edits the user layer. */
export function UserLayer({ spec }: { spec: Spec }) {
  const draft = useDraft(spec);
  const { save } = draft;
  const announce = useAnnounce();

  const onKey = useEffectEvent((event: KeyboardEvent) => {
    if (event.key.toLowerCase() !== "s" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
    event.preventDefault();
    if (draft.dirty) draft.submit();
  });
  useEffect(() => {
    const listener = (event: KeyboardEvent) => {
      onKey(event);
    };
    window.addEventListener("keydown", listener);
    return () => {
      window.removeEventListener("keydown", listener);
    };
  }, []);

  useEffect(() => {
    if (save.isSuccess) announce("Saved.");
  }, [save.isSuccess, announce]);

  const refused = save.error instanceof ApiError && save.error.status === 422 ? save.error : undefined;
  const conflicting = save.error instanceof ApiError && save.error.status === 409;
  const mistake = useMemo<Mistake | undefined>(
    () => (refused?.line ? { line: refused.line, message: refused.message } : undefined),
    [refused],
  );

  return (
    <Stack gap="md">
      <Text c="dimmed" size="sm">
        What you set here goes above the release channel and below the custom resource.
      </Text>
      <ShadowedList shadowed={spec.shadowed} />
      {refused ? (
        <ErrorNotice error={refused} title={`Not saved: ${where(refused)}`} />
      ) : (
        save.error && !conflicting && <ErrorNotice error={save.error} title="Not saved" onRetry={draft.submit} />
      )}
      <YamlEditor
        label="User layer"
        text={draft.text}
        onChange={draft.edit}
        mistake={mistake}
        placeholder={example}
        describedBy="editor-keys"
      />
      <Group justify="space-between" gap="sm">
        <Group gap="sm">
          <Button onClick={draft.submit} disabled={!draft.dirty} loading={save.isPending}>
            Save
          </Button>
          <Button variant="default" onClick={draft.revert} disabled={!draft.dirty || save.isPending}>
            Discard changes
          </Button>
          <Text size="sm" c="dimmed" role="status">
            {draft.dirty ? "Unsaved changes" : ""}
          </Text>
        </Group>
        <Text size="xs" c="dimmed" id="editor-keys">
          <Kbd size="xs">Ctrl</Kbd> or <Kbd size="xs">⌘</Kbd> + <Kbd size="xs">S</Kbd> saves. <Kbd size="xs">Esc</Kbd>, then{" "}
          <Kbd size="xs">Tab</Kbd> leaves the editor.
        </Text>
      </Group>
      {save.isSuccess && !draft.dirty && (
        <Alert color="green" variant="light" icon={<IconCircleCheck aria-hidden />} title="Saved" role="note">
          The operator applies it now. Follow it on the{" "}
          <Anchor component={Link} to="/" inherit>
            overview
          </Anchor>
          .
        </Alert>
      )}
      {draft.conflict && <ConflictDialog {...draft.conflict} onReload={draft.takeTheirs} onKeep={draft.keepMine} />}
      <LeaveGuard active={draft.dirty} />
    </Stack>
  );
}

function where({ line, path }: ApiError): string {
  if (line && path) return `line ${line}, ${path}`;
  if (line) return `line ${line}`;
  return path ?? "the text cannot be used";
}
