// The package as it is installed: packed, unpacked into an empty folder, and used from there.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MAX_INSTALLED_BYTES = 6 * 1024 * 1024;
const EXPORTS = [
  "FallomSession",
  "FallomSpan",
  "default",
  "flush",
  "init",
  "models",
  "prompts",
  "session",
  "shutdown",
  "stats",
  "trace",
  "wrapTraced",
];

const require = createRequire(import.meta.url);
const isBuilt =
  existsSync(join(ROOT, "dist/index.js")) && readdirSync(ROOT).some((name) => name.endsWith(".node"));
const skip = isBuilt ? false : "the addon is not built: npm run build";

const folder = mkdtempSync(join(tmpdir(), "fallom-package-"));
const packs = join(folder, "packs");
const app = join(folder, "app");
const installed = join(app, "node_modules/@fallom/trace");

/** What a user would write, with types that matter. */
const CONSUMER = `
const options: InitOptions = { apiKey: process.env.FALLOM_API_KEY, batch: { maxSpans: 1 }, enabled: false };
const started: Promise<void> = fallom.init(options);
const session: FallomSession = fallom.session({ configKey: "app", sessionId: "s-1", metadata: { plan: "pro" } });
class Agent { #secret = 1; async generate(text: string) { return { text, secret: this.#secret }; } }
const agent: Agent = session.wrapMastraAgent(new Agent());
const traced: (a: number, b: string) => Promise<string> = wrapTraced(session, "step", async (a: number, b: string) => b + a);
const span: FallomSpan = session.span("retrieve", { kind: "retrieval" }).set({ docs: 3 }).setError(new Error("x"));
const child = session.span("child", { ...span.context(), parentSpanId: span.spanId });
child.end();
const model: Promise<string> = session.getModel({ fallback: "gpt-4o-mini" });
const prompt: Promise<PromptResult> = prompts.getAB("test", "s-1", { variables: { n: 1 } });
const flushed: Promise<FlushResult> = flush({ timeoutMs: 10 });
const ledger: Stats = fallom.stats();
// @ts-expect-error: an option that does not exist
fallom.init({ apikey: "typo" });
export { started, agent, traced, model, prompt, flushed, ledger };
`;
const TYPES =
  "type InitOptions, type FallomSession, type FallomSpan, type PromptResult, type FlushResult, type Stats";
const NODE = "declare const process: { env: Record<string, string | undefined> };\n";
const IMPORT = `import fallom, { flush, prompts, wrapTraced, ${TYPES} } from "@fallom/trace";\n${NODE}`;
const REQUIRE = `import trace = require("@fallom/trace");\n${NODE}const fallom = trace.default;
const { flush, prompts, wrapTraced } = trace;
type InitOptions = trace.InitOptions; type FallomSession = trace.FallomSession; type FallomSpan = trace.FallomSpan;
type PromptResult = trace.PromptResult; type FlushResult = trace.FlushResult; type Stats = trace.Stats;\n`;

before(
  () => {
    if (skip) return;
    execFileSync(process.execPath, [join(ROOT, "scripts/pack-local.mjs"), "--out", packs], {
      encoding: "utf8",
    });
    mkdirSync(app);
    writeFileSync(join(app, "package.json"), JSON.stringify({ name: "app", private: true }));
    const tarballs = readdirSync(packs).map((name) => join(packs, name));
    assert.equal(tarballs.length, 2);
    // Offline: nothing but the two tarballs is needed.
    npm(["install", "--offline", "--no-audit", "--no-fund", ...tarballs]);
  },
  { timeout: 60_000 },
);

after(() => rmSync(folder, { recursive: true, force: true }));

test("what is installed is the package and its addon, below 6 MB, and no dependency", { skip }, (t) => {
  assert.deepEqual(
    readdirSync(join(app, "node_modules")).filter((name) => !name.startsWith(".")),
    ["@fallom"],
  );
  assert.equal(readdirSync(join(app, "node_modules/@fallom")).length, 2);
  const { dependencies, scripts, devDependencies } = JSON.parse(
    readFileSync(join(installed, "package.json"), "utf8"),
  );
  assert.deepEqual([dependencies, scripts, devDependencies], [undefined, undefined, undefined]);
  const bytes = sizeOf(join(app, "node_modules/@fallom"));
  t.diagnostic(`installed: ${(bytes / 1024 / 1024).toFixed(2)} MB`);
  assert.ok(bytes < MAX_INSTALLED_BYTES, `${bytes} bytes; was the addon built with --debug?`);
});

test("import and require give the same, of one instance", { skip }, () => {
  const script = `
    import { createRequire } from "node:module";
    import fallom, * as named from "@fallom/trace";
    const required = createRequire(import.meta.url)("@fallom/trace");
    const same = Object.keys(named).every((name) => named[name] === required[name]);
    console.log(JSON.stringify({ names: Object.keys(named), required: Object.keys(required), same,
      one: fallom === required.default, defaults: Object.keys(fallom), started: fallom.stats().started }));`;
  const { names, required, defaults, ...rest } = JSON.parse(node(["--input-type=module", "-e", script]));
  assert.deepEqual(rest, { same: true, one: true, started: 0 });
  assert.deepEqual(names.sort(), EXPORTS);
  assert.deepEqual(required.sort(), EXPORTS);
  assert.deepEqual(defaults.sort(), [
    "flush",
    "init",
    "models",
    "prompts",
    "session",
    "shutdown",
    "stats",
    "trace",
  ]);
});

