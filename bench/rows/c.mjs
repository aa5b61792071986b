// (c) How many spans a process gets delivered: in a second, and in a second of CPU time of all its threads.

import { hasZstd } from "../peers/compressed.mjs";
import { COMPRESSED, OTHERS } from "../peers/index.mjs";
import { compete, lostOf, medians, tracersOf } from "../support/crew.mjs";
import { ALL } from "../support/sink.mjs";
import { contentOf, recordWarm } from "./spans.mjs";

const ROUNDS = 5;
/** By themselves, where the server takes it. */
const COMPRESSING = ["langsmith", "posthog"];
const BATCHES = { batches: true, compression: false };
const NONE = { batches: false, compression: false };
const SIZES = [
  { size: "2 KB", bytes: 2 * 1024, spans: 5000 },
  { size: "20 KB", bytes: 20 * 1024, spans: 1000 },
];
/** Who does not compress is beside who does only where all do, or none does. */
const OFFERS = [
  { by: "batches negotiated", offer: BATCHES, others: OTHERS },
  {
    by: "batches and compression negotiated",
    offer: ALL,
    others: [...COMPRESSING, ...Object.keys(COMPRESSED)],
  },
  { by: "nothing negotiated", offer: NONE, others: OTHERS },
];
/**
 * The one turns input and output into JSON text, once, and sends nothing; the other sends their texts as they are, of spans
 * that can do nothing. Where it is about compression, that alone.
 */
const FLOORS = ["kept", "copied"];
const COMPRESSING_FLOORS = hasZstd ? ["compressed"] : [];
const CASES = SIZES.flatMap((size) => OFFERS.map((offer) => ({ ...size, ...offer })));

/** @type {import("../support/table.mjs").Row} */
export const row = {
  letter: "c",
  title: "delivered to a loopback server",
  columns: [...FLOORS, ...COMPRESSING_FLOORS, "fallom", ...OTHERS, ...Object.keys(COMPRESSED)],
  less: false,
  async *lines({ only, rounds = ROUNDS, peers }) {
    for (const { size, by, others, ...plan } of CASES) {
      const taking = peers ? others.filter((name) => peers.includes(name)) : others;
      if (only(`${size}, ${by}`)) yield* await measure(`${size}, ${by}`, plan, rounds, taking);
    }
  },
  bounds: (value, lost) =>
    CASES.filter(({ offer }) => offer.batches).flatMap(({ size, by, others }) => {
      const what = `${size}, ${by}: spans per CPU second`;
      const theirs = others.map((peer) => value(what, peer)).filter(Number.isFinite);
      return [
        {
          what: `${what}, ours / the fastest peer's`,
          figure: theirs.length ? value(what, "fallom") / Math.max(...theirs) : Number.NaN,
          least: 10,
        },
        { what: `${size}, ${by}: spans lost by us`, figure: lost(what, "fallom"), most: 0 },
      ];
    }),
  notes: [
    "where compression is negotiated: ours (zstd), LangSmith and PostHog by themselves, and the two with gzip asked for,",
    "which would not compress by default; else nobody compresses. Queues of the peers hold a round's spans.",
    "stringify kept: one JSON.stringify of a span's input and output, of which nothing is sent; copied and sent: a span",
    "has ids and times and is current, its texts are copied once and written to a socket, without JSON or compression;",
    "zstd alone: its texts copied once and compressed as ours are, by Node, where it can; nothing is sent",
  ],
};

async function measure(what, { bytes, spans, offer }, rounds, peers) {
  const floors = offer.compression ? COMPRESSING_FLOORS : FLOORS;
  const names = [...floors, "fallom", ...peers];
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
      values: medians(
        tracersOf(figures),
        ({ counted, sent, begunMs }) => (counted * 1000) / (sent.lastMs - begunMs),
      ),
      lost,
      notes,
    },
    {
      what: `${what}: spans per CPU second`,
      unit: "1/s",
      values: medians(figures, ({ counted, cpuMs }) => (counted * 1000) / cpuMs),
      lost,
      notes,
    },
  ];
}

/** In the contestant. */
export function prepare(peer, { bytes, spans }) {
  return (round) => {
    const content = (_, at) => contentOf(bytes, round * spans + at);
    return recordWarm(peer, Array.from({ length: spans }, content));
  };
}
