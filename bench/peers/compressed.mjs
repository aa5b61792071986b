// A floor, nearly: the texts of spans, copied once and compressed as ours are. Nothing is sent, and there are no spans. It
// is the zstd of Node, with a context and room made for each body: one that is kept may be quicker.

import zlib from "node:zlib";

const BODY = 1024 * 1024;
/** As src/transport/compress.rs compresses batches. */
const PARAMETERS = {
  ZSTD_c_compressionLevel: 1,
  ZSTD_c_strategy: 1,
  ZSTD_c_windowLog: 20,
  ZSTD_c_hashLog: 17,
  ZSTD_c_minMatch: 7,
  ZSTD_c_targetLength: 0,
};

/** Node has it from 22.15 on. */
export const hasZstd = typeof zlib.zstdCompressSync === "function";

export function start() {
  const params = Object.fromEntries(
    Object.entries(PARAMETERS).map(([name, value]) => [zlib.constants[name], value]),
  );
  const body = Buffer.alloc(BODY);
  let at = 0;
  const compress = () => {
    zlib.zstdCompressSync(body.subarray(0, at), { params, pledgedSrcSize: at, chunkSize: BODY });
    at = 0;
  };
  const put = (text) => {
    at += body.write(text, at, "latin1");
  };
  return {
    span(input, { text }) {
      const length = input.reduce((sum, { content }) => sum + content.length, text.length);
      if (at + length > BODY) compress();
      for (const { content } of input) put(content);
      put(text);
    },
    async flush() {
      if (at > 0) compress();
    },
    async shutdown() {},
  };
}
