/* Reads the PNG files of a study exactly as they are stored: no colour management, no rounding to 8 bit.
   They are uncompressed (stored deflate blocks), so that no length tells what is in them. */
(function (app) {
  "use strict";

  const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];

  function refuse(why) {
    throw new Error("this image cannot be read: " + why);
  }

  function chunks(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (SIGNATURE.some((value, at) => bytes[at] !== value)) {
      refuse("it is not a PNG file");
    }
    const found = [];
    let at = 8;
    while (at + 12 <= bytes.length) {
      const size = view.getUint32(at);
      const kind = String.fromCharCode(bytes[at + 4], bytes[at + 5], bytes[at + 6], bytes[at + 7]);
      if (at + 12 + size > bytes.length) {
        refuse("it ends too early");
      }
      found.push({ kind: kind, content: bytes.subarray(at + 8, at + 8 + size) });
      if (kind === "IEND") {
        return found;
      }
      at += 12 + size;
    }
    return refuse("it ends too early");
  }

  function joined(parts) {
    const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    parts.forEach((part) => {
      whole.set(part, at);
      at += part.length;
    });
    return whole;
  }

  function adler(bytes) {
    let low = 1;
    let high = 0;
    for (let at = 0; at < bytes.length;) {
      const stop = Math.min(at + 3800, bytes.length); // sums stay below 2^32 so far
      for (; at < stop; at += 1) {
        low += bytes[at];
        high += low;
      }
      low %= 65521;
      high %= 65521;
    }
    return high * 65536 + low;
  }

  /* The bytes inside a zlib stream of stored blocks; its checksum is compared. */
  function unpacked(stream, size) {
    if (stream.length < 6 || (stream[0] & 15) !== 8 || (stream[0] * 256 + stream[1]) % 31 || stream[1] & 32) {
      refuse("its pixels are no zlib stream");
    }
    const out = new Uint8Array(size);
    let at = 2;
    let filled = 0;
    let last = false;
    while (!last) {
      const head = stream[at];
      const length = stream[at + 1] | (stream[at + 2] << 8);
      const check = stream[at + 3] | (stream[at + 4] << 8);
      if (head > 1) {
        refuse("its pixels are compressed, which files of a study are not");
      }
      if ((length ^ check) !== 65535 || at + 5 + length > stream.length || filled + length > size) {
        refuse("a block of its pixels is damaged");
      }
      out.set(stream.subarray(at + 5, at + 5 + length), filled);
      filled += length;
      at += 5 + length;
      last = head === 1;
    }
    const sum = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
    if (filled !== size || at + 4 > stream.length || sum.getUint32(at) !== adler(out)) {
      refuse("its pixels are not what its checksum says");
    }
    return out;
  }

  function paeth(left, above, corner) {
    const guess = left + above - corner;
    const toLeft = Math.abs(guess - left);
    const toAbove = Math.abs(guess - above);
    const toCorner = Math.abs(guess - corner);
    if (toLeft <= toAbove && toLeft <= toCorner) {
      return left;
    }
    return toAbove <= toCorner ? above : corner;
  }

  const GUESS = [
    () => 0,
    (left) => left,
    (left, above) => above,
    (left, above) => (left + above) >> 1,
    paeth,
  ];

  /* Lines with a filter byte each, to plain bytes. step: bytes of a pixel. */
  function unfiltered(lines, height, stride, step) {
    const out = new Uint8Array(height * stride);
    for (let row = 0; row < height; row += 1) {
      const from = row * (stride + 1);
      const to = row * stride;
      const kind = lines[from];
      if (kind > 4) {
        refuse("it has a filter that does not exist");
      }
      if (kind === 0 || (kind === 2 && row === 0)) {
        out.set(lines.subarray(from + 1, from + 1 + stride), to);
      } else if (kind === 2) {
        for (let x = 0; x < stride; x += 1) {
          out[to + x] = lines[from + 1 + x] + out[to + x - stride];
        }
      } else {
        for (let x = 0; x < stride; x += 1) {
          const left = x < step ? 0 : out[to + x - step];
          const above = row ? out[to + x - stride] : 0;
          const corner = row && x >= step ? out[to + x - stride - step] : 0;
          out[to + x] = lines[from + 1 + x] + GUESS[kind](left, above, corner);
        }
      }
    }
    return out;
  }

  function deep(bytes) {
    const out = new Uint16Array(bytes.length / 2);
    for (let at = 0; at < out.length; at += 1) {
      out[at] = (bytes[2 * at] << 8) | bytes[2 * at + 1];
    }
    return out;
  }

  /* ArrayBuffer of a PNG, 8 or 16 bit, grey or RGB, to {width, height, channels, bits, data}; throws Error. */
  function decode(buffer) {
    const parts = chunks(new Uint8Array(buffer));
    const head = parts[0];
    if (head.kind !== "IHDR" || head.content.length !== 13) {
      refuse("it has no header");
    }
    const view = new DataView(head.content.buffer, head.content.byteOffset, 13);
    const width = view.getUint32(0);
    const height = view.getUint32(4);
    const bits = head.content[8];
    const channels = { 0: 1, 2: 3 }[head.content[9]];
    if (!width || !height || !channels || (bits !== 8 && bits !== 16) || head.content[12]) {
      refuse("it is not 8 or 16 bit grey or RGB");
    }
    const step = (channels * bits) / 8;
    const stride = width * step;
    const packed = joined(parts.filter((part) => part.kind === "IDAT").map((part) => part.content));
    const plain = unfiltered(unpacked(packed, height * (stride + 1)), height, stride, step);
    return {
      width: width, height: height, channels: channels, bits: bits, data: bits === 16 ? deep(plain) : plain,
    };
  }

  app.png = { decode: decode };
})((window.readerStudy = window.readerStudy || {}));
