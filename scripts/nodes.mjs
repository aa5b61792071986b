// Other versions of Node, from the npm registry: its packages `node-<platform>-<arch>` hold the binary.
//
//   node scripts/nodes.mjs 22     prints the path of a Node 22

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Failed, fail, ROOT, run } from "./steps.mjs";

/** The versions that tests may ask for. */
const MAJORS = [20, 22, 24, 26];
const FOLDER = join(ROOT, ".nodes");
const PLATFORM = process.platform === "win32" ? "win" : process.platform;
const PACKAGE = `node-${PLATFORM}-${process.arch}`;
const BINARY = join("node_modules", PACKAGE, "bin", process.platform === "win32" ? "node.exe" : "node");

/**
 * The path of a binary of this major version: the running one if it fits, else one of our own, installed if need be.
 * @param {number} major
 */
export async function nodeBinary(major) {
  if (!MAJORS.includes(major)) throw new Failed(`Node ${major} is not one of ${MAJORS.join(", ")}`);
  if (Number(process.versions.node.split(".")[0]) === major) return process.execPath;
  const folder = join(FOLDER, String(major));
  const binary = join(folder, BINARY);
  if (!existsSync(binary)) await install(major, folder);
  await verify(binary, major);
  return binary;
}

/** Installs beside its place and then moves it there whole, so that whoever looks finds all of it or nothing. */
async function install(major, folder) {
  await mkdir(FOLDER, { recursive: true });
  const draft = await mkdtemp(join(FOLDER, `draft-${major}-`));
  try {
    const flags = ["--ignore-scripts", "--no-package-lock", "--no-save", "--no-audit", "--no-fund"];
    await run("npm", ["install", ...flags, "--prefix", draft, `${PACKAGE}@${major}`], { cwd: draft });
    await rename(draft, folder).catch((error) => {
      // Somebody else was faster: theirs is as good.
      if (!existsSync(join(folder, BINARY))) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function verify(binary, major) {
  const { stdout } = await promisify(execFile)(binary, ["--version"]);
  if (!stdout.startsWith(`v${major}.`)) {
    throw new Failed(`${binary} is ${stdout.trim()}, not Node ${major}: remove it and try again`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  nodeBinary(Number(process.argv[2] ?? 22)).then(console.log, fail);
}
