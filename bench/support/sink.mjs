// A server that takes all that the contestants send, in a process of its own: what is measured is the sender. It offers
// batches and compression or not, keeps what came until it is asked how many spans that were, and ends with its starter.
//
// It runs on a Node that knows zstd, whatever the contestants run on.

import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { nodeBinary } from "../../scripts/nodes.mjs";
import { spansIn } from "./counting.mjs";
import { listen } from "./http.mjs";
import { listed } from "./lists.mjs";

const NODE = 24;

/**
 * @typedef {object} Offer
 * @property {boolean} batches  many spans in a request
 * @property {boolean} compression  of requests
 *
 * @typedef {object} Taken since the last time
 * @property {number} spans
 * @property {number} requests  that brought spans
 * @property {number} bytes  of these requests, as they came
 * @property {number} lastMs  when the last of them had come, in the machine's monotonic time
 */

export const ALL = { batches: true, compression: true };

/** @param {Offer} [offer] */
export async function startSink(offer = ALL) {
  const execPath = await nodeBinary(NODE);
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(offer)], { execPath });
  const said = () => new Promise((resolve) => child.once("message", resolve));
  const port = await said();
  const ask = (what) => {
    child.send(what);
    return said();
  };
  return {
    url: `http://127.0.0.1:${port}`,
    /** What came until now; waits for so many spans, but not for ever. @returns {Promise<Taken>} */
    take: (spans) => ask({ spans }),
    close: () => child.disconnect(),
  };
}

/** Waits so long for spans that are still missing. */
const PATIENCE_MS = 5000;
const LOOK_MS = 20;

function serve(offer) {
  const headers =
    (offer.batches ? "accept-post: application/x-ndjson\r\n" : "") +
    (offer.compression ? "accept-encoding: zstd, gzip\r\n" : "");
  let kept = [];
  let lastMs = 0;
  listen(
    (request) => {
      if (request.method !== "GET") {
        kept.push(request);
        lastMs = now();
      }
      const type = request.headers["content-type"]?.includes("protobuf")
        ? request.headers["content-type"]
        : JSON_TYPE;
      const body = type === JSON_TYPE ? answerTo(request.url, offer) : "";
      return { type, headers, body };
    },
    (port) => process.send(port),
  );
  const taken = { spans: 0, requests: 0, bytes: 0 };
  const count = () => {
    for (const request of kept) {
      const spans = spansIn(request);
      if (!spans) continue;
      taken.spans += spans;
      taken.requests++;
      taken.bytes += request.bytes;
    }
    kept = [];
  };
  process.on("message", ({ spans }) => {
    const until = now() + PATIENCE_MS;
    const look = () => {
      count();
      if (taken.spans < spans && now() < until) return setTimeout(look, LOOK_MS);
      process.send({ ...taken, lastMs });
      Object.assign(taken, { spans: 0, requests: 0, bytes: 0 });
    };
    look();
  });
  process.once("disconnect", () => process.exit());
}

const JSON_TYPE = "application/json";

function answerTo(url, offer) {
  const list = listed(url);
  if (list) return JSON.stringify(list);
  if (url === "/info") return JSON.stringify(langsmithInfo(offer));
  if (url.startsWith("/batch/")) return '{"status":1}';
  if (url.startsWith("/api/public/otel")) return "{}";
  return '{"accepted":1}';
}

/** What LangSmith's service says of itself. */
const langsmithInfo = ({ compression }) => ({
  version: "0.12",
  instance_flags: { gzip_body_enabled: compression, zstd_compression_enabled: compression },
  batch_ingest_config: { use_multipart_endpoint: true, size_limit: 100, size_limit_bytes: 20_971_520 },
});

/** The same clock in all processes of a machine. */
export const now = () => Number(process.hrtime.bigint()) / 1e6;

if (process.argv[1] === fileURLToPath(import.meta.url)) serve(JSON.parse(process.argv[2]));
