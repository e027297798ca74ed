import { ErrorNotice, Loading, Page } from "@kubewandb/ui";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Button } from "@mantine/core";
import { ApiError } from "@kubewandb/ui";
import { type ReactNode, useEffect } from "react";
import { Navigate, Outlet, useLocation, useOutletContext } from "react-router";
import { type Session, type User, sessionQuery } from "./api.ts";
import { isOwnPath, nextPath, signInPath } from "./next.ts";
import { useEmbedded } from "./parts/embedded.ts";
import { site } from "./site.ts";

/** The session, for pages below one of the gates. */
export function useSession(): Session {
  return useOutletContext<Session>();
}

/** The signed-in user, for pages below SignedIn. */
export function useUser(): User {
  const { user } = useSession();
  if (!user) throw new Error("a page for signed-in users was shown without a user");
  return user;
}

/** Lets signed-in users through and sends others to sign in, and back afterwards. */
export function SignedIn() {
  const location = useLocation();
  const embedded = useEmbedded();
  useEndedSession();
  return (
    <WithSession>
      {(session) =>
        session.user ? (
          <Outlet context={session} />
        ) : embedded ? (
          <SignInElsewhere />
        ) : (
          <Navigate
            to={signInPath(session.setup, session.left ? "/" : location.pathname + location.search + location.hash)}
            replace
          />
        )
      }
    </WithSession>
  );
}

/** Asks for the session anew when any request finds that it has ended, which leads to the sign-in page. */
function useEndedSession(): void {
  const client = useQueryClient();
  useEffect(
    () =>
      client.getQueryCache().subscribe(({ type, query }) => {
        const error: unknown = query.state.error;
        if (type === "updated" && (query.queryKey as unknown[])[0] !== "session" && error instanceof ApiError && error.status === 401) {
          void client.invalidateQueries(sessionQuery);
        }
      }),
    [client],
  );
}

/** A frame in a notebook shows no form for a password, and its browser may keep the cookie from it. */
function SignInElsewhere() {
  return (
    <Page title="Sign in to see this run" site={site} width="reading" description="Sign in in a tab of its own, then run the cell again. If the run still does not appear, your browser keeps sign-ins from frames: open the run itself.">
      <Button component="a" href={window.location.pathname} target="_blank" rel="noopener">
        Open the run
      </Button>
    </Page>
  );
}

/** Shows sign-in and sign-up; who is signed in already goes on to where they wanted to go. */
export function SignedOut() {
  const { search } = useLocation();
  return (
    <WithSession>
      {(session) => (session.user ? <Forward to={nextPath(search)} /> : <Outlet context={session} />)}
    </WithSession>
  );
}

function WithSession({ children }: { children: (session: Session) => ReactNode }) {
  const session = useQuery(sessionQuery);
  if (session.data) return children(session.data);
  if (session.error) {
    return (
      <Page title="The server does not answer" site={site} width="reading">
        <ErrorNotice error={session.error} onRetry={() => void session.refetch()} />
      </Page>
    );
  }
  return <Loading what={site} />;
}

function Forward({ to }: { to: string }) {
  const own = isOwnPath(to);
  useEffect(() => {
    if (!own) window.location.replace(to);
  }, [own, to]);
  return own ? <Navigate to={to} replace /> : <Loading what="the System Console" />;
}
