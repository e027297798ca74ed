import { Button, Group, NativeSelect, Popover, Stack, Text, TextInput } from "@mantine/core";
import { IconFilter, IconFilterPlus } from "@tabler/icons-react";
import { type SyntheticEvent, useState } from "react";
import { condition, fieldNames, parseFilter } from "../filter.ts";
import classes from "./page.module.css";

interface FilterBoxProps {
  value: string;
  onChange: (text: string) => void;
  /** Columns of the runs, to choose from. */
  columns: string[];
}

/** One line of filter language, applied with Enter, and a small form that writes it. */
export function FilterBox({ value, onChange, columns }: FilterBoxProps) {
  const [draft, setDraft] = useState({ of: value, text: value });
  const [mistake, setMistake] = useState("");
  // A filter that changed elsewhere, as by the browser's back button, replaces what was typed.
  const text = draft.of === value ? draft.text : value;

  const apply = (next: string) => {
    const parsed = parseFilter(next);
    setDraft({ of: value, text: next });
    setMistake(parsed.ok ? "" : parsed.message);
    if (parsed.ok) onChange(next.trim());
  };
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    apply(text);
  };
  return (
    <form onSubmit={submit} role="search" className={classes.filter}>
      <TextInput
        aria-label="Filter runs"
        placeholder="state = running and summary.loss < 0.1"
        leftSection={<IconFilter size={16} aria-hidden />}
        value={text}
        error={mistake || undefined}
        spellCheck={false}
        autoCapitalize="none"
        onChange={(event) => {
          setDraft({ of: value, text: event.currentTarget.value });
          setMistake("");
          if (event.currentTarget.value === "" && value !== "") apply("");
        }}
        onBlur={() => {
          if (text.trim() !== value) apply(text);
        }}
      />
      <ConditionForm
        columns={columns}
        onAdd={(added) => {
          apply(text.trim() === "" ? added : `${/\bor\b/i.test(text) ? `(${text})` : text} and ${added}`);
        }}
      />
    </form>
  );
}

const comparisons = [
  { value: "=", label: "is" },
  { value: "!=", label: "is not" },
  { value: ">", label: "is more than" },
  { value: ">=", label: "is at least" },
  { value: "<", label: "is less than" },
  { value: "<=", label: "is at most" },
  { value: "~", label: "matches (regular expression)" },
];

function ConditionForm({ columns, onAdd }: { columns: string[]; onAdd: (condition: string) => void }) {
  const [opened, setOpened] = useState(false);
  const [field, setField] = useState("state");
  const [operator, setOperator] = useState("=");
  const [wanted, setWanted] = useState("");
  const add = () => {
    if (wanted.trim() === "") return;
    onAdd(condition(field, operator, wanted.trim()));
    setWanted("");
    setOpened(false);
  };
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-end" width={300} trapFocus withinPortal={false} shadow="md">
      <Popover.Target>
        <Button
          variant="default"
          leftSection={<IconFilterPlus size={16} aria-hidden />}
          onClick={() => {
            setOpened((before) => !before);
          }}
        >
          Add filter
        </Button>
      </Popover.Target>
      <Popover.Dropdown aria-label="Add filter">
        <Stack gap="sm">
          <NativeSelect
            label="Field"
            value={field}
            data={[...fieldNames, ...columns]}
            onChange={(event) => {
              setField(event.currentTarget.value);
            }}
          />
          <NativeSelect
            label="Comparison"
            value={operator}
            data={comparisons}
            onChange={(event) => {
              setOperator(event.currentTarget.value);
            }}
          />
          <TextInput
            label="Value"
            value={wanted}
            onChange={(event) => {
              setWanted(event.currentTarget.value);
            }}
            onKeyDown={(event) => {
              if (event.key !== "Enter") return;
              event.preventDefault();
              add();
            }}
          />
          <Group justify="flex-end">
            <Button size="sm" onClick={add} disabled={wanted.trim() === ""}>
              Add
            </Button>
          </Group>
          <Text size="xs" c="dimmed">
            Words without a comparison search names. Combine conditions with and, or, not and brackets.
          </Text>
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}
