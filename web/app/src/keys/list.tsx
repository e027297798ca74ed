import { Button, Group, Stack, Table, Text, VisuallyHidden } from "@mantine/core";
import { Dialog, ErrorNotice, Loading, TimeAgo, useAnnounce } from "@kubewandb/ui";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { type Key, keysQuery, revokeKey } from "../api.ts";
import classes from "./list.module.css";

/** The user's keys, newest first, each with a way to revoke it. */
export function KeyList() {
  const keys = useQuery(keysQuery);
  const [doomed, setDoomed] = useState<Key>();
  if (!keys.data) {
    return keys.error ? (
      <ErrorNotice error={keys.error} title="Your keys could not be loaded" onRetry={() => void keys.refetch()} />
    ) : (
      <Loading what="your keys" />
    );
  }
  if (keys.data.length === 0) {
    return (
      <Text c="dimmed" size="sm" px="lg" pb="lg">
        You have no key yet. Create one above.
      </Text>
    );
  }
  const sorted = [...keys.data].sort((a, b) => Date.parse(b.createdAt) - Date.parse(a.createdAt));
  return (
    <>
      <Table className={classes.table} verticalSpacing="sm" aria-labelledby="keys">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Key</Table.Th>
            <Table.Th>Description</Table.Th>
            <Table.Th>Created</Table.Th>
            <Table.Th>Last used</Table.Th>
            <Table.Th>
              <VisuallyHidden>Actions</VisuallyHidden>
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {sorted.map((key) => (
            <Table.Tr key={key.id}>
              <Table.Td data-label="Key">
                <code>{key.name}…</code>
              </Table.Td>
              <Table.Td data-label="Description">{key.description || <Text span size="sm" c="dimmed">none</Text>}</Table.Td>
              <Table.Td data-label="Created">
                <TimeAgo time={key.createdAt} />
              </Table.Td>
              <Table.Td data-label="Last used">
                <TimeAgo time={key.lastUsedAt} missing="never" />
              </Table.Td>
              <Table.Td className={classes.action}>
                <Button
                  size="compact-sm"
                  variant="subtle"
                  color="red"
                  aria-label={`Revoke key ${label(key)}`}
                  onClick={() => {
                    setDoomed(key);
                  }}
                >
                  Revoke
                </Button>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <RevokeDialog
        doomed={doomed}
        onClose={() => {
          setDoomed(undefined);
        }}
      />
    </>
  );
}

function RevokeDialog({ doomed, onClose }: { doomed: Key | undefined; onClose: () => void }) {
  const announce = useAnnounce();
  const client = useQueryClient();
  const revoke = useMutation({
    mutationFn: (key: Key) => revokeKey(key.id),
    onSuccess: async (_, key) => {
      client.setQueryData(keysQuery.queryKey, (keys) => keys?.filter(({ id }) => id !== key.id));
      announce(`Key ${label(key)} revoked.`);
      onClose();
      await client.invalidateQueries(keysQuery);
    },
  });
  const close = () => {
    revoke.reset();
    onClose();
  };
  return (
    <Dialog opened={doomed !== undefined} onClose={close} title="Revoke this key?">
      {doomed && (
        <Stack gap="md">
          <Text size="sm">
            Programs that use <strong>{label(doomed)}</strong> can no longer sign in. Running ones stop logging. This cannot be undone.
          </Text>
          {revoke.error && <ErrorNotice error={revoke.error} title="The key was not revoked" />}
          <Group justify="flex-end" gap="sm">
            <Button variant="default" onClick={close} data-autofocus>
              Keep it
            </Button>
            <Button
              color="red"
              loading={revoke.isPending}
              onClick={() => {
                revoke.mutate(doomed);
              }}
            >
              Revoke key
            </Button>
          </Group>
        </Stack>
      )}
    </Dialog>
  );
}

function label(key: Key): string {
  return key.description ? `${key.description} (${key.name}…)` : `${key.name}…`;
}
