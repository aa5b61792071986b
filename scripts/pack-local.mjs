// Packs what `npm install` of a release would bring to this machine: the package and its platform's addon.
//   node scripts/pack-local.mjs [--out <folder>]     default: packs/
// The platform package is named in `optionalDependencies` only here: it is on no registry yet, and a checkout that
// named it could not be installed.
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { BODY, platform } from "./shim.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const outAt = process.argv.indexOf("--out");
const out = resolve(root, outAt === -1 ? "packs" : (process.argv[outAt + 1] ?? "packs"));

if (!existsSync(BODY)) fail("dist/ is missing: run `npm run build` first.");
const here = platform();
const addon = join(root, `fallom-trace.${here}.node`);
if (!existsSync(addon)) fail(`the addon for ${here} is missing: run \`npm run build\` first.`);

const stage = mkdtempSync(join(tmpdir(), "fallom-pack-"));
try {
  mkdirSync(out, { recursive: true });
  pack(stagePlatform());
  pack(stageMain());
} finally {
  rmSync(stage, { recursive: true, force: true });
}

function stageMain() {
  const folder = join(stage, "main");
  cpSync(join(root, "dist"), join(folder, "dist"), { recursive: true });
  for (const file of ["README.md", "LICENSE"]) {
    if (existsSync(join(root, file))) copyFileSync(join(root, file), join(folder, file));
  }
  // What only a checkout needs stays here.
  const { scripts, devDependencies, napi, ...manifest } = JSON.parse(
    readFileSync(join(root, "package.json"), "utf8"),
  );
  manifest.optionalDependencies = { [`${manifest.name}-${here}`]: manifest.version };
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  return folder;
}

function stagePlatform() {
  const folder = join(stage, "platform");
  cpSync(join(root, "npm", here), folder, { recursive: true });
  copyFileSync(addon, join(folder, `fallom-trace.${here}.node`));
  return folder;
}

function pack(folder) {
  const args = ["pack", folder, "--pack-destination", out, "--silent", "--ignore-scripts"];
  const result = spawnSync("npm", args, {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
    shell: process.platform === "win32",
  });
  if (result.status !== 0) fail("npm pack failed.");
  console.log(join(out, result.stdout.trim().split("\n").at(-1)));
}

function fail(message) {
  console.error(`pack:local: ${message}`);
  process.exit(1);
}
