// Runs forge: `node scripts/forge.mjs test …`. Not by the `forge` script of the npm package, which exits
// with 0 when forge failed, but by the binary of its platform package.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const PROCESSORS = { arm64: "arm64", x64: "amd64" };

/** Runs forge in this folder, with this process's output. Its exit status. */
export function forge(args) {
  const suffix = process.platform === "win32" ? ".exe" : "";
  const platform = `${process.platform}-${PROCESSORS[process.arch]}`;
  const binary = createRequire(import.meta.url).resolve(`@foundry-rs/forge-${platform}/bin/forge${suffix}`);
  const { error, status } = spawnSync(binary, args, { stdio: "inherit" });
  if (error) throw error;
  return status ?? 1;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) process.exitCode = forge(process.argv.slice(2));
