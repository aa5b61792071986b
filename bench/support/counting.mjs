// How many spans a request brought, in the form of each contestant.

import * as zlib from "node:zlib";

/** @param {import("./http.mjs").Request} request */
export function spansIn({ method, url, headers, body }) {
  if (method !== "POST") return 0;
  const count = COUNTS.find(([path]) => url.startsWith(path))?.[1];
  if (!count) return 0;
  return count(plain(Buffer.concat(body), headers["content-encoding"]), headers["content-type"] ?? "");
}

/** By the beginning of the path. */
const COUNTS = [
  ["/api/public/otel/v1/traces", (bytes) => otlpSpans(JSON.parse(bytes))],
  ["/v1/traces", fallomOrOtlp],
  ["/runs/multipart", (bytes) => new Set(matches(bytes, /name="post\.([0-9a-f-]{36})"/g)).size],
  ["/batch/", (bytes) => JSON.parse(bytes).batch.length],
  ["/mastra/", (bytes) => JSON.parse(bytes).spans?.length ?? 0],
];

function fallomOrOtlp(bytes, type) {
  if (type.startsWith("application/x-protobuf")) return protobufSpans(bytes);
  if (!type.startsWith("application/x-ndjson")) return 1;
  let lines = bytes.length && bytes.at(-1) !== 10 ? 1 : 0;
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) lines++;
  return lines;
}

const otlpSpans = ({ resourceSpans }) =>
  resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)).length;

/** TracesData > resource_spans (1) > scope_spans (2) > spans (2): all of them are length-delimited. */
function protobufSpans(bytes) {
  let spans = 0;
  for (const resource of fields(bytes, 1)) {
    for (const scope of fields(resource, 2)) for (const _ of fields(scope, 2)) spans++;
  }
  return spans;
}

function* fields(bytes, wanted) {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    if ((tag & 7) !== 2) throw new Error(`an unknown field in OTLP: ${tag}`);
    const length = varint();
    if (tag >> 3 === wanted) yield bytes.subarray(at, at + length);
    at += length;
  }
}

const matches = (bytes, pattern) => [...bytes.toString("latin1").matchAll(pattern)].map(([, id]) => id);

function plain(bytes, encoding) {
  if (encoding === "gzip") return zlib.gunzipSync(bytes);
  if (encoding === "zstd") return zlib.zstdDecompressSync(bytes);
  return bytes;
}
