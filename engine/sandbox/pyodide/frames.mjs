// A frame is one byte for its kind, four bytes for its length (little-endian), and the payload. The host's side: pipes.py.
const FRAME_BYTES = 48 << 10;       // the host expects this size of every piece but the last
const writeSync = Deno.stdout.writeSync.bind(Deno.stdout);   // kept, since a program may replace members of Deno

export function send(kind, payload) {
  const bytes = new Uint8Array(5 + payload.length);
  bytes[0] = kind.charCodeAt(0);
  new DataView(bytes.buffer).setUint32(1, payload.length, true);
  bytes.set(payload, 5);
  for (let at = 0; at < bytes.length;) at += writeSync(bytes.subarray(at));
}

export function sendInPieces(kind, payload) {
  for (let at = 0; at < payload.length; at += FRAME_BYTES) send(kind, payload.subarray(at, at + FRAME_BYTES));
}

export async function* receive(stream) {
  let unread = new Uint8Array(0);
  for await (const piece of stream) {
    const bytes = new Uint8Array(unread.length + piece.length);
    bytes.set(unread);
    bytes.set(piece, unread.length);
    let at = 0;
    while (bytes.length - at >= 5) {
      const end = at + 5 + new DataView(bytes.buffer).getUint32(at + 1, true);
      if (end > bytes.length) break;
      yield [String.fromCharCode(bytes[at]), bytes.slice(at + 5, end)];
      at = end;
    }
    unread = bytes.slice(at);
  }
}
