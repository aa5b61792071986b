// Looks for inputs that break a promise of the core: npm run fuzz [-- [target…] [--minutes 10] [--keep]]
//
// The targets are the files of fuzz/targets/; libFuzzer mutates the inputs in fuzz/corpus/ towards code that none of
// them reached. It runs on stable Rust, by the compiler flags that cargo-fuzz would set, and needs a C++ compiler, which
// is why fuzz/ is no member of the workspace. `cargo test --test fuzz` runs the same targets without either.

import { mkdirSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Failed, fail, ROOT, run, step } from "./steps.mjs";

const CORPUS = join("fuzz", "corpus");
const BUILT = join("target", "fuzz");
/** Longer inputs are slower, and reach nothing that shorter ones do not. */
const MOST_BYTES = 4096;
/** Of an input that is kept: the test runs all of them, without optimization. */
const MOST_BYTES_KEPT = 2048;
/** Of one input: it takes microseconds. */
const MOST_SECONDS = 10;
/** Coverage, and what numbers and texts are compared with, so that a mutation can guess them. */
const COVERAGE = [
  "-Cpasses=sancov-module",
  "-Cllvm-args=-sanitizer-coverage-level=4",
  "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
  "-Cllvm-args=-sanitizer-coverage-pc-table",
  "-Cllvm-args=-sanitizer-coverage-trace-compares",
  "--cfg=fuzzing",
];

async function main() {
  const known = readdirSync(join(ROOT, CORPUS));
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { minutes: { type: "string", default: "10" }, keep: { type: "boolean", default: false } },
  });
  const unknown = positionals.find((target) => !known.includes(target));
  const seconds = Math.ceil(Number(values.minutes) * 60);
  if (unknown || !(seconds > 0))
    throw new Failed(`usage: npm run fuzz [-- [${known.join("|")}]… [--minutes 10] [--keep]]`);
  const binary = await step("build the targets (the first time takes minutes)", build);
  const waiting = positionals.length ? positionals : known;
  const worker = async () => {
    for (let target = waiting.shift(); target; target = waiting.shift()) await fuzz(binary, target, seconds);
  };
  const workers = Array.from({ length: availableParallelism() }, worker);
  const failed = (await Promise.allSettled(workers)).find(({ status }) => status === "rejected");
  if (failed) throw failed.reason;
  if (values.keep) for (const target of positionals.length ? positionals : known) await keep(binary, target);
}

/** For a named platform, so that the flags are for the code and not for what runs while it is built. */
async function build() {
  const host = /^host: (.+)$/m.exec(await run("rustc", ["-vV"]))?.[1] ?? "";
  const args = [
    "build",
    "--release",
    "--manifest-path",
    "fuzz/Cargo.toml",
    "--target",
    host,
    "--target-dir",
    BUILT,
  ];
  await run("cargo", args, { env: { RUSTFLAGS: COVERAGE.join(" ") } });
  return join(ROOT, BUILT, host, "release", process.platform === "win32" ? "fuzz.exe" : "fuzz");
}

async function fuzz(binary, target, seconds) {
  const [found, findings] = [folder("corpus", target), folder("findings", target)];
  const args = [
    `-max_total_time=${seconds}`,
    `-max_len=${MOST_BYTES}`,
    `-timeout=${MOST_SECONDS}`,
    "-dict=fuzz/json.dict",
    `-artifact_prefix=${join(findings, "/")}`,
    found,
    join(CORPUS, target),
  ];
  await step(`fuzz ${target}`, async () => {
    try {
      const said = await run(binary, args, { env: { FALLOM_FUZZ_TARGET: target } });
      console.log(
        `  ${target}: ${/DONE +(.+?) lim:/.exec(said)?.[1]}, ${/Done (\d+) runs/.exec(said)?.[1]} runs`,
      );
    } catch (error) {
      throw new Failed(
        `${summary(error.message)}\nThe input is in ${findings}. Mend it, and keep the input in ${CORPUS}/${target}.`,
      );
    }
  });
}

/** Adds those inputs that reach what none of the kept ones does. */
async function keep(binary, target) {
  const args = [
    "-merge=1",
    "-use_counters=0",
    `-max_len=${MOST_BYTES_KEPT}`,
    join(CORPUS, target),
    folder("corpus", target),
  ];
  await step(`keep what is new in ${CORPUS}/${target}`, () =>
    run(binary, args, { env: { FALLOM_FUZZ_TARGET: target } }),
  );
}

/** What a target said when it failed, without libFuzzer's log. */
function summary(said) {
  const from = said.search(/^thread .* panicked at|^==\d+== ?ERROR/m);
  return said.slice(Math.max(from, 0)).split("\n").slice(0, 6).join("\n");
}

function folder(...names) {
  const path = join(BUILT, ...names);
  mkdirSync(join(ROOT, path), { recursive: true });
  return path;
}

main().catch(fail);
