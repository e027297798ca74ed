import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { type Overview, api, overviewQuery, sessionQuery } from "../api.ts";
import { type Liveness, watch } from "./watch.ts";

/** The overview, kept current by a stream, and by asking now and then while there is none. */
export function useLiveOverview() {
  const client = useQueryClient();
  const [liveness, setLiveness] = useState<Liveness>("connecting");
  const [turn, setTurn] = useState(0);
  const session = useQuery(sessionQuery);
  const signedIn = Boolean(session.data?.user);
  const overview = useQuery({ ...overviewQuery, enabled: signedIn, refetchInterval: liveness === "live" ? false : 20_000 });

  useEffect(() => {
    if (!signedIn) return;
    const control = new AbortController();
    void watch({
      url: api("/overview/watch"),
      signal: control.signal,
      onData: (document) => {
        client.setQueryData(overviewQuery.queryKey, document as Overview);
      },
      onLiveness: setLiveness,
      onSignedOut: () => void client.invalidateQueries(sessionQuery),
    });
    return () => {
      control.abort();
    };
  }, [client, signedIn, turn]);

  const refresh = () => {
    setTurn((before) => before + 1);
    void overview.refetch();
  };
  return { overview, liveness, refresh };
}
