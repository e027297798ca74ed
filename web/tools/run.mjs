// Runs a TypeScript tool: node tools/run.mjs tools/shots.ts [argument…]
import process from "node:process";
import { runnerImport } from "vite";

const [name, ...rest] = process.argv.slice(2);
const { module } = await runnerImport(name, { logLevel: "error" });
process.exitCode = await module.main(rest);
