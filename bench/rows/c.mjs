// (c) How many spans a process gets delivered: in a second, and in a second of CPU time of all its threads.

import { OTHERS } from "../peers/index.mjs";
import { collectGarbage } from "../support/clock.mjs";
import { compete, lostOf, medians } from "../support/crew.mjs";
import { ALL } from "../support/sink.mjs";
import { contentOf, recordAll } from "./spans.mjs";

const ROUNDS = 5;
const NONE = { batches: false, compression: false };
const SIZES = [
  { size: "2 KB", bytes: 2 * 1024, spans: 5000 },
  { size: "20 KB", bytes: 20 * 1024, spans: 1000 },
];
const OFFERS = [
  { by: "batches negotiated", offer: ALL },
  { by: "batches not negotiated", offer: NONE },
];
const CASES = SIZES.flatMap((size) => OFFERS.map((offer) => ({ ...size, ...offer })));

/** @type {import("../support/table.mjs").Row} */
export const row = {
  letter: "c",
  title: "delivered to a loopback server",
  columns: ["fallom", ...OTHERS],
  less: false,
  async *lines({ only, rounds = ROUNDS, peers = OTHERS }) {
    for (const { size, by, ...plan } of CASES) {
      if (only(`${size}, ${by}`)) yield* await measure(`${size}, ${by}`, plan, rounds, peers);
    }
  },
  bounds: (value, lost) =>
    SIZES.flatMap(({ size }) => {
      const what = `${size}, batches negotiated: spans per CPU second`;
      const best = Math.max(...OTHERS.map((peer) => value(what, peer) ?? Number.NaN));
      return [
        {
          what: `${size}: spans per CPU second, ours / the fastest peer's`,
          figure: value(what, "fallom") / best,
          least: 10,
        },
        { what: `${size}: spans lost by us`, figure: lost(what, "fallom"), most: 0 },
      ];
    }),
  notes: [
    "OpenTelemetry and Langfuse do not compress by default; LangSmith and PostHog do, where the server takes it;",
    "queues of the peers are raised so that they hold a round's spans. Not negotiated: nobody compresses",
  ],
};

async function measure(what, { bytes, spans, offer }, rounds, peers) {
  const names = ["fallom", ...peers];
  const options = offer.compression ? {} : { compress: false };
  const { figures, notes } = await compete({
    row: "c",
    names,
    work: { bytes, spans },
    rounds,
    warmUps: 1,
    offer,
    options,
  });
  const lost = lostOf(figures);
  return [
    {
      what: `${what}: spans per second`,
      unit: "1/s",
      values: medians(figures, ({ sent, begunMs }) => (sent.spans * 1000) / (sent.lastMs - begunMs)),
      lost,
      notes,
    },
    {
      what: `${what}: spans per CPU second`,
      unit: "1/s",
      values: medians(figures, ({ sent, cpuMs }) => (sent.spans * 1000) / cpuMs),
      lost,
      notes,
    },
  ];
}

/** In the contestant. */
export function prepare(peer, { bytes, spans }) {
  return (round) => {
    const contents = Array.from({ length: spans }, (_, at) => contentOf(bytes, round * spans + at));
    collectGarbage();
    return recordAll(peer, contents);
  };
}
