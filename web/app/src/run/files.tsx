import { Button, Group, Text } from "@mantine/core";
import { ErrorNotice, Loading } from "@kubewandb/ui";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useParams } from "react-router";
import { fileQuery, filesQuery } from "../data/run.ts";
import { nodesOf } from "../graphql.ts";
import { counted } from "../number.ts";
import { FileTable, FolderTrail } from "../parts/files.tsx";
import { type Entry, listFolder } from "../parts/filetree.ts";
import { Preview } from "../parts/preview.tsx";
import { paths } from "../paths.ts";
import { useRun } from "./page.tsx";
import classes from "./page.module.css";

/** The run's files as folders; the path of a folder or a file stands in the address, as the client prints it. */
export function Files() {
  const { name, living } = useRun();
  const { "*": path = "" } = useParams();
  const query = useInfiniteQuery(filesQuery(name));
  const files = useMemo(() => query.data?.pages.flatMap((page) => nodesOf(page?.files)).filter(({ md5 }) => md5 !== "0") ?? [], [query.data]);
  const entries = useMemo(() => listFolder(files, path), [files, path]);
  const link = (to: string) => (to === "" ? paths.run(name.entity, name.project, name.run, "files") : paths.file(name.entity, name.project, name.run, to));
  if (query.isPending) return <Loading what="the files" />;
  if (query.error && !query.data) return <ErrorNotice error={query.error} title="The files could not be loaded" onRetry={() => void query.refetch()} />;
  const isFolder = path === "" || entries.length > 0;
  return (
    <>
      <FolderTrail root="Files" path={path} link={link} />
      {isFolder ? (
        entries.length > 0 ? (
          <FileTable label="Files" entries={entries} link={(entry: Entry<unknown>) => link(entry.path)} />
        ) : (
          <p className={classes.hint}>{living ? "The client has uploaded no file yet; most come at the end of the run." : "This run has no files."}</p>
        )
      ) : (
        <OneFile path={path} />
      )}
      {isFolder && query.hasNextPage && (
        <Group mt="md">
          <Button variant="default" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            Load more files
          </Button>
          <Text size="sm" c="dimmed">
            {counted(files.length, "file")} of {query.data.pages[0]?.fileCount ?? "more"} loaded
          </Text>
        </Group>
      )}
    </>
  );
}

function OneFile({ path }: { path: string }) {
  const { name } = useRun();
  const file = useQuery(fileQuery(name, path));
  if (file.isPending) return <Loading what="the file" />;
  if (file.error) return <ErrorNotice error={file.error} title="The file could not be loaded" onRetry={() => void file.refetch()} />;
  if (!file.data) {
    return (
      <p className={classes.hint}>
        The run has no file <code>{path}</code>. It may not be uploaded yet, or was deleted.
      </p>
    );
  }
  return <Preview file={file.data} />;
}
