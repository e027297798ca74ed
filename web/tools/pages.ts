import { constants, brotliCompressSync, gzipSync } from "node:zlib";
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, extname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import type { Plugin, UserConfig } from "vite";
import { mockApi } from "./mock/plugin.ts";
import type { MockServer } from "./mock/server.ts";

const web = resolve(dirname(fileURLToPath(import.meta.url)), "..");

/** What the two sites share: where they are built to, how they are split, and the mock API of the development server. */
export function pages(site: "app" | "console", options: { port: number; mock: () => MockServer }): UserConfig {
  return {
    root: join(web, site),
    // Relative references: the Go handler makes those of index.html absolute for the path that it serves below.
    base: "./",
    publicDir: join(web, "ui/public"),
    plugins: [react(), mockApi(options.mock), deliver(join(web, "../internal/webui/dist", site))],
    server: { host: "127.0.0.1", port: options.port, strictPort: true },
    css: { postcss: web },
    build: {
      outDir: join(web, site, "dist"),
      emptyOutDir: true,
      target: "es2022",
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
      chunkSizeWarningLimit: 700,
    },
  };
}

const compressible = new Set([".js", ".css", ".svg", ".html", ".json", ".txt"]);

/**
 * Writes .br and .gz beside every built file that becomes smaller, prints the sizes, and moves the finished build to where
 * the Go package embeds it: at once, so that a Go build at the same moment finds the old pages or the new ones.
 */
function deliver(target: string): Plugin {
  let directory = "";
  return {
    name: "deliver",
    apply: "build",
    configResolved(config) {
      directory = config.build.outDir;
    },
    closeBundle: {
      sequential: true,
      order: "post",
      handler() {
        const rows = readdirSync(directory, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile() && compressible.has(extname(entry.name)))
          .map((entry) => compress(join(entry.parentPath, entry.name)))
          .sort((a, b) => b.gzip - a.gzip);
        mkdirSync(dirname(target), { recursive: true });
        rmSync(target, { recursive: true, force: true });
        renameSync(directory, target);
        console.log(`\n${relative(process.cwd(), target)}`);
        for (const row of rows) {
          console.log(`  ${relative(directory, row.name).padEnd(44)} ${kilobytes(row.raw)} raw ${kilobytes(row.gzip)} gzip ${kilobytes(row.br)} br`);
        }
      },
    },
  };
}

function compress(name: string): { name: string; raw: number; gzip: number; br: number } {
  const body = readFileSync(name);
  const gzip = gzipSync(body, { level: 9 });
  const br = brotliCompressSync(body, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: body.length },
  });
  // index.html is completed and compressed by the handler.
  if (!name.endsWith("index.html")) {
    if (gzip.length < body.length) writeFileSync(`${name}.gz`, gzip);
    if (br.length < body.length) writeFileSync(`${name}.br`, br);
  }
  return { name, raw: body.length, gzip: gzip.length, br: br.length };
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1024).toFixed(1).padStart(7)} kB`;
}
