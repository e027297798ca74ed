import { Alert, Button, Stack, Text } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import { ApiError } from "./api.ts";

interface ErrorNoticeProps {
  error: unknown;
  /** What could not be done: "The keys could not be loaded". */
  title?: string;
  onRetry?: () => void;
}

/** A failure and what to do about it; announced at once. */
export function ErrorNotice({ error, title, onRetry }: ErrorNoticeProps) {
  const { message, hint } = explain(error);
  return (
    <Alert color="red" variant="light" role="alert" icon={<IconAlertTriangle aria-hidden />} title={title ?? message}>
      <Stack gap="xs" align="flex-start">
        {title && <Text size="sm">{message}</Text>}
        {hint && <Text size="sm">{hint}</Text>}
        {onRetry && (
          <Button size="xs" variant="default" onClick={onRetry}>
            Try again
          </Button>
        )}
      </Stack>
    </Alert>
  );
}

function explain(error: unknown): { message: string; hint: string } {
  if (error instanceof ApiError) return { message: error.message, hint: error.hint };
  const detail = error instanceof Error ? error.message : String(error);
  return { message: "Something on this page went wrong.", hint: `Reload the page. If it happens again, report this text: ${detail}` };
}
