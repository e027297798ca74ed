/** The path below which the program serves these pages, without a slash at its end: "" or "/console". */
export function basePath(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="base-path"]')?.content.replace(/\/+$/, "") ?? "";
}
