import { Button, Group, Paper, Stack, Text, TextInput, Title } from "@mantine/core";
import { Command, CopyButton, ErrorNotice, useAnnounce } from "@kubewandb/ui";
import { IconKey } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type SyntheticEvent, useEffect, useRef, useState } from "react";
import { type NewKey, createKey, keysQuery } from "../api.ts";
import classes from "./create.module.css";

/** Creates a key and shows it this once. */
export function NewKeyForm() {
  const announce = useAnnounce();
  const client = useQueryClient();
  const [description, setDescription] = useState("");
  const create = useMutation({
    mutationFn: createKey,
    onSuccess: async () => {
      setDescription("");
      announce("Key created. Copy it now: it is shown only once.");
      await client.invalidateQueries(keysQuery);
    },
  });
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    create.mutate(description.trim());
  };
  if (create.data) {
    return (
      <CreatedKey
        created={create.data}
        onDone={() => {
          create.reset();
        }}
      />
    );
  }
  return (
    <Paper component="section" withBorder p="lg" radius="lg" aria-labelledby="new-key">
      <Title order={2} id="new-key" mb="sm">
        New key
      </Title>
      <form onSubmit={submit} aria-labelledby="new-key">
        <Stack gap="md">
          {create.error && <ErrorNotice error={create.error} title="The key was not created" />}
          <Group align="flex-end" gap="sm">
            <TextInput
              flex="1 1 14rem"
              label="Description"
              placeholder="Laptop, or training cluster"
              name="description"
              autoComplete="off"
              maxLength={200}
              value={description}
              onChange={(event) => {
                setDescription(event.currentTarget.value);
              }}
            />
            <Button type="submit" loading={create.isPending} leftSection={<IconKey size={18} aria-hidden />}>
              Create key
            </Button>
          </Group>
        </Stack>
      </form>
    </Paper>
  );
}

function CreatedKey({ created, onDone }: { created: NewKey; onDone: () => void }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    heading.current?.focus();
  }, []);
  return (
    <Paper component="section" withBorder p="lg" radius="lg" className={classes.created ?? ""} aria-labelledby="created-key">
      <Stack gap="sm">
        <Title order={2} id="created-key" ref={heading} tabIndex={-1} style={{ outline: "none" }}>
          Your new key
        </Title>
        <Text size="sm">Copy it now. It is shown this once; the server keeps only a fingerprint of it.</Text>
        <Command value={created.key} what="key" />
        <Group>
          <CopyButton value={created.key} what="key" />
          <Button variant="default" onClick={onDone}>
            I have stored it
          </Button>
        </Group>
      </Stack>
    </Paper>
  );
}
