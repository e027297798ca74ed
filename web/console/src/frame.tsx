import { ActionIcon, Menu, Text } from "@mantine/core";
import { BannerList, Dialog, ErrorNotice, Loading, Page, SchemeMenu, Shell, useAnnounce } from "@kubewandb/ui";
import { IconExternalLink, IconLogout, IconUserCircle } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Outlet } from "react-router";
import { type Session, sessionQuery, signOut } from "./api.ts";
import { SignInForm, SignInPage } from "./signin.tsx";
import { site } from "./site.ts";

/** The bar, and below it the page, or the sign-in for those who are not signed in. */
export function Frame() {
  const session = useQuery(sessionQuery);
  const user = session.data?.user;
  return (
    <Shell
      name={site}
      navigation={
        user
          ? [
              { to: "/", label: "Overview", end: true },
              { to: "/settings", label: "Settings" },
            ]
          : []
      }
      banners={<BannerList banners={session.data?.banners} />}
      footer={session.data && <Footer session={session.data} />}
      controls={
        <>
          <SchemeMenu />
          {session.data?.user && <UserMenu session={session.data} user={session.data.user} />}
        </>
      }
    >
      <Content session={session.data} error={session.error} onRetry={() => void session.refetch()} />
    </Shell>
  );
}

function Footer({ session }: { session: Session }) {
  return (
    <>
      Instance <strong>{session.instance}</strong> in namespace <strong>{session.namespace}</strong> · {site} {session.version}
    </>
  );
}

function Content({ session, error, onRetry }: { session: Session | undefined; error: unknown; onRetry: () => void }) {
  const [entered, setEntered] = useState(false);
  const signedIn = Boolean(session?.user);
  if (signedIn && !entered) setEntered(true);
  if (session?.left && entered) setEntered(false);
  if (!session) {
    if (!error) return <Loading what={site} />;
    return (
      <Page title="The console does not answer" site={site} width="reading">
        <ErrorNotice error={error} onRetry={onRetry} />
      </Page>
    );
  }
  if (!signedIn && !entered) return <SignInPage session={session} />;
  return (
    <>
      <Outlet context={session} />
      <SessionEnded session={session} opened={!signedIn} />
    </>
  );
}

/** Asks for the password over the page, so that a text which is being edited survives the end of the session. */
function SessionEnded({ session, opened }: { session: Session; opened: boolean }) {
  return (
    <Dialog
      opened={opened}
      onClose={() => undefined}
      withCloseButton={false}
      closeOnEscape={false}
      closeOnClickOutside={false}
      title="Your session has ended"
      overlayProps={{ backgroundOpacity: 0.7, blur: 12 }}
    >
      <Text size="sm" c="dimmed" mb="md">
        Sign in again to go on. What you were editing is still here.
      </Text>
      <SignInForm session={session} />
    </Dialog>
  );
}

function UserMenu({ session, user }: { session: Session; user: NonNullable<Session["user"]> }) {
  const announce = useAnnounce();
  const client = useQueryClient();
  const leave = useMutation({
    mutationFn: signOut,
    onSuccess: () => {
      client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== "session" });
      client.setQueryData(sessionQuery.queryKey, (before) => before && { ...before, user: null, left: true });
      announce("Signed out.");
    },
    onError: (error) => {
      announce(`Signing out failed. ${error.message}`);
    },
  });
  return (
    <Menu position="bottom-end" width={250} withinPortal={false} withInitialFocusPlaceholder={false}>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size="lg" aria-label={`Account of ${user.name}`}>
          <IconUserCircle size={22} aria-hidden />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          {user.name} · {user.method === "password" ? "signed in with the console's password" : "signed in through the application"}
        </Menu.Label>
        {session.application && (
          <Menu.Item component="a" href={session.application} leftSection={<IconExternalLink size={18} aria-hidden />}>
            Open W&amp;B Server
          </Menu.Item>
        )}
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
