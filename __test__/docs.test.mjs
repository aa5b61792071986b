// What the documents promise: the README's programs run and compile, its options are the ones there are, and every file
// that is named exists.
//
// A fence marked `ts run` is a program; one marked `ts run-after` goes on where the first one ended. A Mastra line behind
// the mark (`mastra-0.24`) keeps it to that line.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { startFallom } from "./support/fallom.mjs";
import { fixture, line } from "./support/mastra.mjs";
import { startModel, supportReply } from "./support/model.mjs";
import { runProgram } from "./support/program.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const ts = createRequire(import.meta.url)("typescript");

const README = textOf("README.md");

/** What the README's programs read. */
const CATALOG = {
  prompts: [
    {
      key: "support-agent-instructions",
      version: 1,
      system_prompt: "You help {{companyName}}.",
      user_template: "",
    },
    { key: "support-warm", version: 1, system_prompt: "Be warm.", user_template: "" },
  ],
  prompt_ab_tests: [
    {
      key: "support-agent-test",
      version: 1,
      variants: [{ prompt_key: "support-warm", prompt_version: null, weight: 100 }],
    },
  ],
  configs: [{ key: "support-models", version: 1, variants: [{ model: "gpt-4o-mini", weight: 100 }] }],
};

let fallom;
let model;

before(async () => {
  fallom = await startFallom();
  model = await startModel(supportReply);
});

after(() => Promise.all([fallom?.close(), model?.close()]));

const PROGRAMS = programsOf(README);

for (const { title, source } of PROGRAMS) {
  test(`the README's program at ${title} runs, and its traces arrive`, async () => {
    await fallom.reset();
    await fallom.setCatalog(CATALOG);
    const { code, stdout, stderr } = await runProgram({ source: javascript(source), env: environment() });
    assert.equal(code, 0, stdout + stderr);
    assert.doesNotMatch(stderr, /\[fallom\]/);
    const agents = (await fallom.spans()).filter(({ kind }) => kind === "agent");
    // The first program's run, and at least one of the program at hand, where it makes one.
    const runs = source.match(/\.(generate|stream)\(/g).length;
    assert.ok(agents.length >= runs, await fallom.tree());
    for (const span of agents) {
      assert.deepEqual([span.status, span.session_id], ["OK", "session-abc-123"], await fallom.tree());
    }
  });
}

// With 0.24 only: the types of Mastra 1.71 refuse the models of @ai-sdk/openai 4.0, traced or not.
if (line === "0.24") test("the README's programs and options are typed", checkTypes);

function checkTypes() {
  const folder = join(fileURLToPath(fixture), ".programs/readme");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "node.d.ts"), NODE_TYPES);
  const sources = [...PROGRAMS.map(({ source }) => source), allOptions()];
  const files = sources.map((source, at) => {
    const file = join(folder, `program-${at}.mts`);
    writeFileSync(file, source);
    return file;
  });
  const program = ts.createProgram([...files, join(folder, "node.d.ts")], COMPILER);
  const own = ts.getPreEmitDiagnostics(program).filter(({ file }) => files.includes(file?.fileName));
  const host = {
    getCanonicalFileName: (name) => name,
    getCurrentDirectory: () => folder,
    getNewLine: () => "\n",
  };
  assert.equal(ts.formatDiagnostics(own, host), "");
}

/** Compiles only if the type knows all that the README names, and the README all that the type knows. */
function allOptions() {
  const options = {};
  for (const [name, value] of optionsOf(README)) {
    const [group, inner] = name.split(".");
    if (inner) options[group] = { ...options[group], [inner]: value };
    else if (!functionsOfShim().includes(name)) options[name] = value;
  }
  const functions = functionsOfShim().map((name) => `${name}: () => {}`);
  return `
    import type { InitOptions } from "@fallom/trace";
    type Callable = (...given: never[]) => unknown;
    type Whole<T> = T extends Callable ? T : { [K in keyof T]-?: Whole<NonNullable<T[K]>> };
    export const options: Whole<InitOptions> = { ...${JSON.stringify(options)}, ${functions} };`;
}

const COMPILER = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  strict: true,
  skipLibCheck: true,
  noEmit: true,
  types: [],
};

/** What the programs use of Node. */
const NODE_TYPES = `
declare const process: { env: Record<string, string | undefined>; stdout: { write(text: string): boolean } };
declare const console: { log(...things: unknown[]): void };`;

test("the README's options are the ones that the core and the shim take", () => {
  assert.deepEqual([...optionsOf(README).keys()].sort(), [...optionsOfCore(), ...functionsOfShim()].sort());
});

test("each option of the README is taken, has the default that it says, and is refused if misused", async () => {
  const options = [...optionsOf(README)].filter(([name]) => !/^apiKey$|Url$/.test(name));
  const source = `
    import fallom from "@fallom/trace";
    fallom.init({ apiKey: "k", ...${JSON.stringify(fallom.urls)} });
    const nested = (name, value) => name.split(".").reduceRight((inner, part) => ({ [part]: inner }), value);
    const refusals = {};
    const names = ${JSON.stringify(options.map(([name]) => name))};
    // An option that is in a row of its own, too, is turned on by its inner ones, and so changed.
    const turnsOn = (name) => name.includes(".") && names.includes(name.split(".")[0]);
    for (const [name, value] of ${JSON.stringify(options)}) {
      if (!turnsOn(name)) fallom.init(nested(name, ${JSON.stringify(functionsOfShim())}.includes(name) ? () => {} : value));
      try { fallom.init(nested(name, Symbol())); } catch (error) { refusals[name] = [error.name, error.message]; }
    }
    console.log(JSON.stringify(refusals));`;
  const { stdout, stderr } = await runProgram({ source });
  // A second \`init\` names what it would have changed; a default changes nothing.
  assert.equal(stderr, "");
  const refusals = JSON.parse(stdout);
  for (const [name] of options) {
    assert.equal(refusals[name]?.[0], "TypeError", name);
    assert.match(refusals[name][1], new RegExp(`'${name.replace(".", "\\.")}' must be`));
  }
});

