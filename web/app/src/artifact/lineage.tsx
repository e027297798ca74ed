import { Skeleton } from "@mantine/core";
import { ErrorNotice } from "@kubewandb/ui";
import { IconBox, IconPlayerPlay, IconUser } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { type Artifact, type RunReference, lineageQuery } from "../data/artifact.ts";
import { nodesOf } from "../graphql.ts";
import { counted } from "../number.ts";
import { paths } from "../paths.ts";
import classes from "./artifact.module.css";

/** Runs that are drawn; more are counted. */
const limit = 6;

/** Which run made an artifact, and which used it, as a small graph of links. */
export function LineageGraph({ artifact, label }: { artifact: Artifact; label: string }) {
  const lineage = useQuery(lineageQuery(artifact.id));
  if (lineage.error && !lineage.data) return <ErrorNotice error={lineage.error} title="The lineage could not be loaded" onRetry={() => void lineage.refetch()} />;
  if (lineage.data === undefined) return <Skeleton height={80} />;
  const creator = lineage.data?.createdBy;
  const users = nodesOf(lineage.data?.usedBy);
  const drawn = users.length > limit ? users.slice(0, limit - 1) : users;
  const right = drawn.length + (users.length > drawn.length ? 1 : 0);
  return (
    <div className={classes.lineage}>
      <ul className={classes.column} aria-label="Made by">
        <li>{creator?.__typename === "Run" && creator.name ? <RunNode run={creator as RunReference} /> : <Other user={creator?.__typename === "User"} />}</li>
      </ul>
      <Edges count={1} />
      <div className={classes.node} data-self>
        <IconBox size={16} aria-hidden />
        <span>{label}</span>
      </div>
      <Edges count={Math.max(1, right)} />
      <ul className={classes.column} aria-label="Used by">
        {drawn.map((run) => (
          <li key={run.id}>
            <RunNode run={run} />
          </li>
        ))}
        {users.length > drawn.length && (
          <li className={classes.node} data-none>
            <span>and {counted(users.length - drawn.length, "further run")}</span>
          </li>
        )}
        {users.length === 0 && (
          <li className={classes.node} data-none>
            <span>No run has used it yet</span>
          </li>
        )}
      </ul>
    </div>
  );
}

function RunNode({ run }: { run: RunReference }) {
  const content = (
    <>
      <IconPlayerPlay size={16} aria-hidden />
      <span>{run.displayName ?? run.name}</span>
    </>
  );
  if (!run.project) return <span className={classes.node}>{content}</span>;
  return (
    <Link className={classes.node} to={paths.run(run.project.entityName, run.project.name, run.name)}>
      {content}
    </Link>
  );
}

function Other({ user }: { user: boolean }) {
  return (
    <span className={classes.node} data-none>
      <IconUser size={16} aria-hidden />
      <span>{user ? "Uploaded by a person" : "Its run is gone"}</span>
    </span>
  );
}

/** Curves from one node to each of several that stand evenly below each other. */
function Edges({ count }: { count: number }) {
  const height = count * 100;
  return (
    <svg className={classes.edges} viewBox={`0 0 100 ${height}`} preserveAspectRatio="none" aria-hidden>
      {Array.from({ length: count }, (_, index) => (
        <path key={index} d={`M0 ${height / 2} C 50 ${height / 2}, 50 ${index * 100 + 50}, 100 ${index * 100 + 50}`} />
      ))}
    </svg>
  );
}
