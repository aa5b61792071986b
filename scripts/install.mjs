// `npm ci`, where it is due: in the root and in the folders that hold a Mastra for the tests.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fail, ROOT, run, step } from "./steps.mjs";

/** The Mastras that the tests run against: the folder's name, and the oldest Node that it runs on. */
export const FIXTURES = [
  { line: "0.24", folder: "__test__/mastra-0.24", node: 20 },
  { line: "1", folder: "__test__/mastra-1", node: 22 },
];

/** Installs what the folder's lock file says, unless it is there. Scripts of packages are never run. */
export async function install(folder) {
  const path = join(ROOT, folder);
  if (isInstalled(path)) return;
  // Mastra 1.x asks for a newer Node than the one that may run npm here; its tests get it.
  await run("npm", ["ci", "--ignore-scripts", "--engine-strict=false", "--no-audit", "--no-fund"], {
    cwd: path,
  });
}

/** Whether npm's own note of what it installed names every version that the lock file does. */
function isInstalled(path) {
  const noted = join(path, "node_modules/.package-lock.json");
  if (!existsSync(noted)) return false;
  const installed = packagesOf(noted);
  return Object.entries(packagesOf(join(path, "package-lock.json")))
    .filter(([name, { optional, peer }]) => name.startsWith("node_modules/") && !optional && !peer)
    .every(([name, { version }]) => installed[name]?.version === version);
}

const packagesOf = (file) => JSON.parse(readFileSync(file, "utf8")).packages;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  (async () => {
    for (const folder of ["", ...FIXTURES.map((fixture) => fixture.folder)]) {
      await step(`install ${folder || "the root"}`, () => install(folder));
    }
  })().catch(fail);
}