test("a process that only loads the package reads one file, no core, and no module of Node's that takes time", {
  skip,
}, () => {
  const script = `
    const there = new Set(process.moduleLoadList);
    require("@fallom/trace");
    const builtin = process.moduleLoadList.filter((name) => !there.has(name));
    console.log(JSON.stringify({ files: Object.keys(require.cache), builtin }));`;
  const { files, builtin } = JSON.parse(node(["-e", script]));
  assert.deepEqual(
    files.map((file) => relative(realpathSync(installed), file)),
    [join("dist", "index.js")],
  );
  const slow = /^NativeModule (crypto|http|https|net|stream|tls|perf_hooks|worker_threads|url|zlib)$/;
  assert.deepEqual(
    builtin.filter((name) => slow.test(name)),
    [],
  );
});

test("without the platform's package the application runs untraced, warned once", { skip }, () => {
  const alone = join(folder, "alone");
  mkdirSync(alone);
  writeFileSync(join(alone, "package.json"), JSON.stringify({ name: "alone", private: true }));
  const main = readdirSync(packs).find((name) => /^fallom-trace-\d/.test(name));
  npm(["install", "--offline", "--no-audit", "--no-fund", "--omit=optional", join(packs, main)], alone);
  const script = `
    const { default: fallom, prompts } = require("@fallom/trace");
    (async () => {
      await fallom.init({ apiKey: "k" });
      const session = fallom.session({ configKey: "app", sessionId: "s" });
      const span = session.span("a").set({ b: 1 });
      const double = fallom.trace.wrapTraced(session, "double", async (n) => 2 * n);
      const four = await double(2);
      span.end();
      const refused = await prompts.get("p").catch((error) => error.message);
      console.log(JSON.stringify({ four, refused, flushed: await fallom.flush(), started: fallom.stats().started,
        model: await session.getModel({ fallback: "small" }) }));
    })();`;
  const { stdout, stderr } = spawnSync(process.execPath, ["-e", script], { cwd: alone, encoding: "utf8" });
  const { refused, flushed, ...rest } = JSON.parse(stdout);
  assert.deepEqual(rest, { four: 4, started: 0, model: "small" });
  assert.match(refused, /native module .* not found/);
  assert.deepEqual(flushed, { delivered: 0, spooled: 0, dropped: 0, pending: 0, timedOut: false });
  assert.equal(stderr.match(/so nothing is traced/g)?.length, 1, stderr);
});

/** File, head, compiler options: each kind of consumer there is. */
const CONSUMERS = [
  ["esm.mts", IMPORT, { module: "node16", moduleResolution: "node16" }],
  ["cjs.cts", REQUIRE, { module: "node16", moduleResolution: "node16" }],
  ["interop.cts", IMPORT, { module: "node16", moduleResolution: "node16" }],
  ["bundled.ts", IMPORT, { module: "esnext", moduleResolution: "bundler" }],
  ["next.mts", IMPORT, { module: "nodenext", moduleResolution: "nodenext" }],
];

for (const [file, head, options] of CONSUMERS) {
  test(`${file} compiles under ${options.moduleResolution}, strict, without Node's types`, { skip }, () => {
    writeFileSync(join(app, file), head + CONSUMER);
    const config = join(app, `tsconfig.${file}.json`);
    const strict = {
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
      types: [],
    };
    writeFileSync(
      config,
      JSON.stringify({
        compilerOptions: { target: "es2022", lib: ["es2022"], ...strict, ...options },
        files: [file],
      }),
    );
    const { status, stdout } = spawnSync(
      process.execPath,
      [require.resolve("typescript/bin/tsc"), "-p", config],
      {
        encoding: "utf8",
      },
    );
    assert.equal(status, 0, stdout);
  });
}

test("publint has nothing to say", { skip }, async () => {
  const { publint } = await import("publint");
  const { formatMessage } = await import("publint/utils");
  const { messages, pkg } = await publint({ pkgDir: installed, strict: true, pack: false });
  assert.deepEqual(
    messages.map((message) => formatMessage(message, pkg)),
    [],
  );
});

test("are-the-types-wrong has nothing to say", { skip }, () => {
  const main = readdirSync(packs).find((name) => /^fallom-trace-\d/.test(name));
  const cli = join(ROOT, "node_modules/@arethetypeswrong/cli/dist/index.js");
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, join(packs, main), "--no-color"], {
    encoding: "utf8",
  });
  assert.equal(status, 0, stdout + stderr);
});

function node(args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: app, encoding: "utf8" });
  assert.equal(status, 0, stderr);
  assert.equal(stderr, "");
  return stdout;
}

function npm(args, cwd = app) {
  const shell = process.platform === "win32";
  const { status, stdout, stderr } = spawnSync("npm", args, { cwd, encoding: "utf8", shell });
  assert.equal(status, 0, stdout + stderr);
}

function sizeOf(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.size;
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}
