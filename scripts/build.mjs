// Builds the package in place: the addon beside package.json, the shim in dist/.
//   node scripts/build.mjs [--debug] [--shim]
// --debug: an unoptimized addon. --shim: the TypeScript only.
import { spawnSync } from "node:child_process";
import { copyFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const require = createRequire(import.meta.url);
const dist = join(root, "dist");

buildShim();
if (!process.argv.includes("--shim")) buildAddon(process.argv.includes("--debug"));

function buildShim() {
  rmSync(dist, { recursive: true, force: true });
  run(process.execPath, [require.resolve("typescript/bin/tsc"), "-p", root]);
  // ES modules get the CommonJS body's own exports, so that both share one instance.
  const names = Object.keys(require(join(dist, "index.js"))).filter((name) => name !== "default");
  writeFileSync(
    join(dist, "index.mjs"),
    `export { ${names.join(", ")} } from "./index.js";\nexport { fallom as default } from "./fallom.js";\n`,
  );
  writeFileSync(
    join(dist, "index.d.mts"),
    'export * from "./index.js";\nexport { fallom as default } from "./fallom.js";\n',
  );
}

function buildAddon(debug) {
  const args = ["build", "--lib", "--package", "fallom-trace", "--message-format=json-render-diagnostics"];
  const output = run("cargo", debug ? args : [...args, "--release"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const built = output
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line))
    .filter((message) => message.reason === "compiler-artifact" && message.target.kind.includes("cdylib"))
    .flatMap((message) => message.filenames)
    .find((file) => /\.(so|dylib|dll)$/.test(file));
  if (!built) throw new Error("cargo built no addon");
  const addon = join(root, `fallom-trace.${require(join(dist, "native.js")).platform()}.node`);
  // Put in place whole: a process that has the old one loaded keeps it.
  copyFileSync(built, `${addon}.new`);
  renameSync(`${addon}.new`, addon);
  console.log(`built ${addon}`);
}

function run(command, args, options = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: "inherit",
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    ...options,
  });
  if (result.error) throw result.error;
  if (result.status !== 0) process.exit(result.status ?? 1);
  return result.stdout ?? "";
}
