import { ErrorNotice, Loading, Page } from "@kubewandb/ui";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useEffect } from "react";
import { Navigate, Outlet, useLocation, useOutletContext } from "react-router";
import { type Session, type User, sessionQuery } from "./api.ts";
import { isOwnPath, nextPath, signInPath } from "./next.ts";
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
  return (
    <WithSession>
      {(session) =>
        session.user ? (
          <Outlet context={session} />
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
