import { Anchor, Badge, Group, Text } from "@mantine/core";
import { Command, ErrorNotice, Loading, Page, TimeAgo } from "@kubewandb/ui";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useParams, useSearchParams } from "react-router";
import { type Artifact, type ArtifactFile, type Membership, artifactFilesQuery, membershipQuery, versionsQuery } from "../data/artifact.ts";
import type { ProjectName } from "../data/project.ts";
import { nodesOf } from "../graphql.ts";
import { parseJson } from "../json.ts";
import { bytes, counted } from "../number.ts";
import { FileTable, FolderTrail } from "../parts/files.tsx";
import { listFolder } from "../parts/filetree.ts";
import { Missing } from "../parts/missing.tsx";
import { More } from "../parts/more.tsx";
import { useProjectName } from "../parts/names.ts";
import { Preview } from "../parts/preview.tsx";
import { ProjectHead } from "../parts/projecthead.tsx";
import { paths } from "../paths.ts";
import { Tree } from "../run/tree.tsx";
import { site } from "../site.ts";
import { LineageGraph } from "./lineage.tsx";
import classes from "./artifact.module.css";

/** One version of an artifact, beside the list of all versions of its collection. */
export function ArtifactVersion() {
  const name = useProjectName();
  const { type = "", collection = "", version = "latest" } = useParams();
  const membership = useQuery(membershipQuery(name, collection, version));
  const found = membership.data;
  if (found === null || (found && !found.artifact)) {
    return <Missing what="artifact" name={`${collection}:${version}`} to={paths.artifacts(name.entity, name.project)} label={`the artifacts of ${name.project}`} />;
  }
  const head = (
    <ProjectHead
      name={name}
      deeper={[
        { label: "artifacts", to: paths.artifacts(name.entity, name.project) },
        { label: type, to: paths.artifacts(name.entity, name.project, type) },
      ]}
    />
  );
  const number = found ? `v${found.versionIndex ?? found.artifact?.versionIndex ?? 0}` : version;
  return (
    <Page title={`${collection}:${number}`} site={site} width="full" above={head} description={found?.artifact && <Facts membership={found} artifact={found.artifact} />}>
      {membership.error && !found && <ErrorNotice error={membership.error} title="The artifact could not be loaded" onRetry={() => void membership.refetch()} />}
      <div className={classes.layout}>
        <Versions name={name} type={type} collection={collection} current={number} />
        <div className={classes.main}>{found?.artifact ? <Details key={found.id} name={name} collection={collection} number={number} artifact={found.artifact} /> : membership.isPending && <Loading what="the artifact" />}</div>
      </div>
    </Page>
  );
}

function Facts({ membership, artifact }: { membership: Membership; artifact: Artifact }) {
  return (
    <Group gap="xs">
      {membership.aliases.map(({ alias }) => (
        <Badge key={alias} variant="light">
          {alias}
        </Badge>
      ))}
      <Text span size="sm">
        {bytes(artifact.size)} in {counted(artifact.fileCount, "file")}, made <TimeAgo time={artifact.createdAt} />
        {artifact.state === "COMMITTED" ? "" : `, ${artifact.state.toLowerCase()}`}
      </Text>
    </Group>
  );
}

function Versions({ name, type, collection, current }: { name: ProjectName; type: string; collection: string; current: string }) {
  const query = useInfiniteQuery(versionsQuery(name, type, collection));
  const versions = query.data?.pages.flatMap((page) => nodesOf(page)) ?? [];
  return (
    <nav aria-label="Versions" className={classes.versions}>
      <h2 className={classes.subtitle}>Versions</h2>
      {query.error && !query.data && <ErrorNotice error={query.error} title="The versions could not be loaded" onRetry={() => void query.refetch()} />}
      <ul>
        {versions.map((one) => {
          const number = `v${one.versionIndex ?? 0}`;
          return (
            <li key={one.id}>
              <Link to={paths.artifact(name.entity, name.project, type, collection, number)} aria-current={number === current ? "page" : undefined}>
                <strong>{number}</strong>
                <span>{one.aliases.map(({ alias }) => alias).join(", ")}</span>
              </Link>
            </li>
          );
        })}
      </ul>
      <More query={query} what="versions" />
    </nav>
  );
}

function Details({ name, collection, number, artifact }: { name: ProjectName; collection: string; number: string; artifact: Artifact }) {
  const full = `${name.entity}/${name.project}/${collection}:${number}`;
  const usage = `artifact = wandb.Api().artifact(${JSON.stringify(full)})\npath = artifact.download()`;
  return (
    <>
      {artifact.description && <p className={classes.description}>{artifact.description}</p>}
      <section aria-labelledby="usage" className={classes.section}>
        <h2 id="usage" className={classes.subtitle}>
          Use it
        </h2>
        <Command value={usage} what="lines of Python" />
      </section>
      <ArtifactFiles name={name} collection={collection} version={number} />
      <section aria-labelledby="lineage" className={classes.section}>
        <h2 id="lineage" className={classes.subtitle}>
          Lineage
        </h2>
        <LineageGraph artifact={artifact} label={`${collection}:${number}`} />
      </section>
      <div className={classes.section}>
        <Tree title="Metadata" value={parseJson(artifact.metadata)} empty="This version carries no metadata." />
      </div>
      <Text size="xs" c="dimmed">
        Digest <code>{artifact.digest}</code>
      </Text>
    </>
  );
}

function ArtifactFiles({ name, collection, version }: { name: ProjectName; collection: string; version: string }) {
  const query = useInfiniteQuery(artifactFilesQuery(name, collection, version));
  const [search] = useSearchParams();
  const path = search.get("path") ?? "";
  const link = (to: string) => (to === "" ? "?" : `?path=${encodeURIComponent(to)}`);
  const files: ArtifactFile[] = query.data?.pages.flatMap((page) => nodesOf(page)) ?? [];
  const entries = listFolder(files, path);
  const file = files.find((one) => one.name === path);
  return (
    <section aria-labelledby="files" className={classes.section}>
      <h2 id="files" className={classes.subtitle}>
        Files
      </h2>
      {query.isPending && <Loading what="the files" />}
      {query.error && !query.data && <ErrorNotice error={query.error} title="The files could not be loaded" onRetry={() => void query.refetch()} />}
      {path !== "" && <FolderTrail root={collection} path={path} link={link} />}
      {file ? <Preview file={file} /> : entries.length > 0 && <FileTable label="Files" entries={entries} link={(entry) => link(entry.path)} />}
      {query.data && files.length === 0 && <Text c="dimmed">This version holds no files.</Text>}
      {query.data && files.length > 0 && !file && entries.length === 0 && !query.hasNextPage && (
        <Text c="dimmed">
          There is no file <code>{path}</code> in this version. <Anchor component={Link} to="?">Show all files</Anchor>
        </Text>
      )}
      <More query={query} what="files" />
    </section>
  );
}
