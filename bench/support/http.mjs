// The least of HTTP/1.1 that a sink needs, straight on the socket: Node's own server takes several times as long for a
// request, and would be what is measured.

import { createServer } from "node:net";

const HEAD_END = "\r\n\r\n";

/**
 * @typedef {object} Request
 * @property {string} method
 * @property {string} url
 * @property {Record<string, string>} headers  names in lower case
 * @property {Buffer[]} body
 * @property {number} bytes  as they came, with the head
 *
 * @param {(request: Request) => { type: string, headers?: string, body: string }} answer
 */
export function listen(answer, onPort) {
  const server = createServer({ noDelay: true }, (socket) => {
    const connection = new Connection((request) => socket.write(response(answer(request))));
    socket.on("data", (bytes) => connection.take(bytes));
    socket.on("error", () => socket.destroy());
  });
  server.listen(0, "127.0.0.1", () => onPort(server.address().port));
}

function response({ type, headers = "", body }) {
  const length = Buffer.byteLength(body);
  return `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\n${headers}content-length: ${length}${HEAD_END}${body}`;
}

class Connection {
  #onRequest;
  /** What has come and is not understood yet. */
  #rest = Buffer.alloc(0);
  #request;
  /** Bytes of the body, or of its current chunk, that are still to come; undefined where a chunk's size is. */
  #missing;

  constructor(onRequest) {
    this.#onRequest = onRequest;
  }

  take(bytes) {
    this.#rest = this.#rest.length ? Buffer.concat([this.#rest, bytes]) : bytes;
    while (this.#step());
  }

  /** Understands one thing more; says whether it could. */
  #step() {
    if (!this.#request) return this.#head();
    if (this.#missing === undefined) return this.#chunkHead();
    return this.#data();
  }

  #head() {
    const end = this.#rest.indexOf(HEAD_END);
    if (end < 0) return false;
    const [first, ...lines] = this.#rest.toString("latin1", 0, end).split("\r\n");
    const [method, url] = first.split(" ");
    const headers = Object.fromEntries(lines.map((line) => line.split(/:\s*/, 2)).map(lowerCased));
    this.#request = { method, url, headers, body: [], bytes: 0 };
    this.#chunked = headers["transfer-encoding"] === "chunked";
    this.#missing = this.#chunked ? undefined : Number(headers["content-length"] ?? 0);
    this.#eat(end + HEAD_END.length);
    return true;
  }

  #chunked = false;

  #chunkHead() {
    const end = this.#rest.indexOf("\r\n");
    if (end < 0) return false;
    const size = Number.parseInt(this.#rest.toString("latin1", 0, end), 16);
    if (size === 0) {
      if (this.#rest.length < end + 4) return false;
      this.#eat(end + 4);
      this.#end();
      return true;
    }
    this.#eat(end + 2);
    // With the line break that follows it.
    this.#missing = size + 2;
    return true;
  }

  #data() {
    const taken = this.#rest.subarray(0, this.#missing);
    this.#missing -= taken.length;
    if (taken.length) this.#request.body.push(taken);
    this.#eat(taken.length);
    if (this.#missing > 0) return false;
    if (!this.#chunked) this.#end();
    else this.#chunkEnd();
    return true;
  }

  /** Takes the line break off again. */
  #chunkEnd() {
    const { body } = this.#request;
    let over = 2;
    while (over > 0) {
      const last = body.pop();
      if (last.length > over) body.push(last.subarray(0, -over));
      over -= last.length;
    }
    this.#missing = undefined;
  }

  #eat(bytes) {
    this.#request.bytes += bytes;
    this.#rest = this.#rest.subarray(bytes);
  }

  #end() {
    const request = this.#request;
    this.#request = undefined;
    this.#onRequest(request);
  }
}

const lowerCased = ([name, value]) => [name.toLowerCase(), value];
