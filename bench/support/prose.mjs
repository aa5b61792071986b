// Text that looks like conversations: a vocabulary of some thousand words with Zipf-like frequencies, the same each time.
// A text of twelve words repeated would compress far better than what customers write.

const WORDS = 6000;
const SYLLABLES = {
  ascii:
    "ba be bi bo ca ce ci co da de di do el en er es fa fo ga go ha he in is ka ke la le li lo ma me mi na ne no on or pa pe ra re ri ro sa se si so ta te ti to un ve vi wa we".split(
      " ",
    ),
  // Cyrillic, accented Latin and Chinese: two and three bytes of UTF-8, and two of V8's own.
  wide: "ба бе ви во га го да де жи за ка ко ла ли ма ми на не по ра ре са се та те ши ñé ür åß çã 订单 客户 包裹 退款 今天 地址".split(
    " ",
  ),
};

/** Random numbers from a seed (mulberry32). */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function vocabulary(syllables) {
  const next = random(7);
  const pick = () => syllables[Math.floor(next() * syllables.length)];
  return Array.from({ length: WORDS }, () =>
    Array.from({ length: 1 + Math.floor(next() * 4) }, pick).join(""),
  );
}

const VOCABULARIES = { ascii: vocabulary(SYLLABLES.ascii), wide: vocabulary(SYLLABLES.wide) };

/**
 * A text of so many bytes of UTF-8 (a few less, where a character does not fit). It begins with a number of eight
 * digits, which `fresh` in record.mjs replaces.
 * @param {number} bytes
 * @param {{ seed?: number, wide?: boolean }} [options] wide: not ASCII
 */
export function prose(bytes, { seed = 0, wide = false } = {}) {
  const words = VOCABULARIES[wide ? "wide" : "ascii"];
  const next = random(seed + 1);
  const text = Buffer.alloc(bytes + 64);
  let at = text.write("00000000 ");
  let capital = true;
  while (at < bytes) {
    const roll = next();
    // The rank of the word: one over rank is how often it comes.
    const word = words[Math.floor(WORDS ** next()) - 1];
    at += text.write(capital ? word[0].toUpperCase() + word.slice(1) : word, at);
    capital = roll < 0.09;
    if (roll > 0.985) at += text.write(` #${Math.floor(next() * 1e6)}`, at);
    at += text.write(capital ? ". " : roll < 0.16 ? ", " : " ", at);
  }
  return whole(text.subarray(0, bytes));
}

/** Without a character that was cut in two at the end. */
function whole(bytes) {
  return bytes.toString("utf8").replace(/\uFFFD+$/, "");
}
