// A screenshot with at most 256 colours, as a PNG of a third of the size. A page has two colours and what lies between them.
import { deflateSync, inflateSync } from "node:zlib";

// The parts of a PNG file (RFC 2083) with their names.
function* parts(png) {
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    yield [png.toString("latin1", at + 4, at + 8), png.subarray(at + 8, at + 8 + png.readUInt32BE(at))];
  }
}

// The pixels of an image of 3 bytes each: each line was written as the difference to a guess from its neighbours.
function pixels(lines, width, height) {
  const length = 3 * width, all = Buffer.alloc(length * height);
  const guess = [
    () => 0, (left) => left, (left, up) => up, (left, up) => (left + up) >> 1,
    (left, up, corner) => {
      const [l, u, c] = [up - corner, left - corner, left + up - 2 * corner].map(Math.abs);
      return l <= u && l <= c ? left : u <= c ? up : corner;
    },
  ];
  for (let y = 0; y < height; y++) {
    const of = guess[lines[y * (length + 1)]];
    for (let x = 0; x < length; x++) {
      const at = y * length + x;
      const left = x < 3 ? 0 : all[at - 3], up = y ? all[at - length] : 0, corner = x < 3 || !y ? 0 : all[at - length - 3];
      all[at] = lines[y * (length + 1) + 1 + x] + of(left, up, corner);
    }
  }
  return all;
}

// The 256 colours that are most frequent, and for each colour the nearest of them.
function palette(counts) {
  const kept = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a)).slice(0, 256);
  const of = (colour) => [colour >> 16, (colour >> 8) & 255, colour & 255];
  const far = (a, b) => of(a).reduce((sum, part, nth) => sum + (part - of(b)[nth]) ** 2, 0);
  const nearest = (colour) => kept.reduce((best, one, nth) => (far(colour, one) < far(colour, kept[best]) ? nth : best), 0);
  return [Buffer.from(kept.flatMap(of)), new Map([...counts.keys()].map((colour) => [colour, nearest(colour)]))];
}

function crc(bytes) {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

function part(name, content) {
  const body = Buffer.concat([Buffer.from(name, "latin1"), content]), whole = Buffer.alloc(body.length + 8);
  whole.writeUInt32BE(content.length, 0);
  body.copy(whole, 4);
  whole.writeUInt32BE(crc(body), body.length + 4);
  return whole;
}

export function smallPng(png) {
  const found = [...parts(png)];
  const header = Buffer.from(found[0][1]), width = header.readUInt32BE(0), height = header.readUInt32BE(4);
  if (header[8] !== 8 || header[9] !== 2) throw new Error("expected an image with three bytes for each pixel");
  const packed = Buffer.concat(found.filter(([name]) => name === "IDAT").map(([, content]) => content));
  const all = pixels(inflateSync(packed), width, height), counts = new Map();
  const colour = (nth) => all.readUIntBE(3 * nth, 3);
  for (let nth = 0; nth < width * height; nth++) counts.set(colour(nth), (counts.get(colour(nth)) ?? 0) + 1);
  const [colours, index] = palette(counts), lines = Buffer.alloc((width + 1) * height);
  for (let nth = 0; nth < width * height; nth++) lines[nth + Math.floor(nth / width) + 1] = index.get(colour(nth));
  header[9] = 3;
  const image = deflateSync(lines, { level: 9 });
  return Buffer.concat([png.subarray(0, 8), part("IHDR", header), part("PLTE", colours), part("IDAT", image), part("IEND", Buffer.alloc(0))]);
}