test("the README's variables are the ones that the core reads", () => {
  const named = new Set(README.match(/\bFALLOM_[A-Z_]+\b/g));
  const read = new Set(textOf("src/settings.rs").match(/\bFALLOM_[A-Z_]+\b/g));
  assert.deepEqual([...named].sort(), [...read].sort());
});

for (const document of ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "local/README.md"]) {
  test(`every file that ${document} names exists`, () => {
    const missing = filesOf(document).filter((path) => !existsSync(join(ROOT, path)));
    assert.deepEqual(missing, []);
  });
}

test("every command that the documents name exists", () => {
  const { scripts } = JSON.parse(textOf("package.json"));
  const named = ["README.md", "CONTRIBUTING.md"].flatMap((document) => [
    ...textOf(document).matchAll(/npm run ([\w:]+)/g),
  ]);
  assert.deepEqual(
    named.map(([, name]) => name).filter((name) => !(name in scripts)),
    [],
  );
});

/** The programs for this Mastra, each whole, and where it stands. */
function programsOf(markdown) {
  const blocks = [...markdown.matchAll(/^```ts (run(?:-after)?)(?: (mastra-[\d.]+))?\n(.*?)^```$/gms)];
  const first = blocks.find(([, mark]) => mark === "run")?.[3];
  return blocks
    .filter(([, , only]) => !only || only === `mastra-${line}`)
    .map(({ index, 1: mark, 3: text }) => ({
      title: `line ${markdown.slice(0, index).split("\n").length}`,
      source: mark === "run" ? text : continued(first, text),
    }));
}

/** In a scope of its own, so that it may use the first one's names again. */
function continued(first, text) {
  const imports = text.match(/^import .*\n/gm) ?? [];
  return `${imports.join("")}${first}{\n${text.replace(/^import .*\n/gm, "")}}\n`;
}

function javascript(source) {
  const { target, module } = COMPILER;
  return ts.transpileModule(source, { compilerOptions: { target, module }, fileName: "program.mts" })
    .outputText;
}

function environment() {
  return {
    FALLOM_API_KEY: "k",
    FALLOM_BASE_URL: fallom.url,
    OPENAI_API_KEY: "k",
    OPENAI_BASE_URL: model.baseURL,
  };
}

/** From the table below "Options": name to default. */
function optionsOf(markdown) {
  const table = markdown.split("| `init` option |")[1].split("\n\n")[0];
  const rows = [...table.matchAll(/^\| `([\w.]+)` \| (.+?) \|/gm)];
  return new Map(rows.map(([, name, text]) => [name, defaultOf(text)]));
}

const UNITS = { MiB: 2 ** 20, ms: 1, s: 1000, min: 60_000, h: 3_600_000 };

function defaultOf(text) {
  const [, count, unit] = /^([\d.]+)(?: (\w+))?$/.exec(text) ?? [];
  if (count) return Number(count) * (unit ? UNITS[unit] : 1);
  const literal = /^`(.*)`$/.exec(text)?.[1];
  return /^(true|false|".*")$/.test(literal) ? JSON.parse(literal) : (literal ?? "");
}

/** From the source, where each option is taken by its name; `baseUrl` is of `prompts.init` and `models.init`. */
function optionsOfCore() {
  const names = new Set();
  let group = "";
  for (const [, from, take, name] of textOf("src/settings.rs").matchAll(
    /\b(fields|given)\s*\.(\w+)\("(\w+)"/g,
  )) {
    if (take === "object") group = `${name}.`;
    else if (take === "switch") {
      // What is `true`, or an object of options that turn it on.
      names.add(name);
      group = `${name}.`;
    } else if (name !== "baseUrl") names.add(from === "given" ? group + name : name);
  }
  return [...names];
}

/** Options that are functions never reach the core: the shim takes each by its name. */
function functionsOfShim() {
  return [...textOf("shim/init.ts").matchAll(/\bfunctionOf\(options, "(\w+)"\)/g)].map(([, name]) => name);
}

/** Relative links, and what stands in code marks and looks like a path of ours. */
function filesOf(document) {
  const markdown = textOf(document);
  const links = [...markdown.matchAll(/\]\((?!https?:|#)([^)#]+)\)/g)].map(([, path]) =>
    join(dirname(document), path),
  );
  const named = [...markdown.matchAll(/`([\w.@/-]+)`/g)]
    .map(([, path]) => path)
    .filter((path) => OURS.test(path) && !GENERATED.test(path));
  return [...links, ...named];
}

const OURS =
  /^((src|shim|local|npm|__test__|scripts|bench|examples|tests|\.ci)\/|[\w-]+\.(rs|json|toml|mjs|ts|md)$)/;
const GENERATED = /^(bench\/results|npm\/.*\.node|next\.config)/;

function textOf(path) {
  return readFileSync(join(ROOT, path), "utf8");
}
