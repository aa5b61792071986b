// Lint, format and types; the same as before every commit. Exits with 1 on the first kind that complains.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const require = createRequire(import.meta.url);

run("biome", [require.resolve("@biomejs/biome/bin/biome"), "check", "--error-on-warnings", "."]);
run("tsc", [require.resolve("typescript/bin/tsc"), "--noEmit", "-p", root]);
checkLock();

function run(name, args) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" });
  if (status === 0) return;
  console.error(`check: ${name} found the above`);
  process.exit(1);
}

/** The lock must not name the registry of whoever wrote it. */
function checkLock() {
  if (!readFileSync(join(root, "package-lock.json"), "utf8").includes('"resolved": "http')) return;
  console.error(
    "check: package-lock.json names a registry; write it with `npm install --omit-lockfile-registry-resolved`",
  );
  process.exit(1);
}
