import { Anchor, Badge, Button, Checkbox, Group, Menu, Stack, TagsInput, Text, TextInput, Textarea } from "@mantine/core";
import { Dialog, ErrorNotice, TimeAgo, useAnnounce, useNow } from "@kubewandb/ui";
import { IconDots, IconPencil, IconPlayerStop, IconTrash } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { Link, useNavigate } from "react-router";
import { type RunHead, type RunName, changeRunOperation, deleteRunOperation, headQuery, runKey, stopRunOperation, valuesQuery } from "../data/run.ts";
import { ask } from "../graphql.ts";
import { parseJson } from "../json.ts";
import { paths } from "../paths.ts";
import { durationOf, durationText } from "../runs/row.ts";
import classes from "./page.module.css";

/** One line of what a run is. */
export function Facts({ name, run, heartbeatAt, living }: { name: RunName; run: RunHead; heartbeatAt: string | null; living: boolean }) {
  const values = useQuery(valuesQuery(name));
  const now = useNow();
  const end = living ? new Date(Math.max(now, Date.parse(heartbeatAt ?? "") || 0)).toISOString() : heartbeatAt;
  const seconds = durationOf(run.createdAt, end, living ? undefined : parseJson(values.data?.summaryMetrics));
  const facts: [string, ReactNode][] = [
    ["Duration", durationText(seconds)],
    ["Started", <TimeAgo key="started" time={run.createdAt} />],
    ["By", run.user?.username ?? run.user?.name ?? "–"],
    ["Id", <code key="id">{run.name}</code>],
  ];
  if (run.group) facts.push(["Group", run.group]);
  if (run.jobType) facts.push(["Type", run.jobType]);
  if (run.sweepName) {
    facts.push([
      "Sweep",
      <Anchor key="sweep" component={Link} to={paths.sweep(name.entity, name.project, run.sweepName)} inherit>
        {run.sweepName}
      </Anchor>,
    ]);
  }
  return (
    <dl className={classes.facts}>
      {facts.map(([label, value]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Tags and notes, and the dialog that changes them. */
export function Notes({ name, run, editable }: { name: RunName; run: RunHead; editable: boolean }) {
  const [editing, setEditing] = useState(false);
  if (!editable && run.tags.length === 0 && !run.notes) return null;
  return (
    <div className={classes.notes}>
      <div className={classes.tags}>
        {run.tags.map((tag) => (
          <Badge key={tag} variant="light">
            {tag}
          </Badge>
        ))}
        {editable && (
          <Button
            size="compact-sm"
            variant="subtle"
            leftSection={<IconPencil size={15} aria-hidden />}
            onClick={() => {
              setEditing(true);
            }}
          >
            {run.tags.length === 0 && !run.notes ? "Add tags and notes" : "Edit"}
          </Button>
        )}
      </div>
      {run.notes && <p className={classes.note}>{run.notes}</p>}
      {editing && (
        <EditDialog
          name={name}
          run={run}
          onClose={() => {
            setEditing(false);
          }}
        />
      )}
    </div>
  );
}

function EditDialog({ name, run, onClose }: { name: RunName; run: RunHead; onClose: () => void }) {
  const client = useQueryClient();
  const announce = useAnnounce();
  const [displayName, setDisplayName] = useState(run.displayName ?? run.name);
  const [tags, setTags] = useState(run.tags);
  const [notes, setNotes] = useState(run.notes ?? "");
  const save = useMutation({
    mutationFn: () => ask(changeRunOperation, { id: run.id, displayName: displayName.trim(), notes, tags }),
    onSuccess: async () => {
      announce("Saved.");
      client.setQueryData(headQuery(name).queryKey, (head) => head && { ...head, displayName: displayName.trim(), notes, tags });
      onClose();
      await client.invalidateQueries({ queryKey: ["runs", name.entity, name.project] });
    },
  });
  return (
    <Dialog opened onClose={onClose} title="Edit this run" size="lg">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        <Stack gap="md">
          {save.error && <ErrorNotice error={save.error} title="The run was not changed" />}
          <TextInput
            label="Name"
            value={displayName}
            required
            withAsterisk={false}
            maxLength={128}
            data-autofocus
            onChange={(event) => {
              setDisplayName(event.currentTarget.value);
            }}
          />
          <TagsInput label="Tags" description="Press Enter after each" value={tags} onChange={setTags} acceptValueOnBlur />
          <Textarea
            label="Notes"
            value={notes}
            rows={5}
            onChange={(event) => {
              setNotes(event.currentTarget.value);
            }}
          />
          <Group justify="flex-end" gap="sm">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={save.isPending}>
              Save
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}

/** Stop and delete, each after a question. */
export function RunActions({ name, run, state }: { name: RunName; run: RunHead; state: string }) {
  const [asking, setAsking] = useState<"stop" | "delete">();
  const close = () => {
    setAsking(undefined);
  };
  return (
    <Group gap="xs">
      {state === "running" && (
        <Button
          variant="default"
          leftSection={<IconPlayerStop size={16} aria-hidden />}
          onClick={() => {
            setAsking("stop");
          }}
        >
          Stop
        </Button>
      )}
      <Menu position="bottom-end" withinPortal={false} withInitialFocusPlaceholder={false}>
        <Menu.Target>
          <Button variant="default" px="xs" aria-label="More actions">
            <IconDots size={18} aria-hidden />
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item
            leftSection={<IconTrash size={16} aria-hidden />}
            onClick={() => {
              setAsking("delete");
            }}
          >
            Delete run…
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {asking === "stop" && <StopDialog name={name} run={run} onClose={close} />}
      {asking === "delete" && <DeleteDialog name={name} run={run} onClose={close} />}
    </Group>
  );
}

function StopDialog({ name, run, onClose }: { name: RunName; run: RunHead; onClose: () => void }) {
  const client = useQueryClient();
  const announce = useAnnounce();
  const stop = useMutation({
    mutationFn: () => ask(stopRunOperation, { id: run.id }),
    onSuccess: async () => {
      announce("The run was asked to stop.");
      onClose();
      await client.invalidateQueries({ queryKey: runKey(name) });
    },
  });
  return (
    <Dialog opened onClose={onClose} title="Stop this run?">
      <Stack gap="md">
        <Text size="sm">
          The program that logs <strong>{run.displayName ?? run.name}</strong> is told to end the next time it sends something, within about 15
          seconds. What it has logged stays.
        </Text>
        {stop.error && <ErrorNotice error={stop.error} title="The run was not stopped" />}
        <Group justify="flex-end" gap="sm">
          <Button variant="default" onClick={onClose} data-autofocus>
            Let it run
          </Button>
          <Button
            loading={stop.isPending}
            onClick={() => {
              stop.mutate();
            }}
          >
            Stop run
          </Button>
        </Group>
      </Stack>
    </Dialog>
  );
}

function DeleteDialog({ name, run, onClose }: { name: RunName; run: RunHead; onClose: () => void }) {
  const client = useQueryClient();
  const announce = useAnnounce();
  const navigate = useNavigate();
  const [artifacts, setArtifacts] = useState(false);
  const remove = useMutation({
    mutationFn: () => ask(deleteRunOperation, { id: run.id, deleteArtifacts: artifacts }),
    onSuccess: async () => {
      announce("Run deleted.");
      await navigate(paths.project(name.entity, name.project));
      client.removeQueries({ queryKey: runKey(name) });
      await client.invalidateQueries({ queryKey: ["runs", name.entity, name.project] });
    },
  });
  return (
    <Dialog opened onClose={onClose} title="Delete this run?">
      <Stack gap="md">
        <Text size="sm">
          Everything that <strong>{run.displayName ?? run.name}</strong> logged is removed: metrics, console and files. A program that still logs to
          it fails. This cannot be undone.
        </Text>
        <Checkbox
          label="Also delete the artifacts that it made"
          checked={artifacts}
          onChange={(event) => {
            setArtifacts(event.currentTarget.checked);
          }}
        />
        {remove.error && <ErrorNotice error={remove.error} title="The run was not deleted" />}
        <Group justify="flex-end" gap="sm">
          <Button variant="default" onClick={onClose} data-autofocus>
            Keep it
          </Button>
          <Button
            color="red"
            loading={remove.isPending}
            onClick={() => {
              remove.mutate();
            }}
          >
            Delete run
          </Button>
        </Group>
      </Stack>
    </Dialog>
  );
}
