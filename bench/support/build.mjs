// The package under test, as `npm run build` left it.

import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { platform } from "../../scripts/shim.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const ENTRY = join(ROOT, "dist/index.js");

/** A larger addon was built with --debug, and its numbers mean nothing. */
const LARGEST_RELEASE = 20 * 2 ** 20;

export function checkBuild() {
  const missing = (what) => new Error(`${what}: run \`npm run build\` first`);
  if (!existsSync(ENTRY)) throw missing("dist/ is missing");
  const addon = statSync(join(ROOT, `fallom-trace.${platform()}.node`), { throwIfNoEntry: false });
  if (!addon) throw missing("the addon is missing");
  if (addon.size > LARGEST_RELEASE) throw missing("the addon was built with --debug");
  if (!existsSync(join(ROOT, "bench/node_modules"))) {
    throw new Error("the peers are missing: run `npm ci --prefix bench --ignore-scripts` first");
  }
}
