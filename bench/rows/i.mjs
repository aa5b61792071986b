// (i) Growth: what a span costs when there are ever more of them.

import { collectGarbage, median } from "../support/clock.mjs";
import { compete, lostOf, medians, rotated } from "../support/crew.mjs";
import { recordAll } from "./spans.mjs";

const COUNTS = [1000, 10_000, 100_000];
const [FEWEST, ...MORE] = COUNTS;
/** At least, whatever is wanted: they are short, and fewer tell the noise of the machine. */
const ROUNDS = 11;
/** Small ones are recorded several times a round, one after the other: a process that rests in between begins cold. */
const LEAST = 100_000;
const WARM = 30_000;
const KINDS = { loopMs: "event loop", threadMs: "its thread's CPU", cpuMs: "all CPU" };

const PATIENCE = "It was to come last week. ".repeat(5);

const nameOf = (count, kind) => `${count.toLocaleString("en")} spans: ${kind}`;
const growthOf = (count, kind) => `${nameOf(count, kind)}, by that of ${FEWEST.toLocaleString("en")}`;

/** @type {import("../support/table.mjs").Row} */
export const row = {
  letter: "i",
  title: "added per span of 200 bytes, delivered",
  columns: ["none", "fallom"],
  less: true,
  async *lines({ only, rounds = ROUNDS }) {
    if (only("spans")) yield* await measure(Math.max(rounds, ROUNDS));
  },
  bounds: (value) =>
    [KINDS.loopMs, KINDS.cpuMs].map((kind) => {
      const all = [1, ...MORE.map((count) => value(growthOf(count, kind), "fallom") ?? Number.NaN)];
      return { what: `${kind}: dearest / cheapest`, figure: Math.max(...all) / Math.min(...all), most: 1.1 };
    }),
  notes: ["by that of 1,000: the ratio within a round, of which the median is taken; so are the bounds"],
};

async function measure(rounds) {
  const { figures } = await compete({ row: "i", names: ["none", "fallom"], work: {}, rounds, warmUps: 1 });
  const lost = lostOf(figures);
  const added = (count, field) =>
    figures.fallom.map(({ [count]: used }, round) => used[field] - figures.none[round][count][field]);
  const kinds = Object.entries(KINDS);
  const costs = COUNTS.flatMap((count) =>
    kinds.map(([field, kind]) => {
      const { none } = medians(figures, ({ [count]: used }) => used[field]);
      return {
        what: nameOf(count, kind),
        unit: "µs",
        values: { none, fallom: median(added(count, field)) },
        lost,
      };
    }),
  );
  // Round by round: what the machine does in between meets all counts of a round alike.
  const growth = MORE.flatMap((count) =>
    kinds.map(([field, kind]) => {
      const few = added(FEWEST, field);
      const fallom = median(added(count, field).map((cost, round) => cost / few[round]));
      return { what: growthOf(count, kind), unit: "×", values: { fallom }, lost };
    }),
  );
  return [...costs, ...growth];
}

/** In the contestant: all counts in each round, so that what else the machine does meets them alike. */
export function prepare(peer) {
  return async (number) => {
    const round = { spans: 0 };
    // In another order each time, for a machine that warms up.
    for (const count of rotated(COUNTS, number)) {
      collectGarbage();
      // The engine runs much slower just after that, and the contestant before may have taken long.
      round.spans += (await recordAll(peer, contents(WARM))).spans;
      const lots = Array.from({ length: Math.max(1, LEAST / count) }, () => contents(count));
      const { spans, ...used } = await recordAll(peer, ...lots);
      round.spans += spans;
      // µs a span.
      round[count] = Object.fromEntries(
        Object.keys(KINDS).map((field) => [field, (used[field] * 1000) / spans]),
      );
    }
    return round;
  };
}

/** Made as they are needed: what is held is the tracer's. */
function* contents(count) {
  for (let number = 1; number <= count; number++) {
    yield {
      input: [{ role: "user", content: `Where is order ${number}? ${PATIENCE}` }],
      output: { text: `Order ${number} is on its way.` },
    };
  }
}
