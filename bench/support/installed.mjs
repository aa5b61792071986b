// What packages bring along when they are installed.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const PACK = fileURLToPath(new URL("../../scripts/pack-local.mjs", import.meta.url));

/**
 * Installs this package as its user would, from the archives of a release, into an empty folder.
 * @returns {{ folder: string, remove: () => void }}
 */
export function installOurs() {
  const folder = mkdtempSync(join(tmpdir(), "fallom-bench-"));
  const packs = join(folder, "packs");
  execFileSync(process.execPath, [PACK, "--out", packs], { stdio: ["ignore", "ignore", "inherit"] });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "app", private: true }));
  const archives = readdirSync(packs).map((name) => join(packs, name));
  execFileSync("npm", ["install", "--offline", "--no-audit", "--no-fund", "--silent", ...archives], {
    cwd: folder,
    stdio: ["ignore", "ignore", "inherit"],
    shell: process.platform === "win32",
  });
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/**
 * What `npm install` of these packages alone would bring, of what is installed in a folder: they, what they depend on,
 * and required peers. The bytes are those of the files.
 * @param {string[]} names
 * @param {string} folder
 * @param {string[]} without  packages that their user has in any case, with all that only these need
 * @returns {{ bytes: number, packages: number }}
 */
export function sizeOf(names, folder, without = []) {
  const found = new Set();
  const add = (name, from) => {
    const path = without.includes(name) ? undefined : pathOf(name, from);
    if (path === undefined || found.has(path)) return;
    found.add(path);
    for (const dependency of dependenciesOf(path)) add(dependency, path);
  };
  for (const name of names) add(name, folder);
  return { bytes: [...found].reduce((sum, path) => sum + bytesIn(path), 0), packages: found.size };
}

/** As Node looks for it. What is optional may be nowhere. */
function pathOf(name, from) {
  for (let at = from; ; at = dirname(at)) {
    const path = join(at, "node_modules", name);
    if (existsSync(join(path, "package.json"))) return path;
    if (at === dirname(at)) return undefined;
  }
}

function dependenciesOf(path) {
  const manifest = JSON.parse(readFileSync(join(path, "package.json"), "utf8"));
  const { dependencies, optionalDependencies, peerDependencies = {}, peerDependenciesMeta = {} } = manifest;
  const peers = Object.keys(peerDependencies).filter((name) => !peerDependenciesMeta[name]?.optional);
  return [...Object.keys({ ...dependencies, ...optionalDependencies }), ...peers];
}

/** A package inside of another is one of its own. */
function bytesIn(path) {
  return readdirSync(path, { withFileTypes: true }).reduce((sum, entry) => {
    const inside = join(path, entry.name);
    if (entry.isDirectory()) return sum + (entry.name === "node_modules" ? 0 : bytesIn(inside));
    return sum + (entry.isFile() ? statSync(inside).size : 0);
  }, 0);
}
