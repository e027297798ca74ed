import { Anchor, Table, Text, VisuallyHidden } from "@mantine/core";
import { TimeAgo } from "@kubewandb/ui";
import { IconDownload, IconFile, IconFolder } from "@tabler/icons-react";
import { Link } from "react-router";
import { bytes, counted } from "../number.ts";
import type { Entry } from "./filetree.ts";
import classes from "./files.module.css";

interface FileTableProps<File> {
  label: string;
  entries: Entry<File>[];
  /** Where a folder or a file opens. */
  link: (entry: Entry<File>) => string;
}

/** One folder: what it holds, with sizes and a way to download each file. */
export function FileTable<File extends { directUrl: string; updatedAt?: string | null }>({ label, entries, link }: FileTableProps<File>) {
  const dated = entries.some(({ file }) => file?.updatedAt);
  return (
    <Table className={classes.table} verticalSpacing={6} aria-label={label}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Name</Table.Th>
          <Table.Th className={classes.size}>Size</Table.Th>
          {dated && <Table.Th className={classes.date}>Changed</Table.Th>}
          <Table.Th>
            <VisuallyHidden>Download</VisuallyHidden>
          </Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {entries.map((entry) => (
          <Table.Tr key={(entry.file ? "f:" : "d:") + entry.name}>
            <Table.Td>
              <span className={classes.name}>
                {entry.file ? <IconFile size={16} aria-hidden /> : <IconFolder size={16} aria-hidden />}
                <Link to={link(entry)}>{entry.name}</Link>
                {!entry.file && (
                  <Text span size="xs" c="dimmed">
                    {counted(entry.files, "file")}
                  </Text>
                )}
              </span>
            </Table.Td>
            <Table.Td className={classes.size}>{bytes(entry.size)}</Table.Td>
            {dated && <Table.Td className={classes.date}>{entry.file && <TimeAgo time={entry.file.updatedAt} />}</Table.Td>}
            <Table.Td className={classes.action}>{entry.file && <Download url={entry.file.directUrl} name={entry.name} />}</Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

/** A link that saves a file. It never opens one: what users upload must not run as a page of this site. */
export function Download({ url, name }: { url: string; name: string }) {
  if (!/^(https?:|\/)/.test(url)) {
    return (
      <Text span size="xs" c="dimmed" className={classes.reference}>
        {url}
      </Text>
    );
  }
  return (
    <a href={url} download={name} className={classes.download} aria-label={`Download ${name}`} rel="noreferrer" target="_blank">
      <IconDownload size={16} aria-hidden />
    </a>
  );
}

/** The folders that lead to a place, each a link. */
export function FolderTrail({ root, path, link }: { root: string; path: string; link: (path: string) => string }) {
  const parts = path === "" ? [] : path.split("/");
  return (
    <nav aria-label="Folders" className={classes.trail}>
      <Anchor component={Link} to={link("")} size="sm">
        {root}
      </Anchor>
      {parts.map((part, index) => (
        <span key={index}>
          {" / "}
          {index < parts.length - 1 ? (
            <Anchor component={Link} to={link(parts.slice(0, index + 1).join("/"))} size="sm">
              {part}
            </Anchor>
          ) : (
            <Text span size="sm" fw={550}>
              {part}
            </Text>
          )}
        </span>
      ))}
    </nav>
  );
}
