// (d) What 100 MB of conversations cost: CPU time of all threads, and bytes on the wire.

import { hasZstd } from "../peers/compressed.mjs";
import { COMPRESSED, OTHERS } from "../peers/index.mjs";
import { collectGarbage } from "../support/clock.mjs";
import { compete, lostOf, medians, tracersOf } from "../support/crew.mjs";
import { contentOf, recordAll } from "./spans.mjs";

const ROUNDS = 3;
const SPAN_BYTES = 20 * 1024;
const WAVES = 10;
const SPANS_OF_WAVE = 500;
const ALL = [...OTHERS, ...Object.keys(COMPRESSED)];
/** The texts compressed as ours are, and nothing else. */
const FLOORS = hasZstd ? ["compressed"] : [];
/** Compresses what it sends; the others do not, or not by default. */
const COMPRESSING = ["langsmith", "posthog", ...Object.keys(COMPRESSED)];

/** @type {import("../support/table.mjs").Row} */
export const row = {
  letter: "d",
  title: "100 MB of conversations, 20 KB each",
  columns: [...FLOORS, "fallom", ...ALL],
  less: true,
  async *lines({ only, rounds = ROUNDS, peers = ALL }) {
    if (only("CPU") || only("on the wire")) yield* await measure(rounds, peers);
  },
  bounds(value) {
    const cpu = COMPRESSING.map((name) => [value("CPU", name), name]).filter(([cpu]) => cpu);
    const [least, cheapest] = cpu.sort(([one], [other]) => one - other)[0] ?? [];
    return [
      {
        what: "CPU, ours / the cheapest peer's that compresses",
        figure: value("CPU", "fallom") / least,
        most: 0.2,
      },
      {
        what: "bytes on the wire, ours / that peer's",
        figure: value("on the wire", "fallom") / value("on the wire", cheapest),
        most: 1,
      },
    ];
  },
  notes: [
    "compress: ours (zstd), LangSmith (zstd where Node has it, else gzip), PostHog (gzip), and the two with gzip asked for",
    "zstd alone: the texts copied once and compressed as ours are, by Node, where it can; nothing is sent",
  ],
};

async function measure(rounds, peers) {
  const names = [...FLOORS, "fallom", ...peers];
  const { figures, notes } = await compete({ row: "d", names, work: {}, rounds, warmUps: 1 });
  const lost = lostOf(figures);
  return [
    { what: "CPU", unit: "s", values: medians(figures, ({ cpuMs }) => cpuMs / 1000), lost, notes },
    {
      what: "on the wire",
      unit: "MB",
      values: medians(tracersOf(figures), ({ sent }) => sent.bytes / 1e6),
      lost,
      notes,
    },
  ];
}

/** In the contestant: in waves, so that no process has to hold all of it. */
export function prepare(peer) {
  return async (round) => {
    const sum = { cpuMs: 0, spans: 0 };
    for (let wave = 0; wave < WAVES; wave++) {
      const first = (round * WAVES + wave) * SPANS_OF_WAVE;
      const contents = Array.from({ length: SPANS_OF_WAVE }, (_, at) => contentOf(SPAN_BYTES, first + at));
      collectGarbage();
      const { cpuMs, spans } = await recordAll(peer, contents);
      sum.cpuMs += cpuMs;
      sum.spans += spans;
    }
    return sum;
  };
}
