import { Button, Menu, UnstyledButton } from "@mantine/core";
import { BannerList, SchemeMenu, Shell, useAnnounce } from "@kubewandb/ui";
import { IconKey, IconLogout, IconServerCog, IconSettings } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, Outlet, useLocation } from "react-router";
import { type User, sessionQuery, signOut } from "./api.ts";
import { EmbeddedContext, isEmbedded } from "./parts/embedded.ts";
import { site } from "./site.ts";
import classes from "./frame.module.css";

/** The bar with the user's menu, and the page below it; in a frame of a notebook the page alone. */
export function Frame() {
  const { pathname, search } = useLocation();
  // Decided once: links inside of the frame stay in it.
  const [embedded] = useState(() => isEmbedded(pathname, search));
  return <EmbeddedContext value={embedded}>{embedded ? <main id="main"><Outlet /></main> : <Whole />}</EmbeddedContext>;
}

function Whole() {
  const { data: session } = useQuery(sessionQuery);
  const { pathname } = useLocation();
  const user = session?.user;
  const offersSignIn = session && !user && pathname !== "/login" && pathname !== "/signup";
  return (
    <Shell
      name={site}
      banners={<BannerList banners={session?.banners} />}
      footer={session?.version ? `${site} ${session.version}` : undefined}
      controls={
        <>
          <SchemeMenu />
          {user && <UserMenu user={user} />}
          {offersSignIn && (
            <Button component={Link} to="/login" size="xs" variant="default">
              Sign in
            </Button>
          )}
        </>
      }
    >
      <Outlet />
    </Shell>
  );
}

function UserMenu({ user }: { user: User }) {
  const announce = useAnnounce();
  const client = useQueryClient();
  const leave = useMutation({
    mutationFn: signOut,
    onSuccess: () => {
      client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== "session" });
      client.setQueryData(sessionQuery.queryKey, (session) => session && { ...session, user: null, left: true });
      announce("Signed out.");
    },
    onError: (error) => {
      announce(`Signing out failed. ${error.message}`);
    },
  });
  return (
    <Menu position="bottom-end" width={240} withinPortal={false} withInitialFocusPlaceholder={false}>
      <Menu.Target>
        <UnstyledButton aria-label={`Account of ${user.name}`} className={classes.avatar ?? ""} data-initials={initials(user.name)} />
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          {user.name} · {user.email}
        </Menu.Label>
        {user.admin && (
          <Menu.Item component="a" href="/console/" leftSection={<IconServerCog size={18} aria-hidden />}>
            System console
          </Menu.Item>
        )}
        <Menu.Item component={Link} to="/authorize" leftSection={<IconKey size={18} aria-hidden />}>
          API keys
        </Menu.Item>
        <Menu.Item component={Link} to="/settings" leftSection={<IconSettings size={18} aria-hidden />}>
          Settings
        </Menu.Item>
        <Menu.Divider />
        <Menu.Item
          leftSection={<IconLogout size={18} aria-hidden />}
          closeMenuOnClick={false}
          disabled={leave.isPending}
          onClick={() => {
            leave.mutate();
          }}
        >
          {leave.isError ? "Signing out failed: try again" : "Sign out"}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].map((word) => Array.from(word ?? "")[0] ?? "");
  return letters.join("").toUpperCase() || "?";
}
