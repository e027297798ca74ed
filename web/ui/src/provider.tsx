import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { AnnouncerProvider } from "./announcer.tsx";
import { isTransient } from "./api.ts";
import { cssVariables, theme } from "./theme.ts";

export function newQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 15_000,
        retry: (count, error) => count < 2 && isTransient(error),
      },
      mutations: { networkMode: "always" },
    },
  });
}

interface ProviderProps {
  children: ReactNode;
  client?: QueryClient;
  /** "test" leaves transitions out. */
  env?: "default" | "test";
}

/** Theme, server state and announcements: the outermost element of both sites. */
export function Provider({ children, client, env = "default" }: ProviderProps) {
  const [own] = useState(newQueryClient);
  return (
    <MantineProvider theme={theme} cssVariablesResolver={cssVariables} defaultColorScheme="auto" env={env}>
      <QueryClientProvider client={client ?? own}>
        <AnnouncerProvider>{children}</AnnouncerProvider>
      </QueryClientProvider>
    </MantineProvider>
  );
}
