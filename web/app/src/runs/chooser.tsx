import { Button, Checkbox, Popover, Stack, Text, TextInput } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { counted } from "../number.ts";
import classes from "./page.module.css";

interface ChooserProps {
  label: string;
  icon: ReactNode;
  options: string[];
  chosen: string[];
  onChange: (chosen: string[]) => void;
}

/** As many options as are worth looking through; a search finds the others. */
const limit = 200;

/** A button with a list of names to tick, searchable. */
export function Chooser({ label, icon, options, chosen, onChange }: ChooserProps) {
  const [opened, setOpened] = useState(false);
  const [search, setSearch] = useState("");
  const found = [...new Set([...chosen, ...options])].filter((name) => name.toLowerCase().includes(search.toLowerCase()));
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-end" width={300} trapFocus withinPortal={false} shadow="md">
      <Popover.Target>
        <Button
          variant="default"
          leftSection={icon}
          onClick={() => {
            setOpened((before) => !before);
          }}
        >
          {label}
        </Button>
      </Popover.Target>
      <Popover.Dropdown aria-label={label}>
        <Stack gap="sm">
          <TextInput
            aria-label={`Search ${label.toLowerCase()}`}
            placeholder="Search"
            value={search}
            onChange={(event) => {
              setSearch(event.currentTarget.value);
            }}
          />
          <div className={classes.options} role="group" aria-label={label}>
            {found.slice(0, limit).map((name) => (
              <Checkbox
                key={name}
                size="xs"
                label={name}
                checked={chosen.includes(name)}
                onChange={(event) => {
                  onChange(event.currentTarget.checked ? [...chosen, name] : chosen.filter((one) => one !== name));
                }}
              />
            ))}
          </div>
          <Text size="xs" c="dimmed" role="status">
            {found.length > limit ? `The first ${limit} of ${counted(found.length, "name")}: search for others.` : counted(found.length, "name")}
          </Text>
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}
