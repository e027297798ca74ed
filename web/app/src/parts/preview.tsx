import { Button, Skeleton, Text } from "@mantine/core";
import { ErrorNotice, TimeAgo } from "@kubewandb/ui";
import { ApiError } from "@kubewandb/ui";
import { IconDownload } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { bytes } from "../number.ts";
import classes from "./files.module.css";

export interface Previewed {
  name: string;
  sizeBytes: number | string;
  mimetype: string | null;
  updatedAt?: string | null;
  directUrl: string;
}

/** As much of a text is shown; the rest is for the download. */
export const previewLimit = 512 * 1024;

/**
 * Shows a file as far as that is safe. Images are only drawn, which runs no script in them; text is fetched and shown as
 * text; HTML stands in a frame without scripts and without this site's origin; everything else can be downloaded.
 */
export function Preview({ file }: { file: Previewed }) {
  const base = file.name.split("/").at(-1) ?? file.name;
  const isFile = /^(https?:|\/)/.test(file.directUrl);
  return (
    <>
      <div className={classes.facts}>
        <Text size="sm" c="dimmed">
          {bytes(Number(file.sizeBytes))}
          {file.mimetype ? ` · ${file.mimetype}` : ""}
          {file.updatedAt ? " · " : ""}
          {file.updatedAt && <TimeAgo time={file.updatedAt} />}
        </Text>
        {isFile ? (
          <Button component="a" href={file.directUrl} download={base} target="_blank" rel="noreferrer" size="xs" variant="default" leftSection={<IconDownload size={16} aria-hidden />}>
            Download
          </Button>
        ) : (
          <code>{file.directUrl}</code>
        )}
      </div>
      {isFile && <Content file={file} name={base} />}
    </>
  );
}

export type PreviewKind = "image" | "audio" | "video" | "html" | "text" | "none";

/** How a file is shown, by its name and its type. */
export function previewKind(name: string, mimetype: string | null): PreviewKind {
  const ending = /\.([^./]+)$/.exec(name.toLowerCase())?.[1] ?? "";
  if (["png", "jpg", "jpeg", "gif", "webp", "bmp", "svg", "avif"].includes(ending)) return "image";
  if (["wav", "mp3", "ogg", "flac", "m4a"].includes(ending)) return "audio";
  if (["mp4", "webm", "mov"].includes(ending)) return "video";
  if (["html", "htm"].includes(ending)) return "html";
  if (/^(txt|log|md|json|jsonl|yaml|yml|toml|ini|cfg|csv|tsv|py|ipynb|js|ts|sh|patch|diff|xml|tex|rst|go|c|h|cpp|java|rs|sql)$/.test(ending)) return "text";
  if (ending === "" && !mimetype) return "none";
  return /^text\/(?!html)|json|yaml/.test(mimetype ?? "") ? "text" : "none";
}

function Content({ file, name }: { file: Previewed; name: string }) {
  const [tiny, setTiny] = useState(false);
  switch (previewKind(file.name, file.mimetype)) {
    case "image":
      return (
        <img
          src={file.directUrl}
          alt={name}
          data-tiny={tiny || undefined}
          className={`${classes.preview ?? ""} ${classes.media ?? ""}`}
          onLoad={({ currentTarget: image }) => {
            setTiny(image.naturalWidth > 0 && image.naturalWidth < 128 && !/\.svg$/i.test(name));
          }}
        />
      );
    case "audio":
      return (
        // Users upload sounds without captions.
        // eslint-disable-next-line jsx-a11y/media-has-caption
        <audio controls src={file.directUrl} aria-label={name} />
      );
    case "video":
      return (
        // eslint-disable-next-line jsx-a11y/media-has-caption
        <video controls src={file.directUrl} aria-label={name} className={`${classes.preview ?? ""} ${classes.media ?? ""}`} />
      );
    case "html":
      return <iframe src={file.directUrl} title={name} sandbox="" referrerPolicy="no-referrer" className={`${classes.preview ?? ""} ${classes.frame ?? ""}`} />;
    case "text":
      return <TextPreview file={file} name={name} />;
    default:
      return (
        <Text size="sm" c="dimmed">
          There is no preview of this kind of file. Download it to open it.
        </Text>
      );
  }
}

function TextPreview({ file, name }: { file: Previewed; name: string }) {
  const size = Number(file.sizeBytes);
  const text = useQuery({
    queryKey: ["text", file.directUrl.split("?")[0], file.updatedAt, size],
    queryFn: ({ signal }) => fetchText(file.directUrl, size, signal),
    staleTime: 60_000,
  });
  if (text.error) return <ErrorNotice error={text.error} title="The preview could not be loaded" onRetry={() => void text.refetch()} />;
  if (text.data === undefined) return <Skeleton height={200} />;
  return (
    <>
      {/* Focusable, so that a keyboard can scroll it. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <pre className={`${classes.preview ?? ""} ${classes.text ?? ""}`} tabIndex={0} role="region" aria-label={`Content of ${name}`}>
        {text.data}
      </pre>
      {size > previewLimit && (
        <Text size="sm" c="dimmed" mt="xs">
          These are the first {bytes(previewLimit)}. Download the file to see all of it.
        </Text>
      )}
    </>
  );
}

async function fetchText(url: string, size: number, signal: AbortSignal): Promise<string> {
  const headers: Record<string, string> = size > previewLimit ? { Range: `bytes=0-${previewLimit - 1}` } : {};
  let response: Response;
  try {
    // A signed address needs no cookie, and another host must get none.
    response = await fetch(url, { headers, signal, credentials: "omit" });
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw new ApiError("The file's storage cannot be reached from this page.", { hint: "Download the file instead. If no preview works, the storage's CORS rules may not name this server." });
  }
  if (!response.ok) throw new ApiError(`The storage answered ${response.status}.`, { status: response.status, hint: "Reload the page: links to files expire." });
  return response.text();
}
