// The rows of the table: what is measured, and the floor that it is measured against.

import { execFileSync } from "node:child_process";
import { compare, median } from "./support/measure.mjs";
import { kept, recordedAgent } from "./support/recorded.mjs";

const COLD_STARTS = 15;

/**
 * @typedef {object} Row
 * @property {string} what
 * @property {number} ours
 * @property {number} floor
 * @property {string} floorIs
 * @property {"µs" | "ms"} unit
 */

/**
 * A traced run of an agent: three spans, one of the agent and two of its tools.
 * @returns {Promise<Row>}
 */
export async function generateRow(fallom, kb) {
  const { agent, messages } = recordedAgent(kb * 1024);
  const session = fallom.session({ configKey: "bench", sessionId: "s-1", customerId: "c-1" });
  const wrapped = session.wrapMastraAgent(agent);
  const { untraced, floor, traced } = await compare(
    {
      untraced: () => agent.generate(messages),
      floor: async () => kept(messages, await agent.generate(messages)),
      traced: () => wrapped.generate(messages),
    },
    { rounds: 21, roundMs: 40, between: () => fallom.flush() },
  );
  return {
    what: `generate, ${kb} KB: added by tracing`,
    ours: traced - untraced,
    floor: floor - untraced,
    floorIs: "one JSON.stringify of the messages and the picked answer",
    unit: "µs",
  };
}

/**
 * How long a process that starts waits for the package.
 * @returns {Row[]}
 */
export function startRows(entry, options) {
  const load = `require(${JSON.stringify(entry)})`;
  const programs = {
    load,
    init: `${load}.init(${JSON.stringify(options)})`,
    floor: 'require("node:http")',
  };
  const times = { load: [], init: [], floor: [] };
  for (let i = 0; i < COLD_STARTS; i++) {
    for (const [name, program] of Object.entries(programs)) times[name].push(timeOf(program));
  }
  const floor = { floor: median(times.floor), floorIs: programs.floor, unit: "ms" };
  return [
    { what: "require, in a new process", ours: median(times.load), ...floor },
    { what: "require and init", ours: median(times.init), ...floor },
  ];
}

function timeOf(program) {
  const script = `const begun = performance.now(); ${program}; process.stdout.write(String(performance.now() - begun)); process.exit()`;
  return Number(execFileSync(process.execPath, ["-e", script], { encoding: "utf8" }));
}
