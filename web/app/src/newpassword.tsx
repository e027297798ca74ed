import { Group, List, PasswordInput, type PasswordInputProps, Progress, Stack, Text, VisuallyHidden } from "@mantine/core";
import { IconCheck, IconPointFilled } from "@tabler/icons-react";
import { useId } from "react";
import { type Owner, type Strength, passwordRules, passwordStrength } from "./password.ts";

const shown: Record<Strength, { label: string; share: number; color: string }> = {
  weak: { label: "Weak", share: 25, color: "red" },
  fair: { label: "Fair", share: 50, color: "yellow" },
  good: { label: "Good", share: 75, color: "teal" },
  strong: { label: "Strong", share: 100, color: "green" },
};

/** A field for a new password with its rules and an estimate of its strength, both live. */
export function NewPassword({ owner, value, ...input }: PasswordInputProps & { owner: Owner; value: string }) {
  const id = useId();
  const rules = passwordRules(value, owner);
  const strength = shown[passwordStrength(value, owner)];
  return (
    <Stack gap={8}>
      <PasswordInput
        label="Password"
        autoComplete="new-password"
        value={value}
        aria-describedby={id}
        visibilityToggleButtonProps={{ "aria-label": "Show or hide the password", tabIndex: 0 }}
        {...input}
      />
      <div id={id}>
        {value !== "" && (
          <Group gap="sm" wrap="nowrap" mb={8}>
            <Progress value={strength.share} color={strength.color} size="sm" flex={1} aria-hidden />
            <Text size="xs" fw={600} w="3rem" aria-live="polite">
              <VisuallyHidden>Strength: </VisuallyHidden>
              {strength.label}
            </Text>
          </Group>
        )}
        <List size="xs" spacing={2} listStyleType="none" c="dimmed">
          {rules.map(({ text, met }) => (
            <List.Item
              key={text}
              icon={met ? <IconCheck size={14} color="var(--good)" aria-hidden /> : <IconPointFilled size={14} aria-hidden />}
            >
              {text}
              <VisuallyHidden>{met ? ": met" : ": not met yet"}</VisuallyHidden>
            </List.Item>
          ))}
        </List>
      </div>
    </Stack>
  );
}
