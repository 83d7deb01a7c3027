// Deno's main thread: frames from the host, messages to it. Python and everything untrusted run in the worker.
// A program there reaches all of JavaScript but not this thread, which alone has the nonce that authenticates its run.
import { receive, send } from "./frames.mjs";

const { pyodide, snapshot, guest, limits } = JSON.parse(Deno.args[0]);
const interrupt = new Uint8Array(new SharedArrayBuffer(1));
const { port1: port, port2 } = new MessageChannel();
const text = new TextDecoder();
let nonce = "";

const answer = (facts) => send("a", new TextEncoder().encode(JSON.stringify(facts)));
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

const worker = new Worker(new URL("./worker.mjs", import.meta.url).href, { type: "module" });
worker.onmessage = () => answer({ odd: "a program spoke for its interpreter" });
worker.onerror = (event) => {
  event.preventDefault();
  Deno.exit(70);
};
port.onmessage = async ({ data }) => {
  if (data.broken) {
    console.error(data.broken);
    Deno.exit(70);
  }
  if (data.ready) for (const path of [pyodide, guest, import.meta.dirname, snapshot]) await revoke(path);
  answer(data.ready ? { ready: true } : { error: String(data.error), nonce });
};
worker.postMessage({ port: port2, interrupt, pyodide, snapshot, guest, limits }, [port2]);

async function revoke(path) {
  if (path) await Deno.permissions.revoke({ name: "read", path });
}

for await (const [kind, payload] of receive(Deno.stdin.readable)) {
  if (kind === "i") {
    Atomics.store(interrupt, 0, 2);     // noticed by a program that computes
    port.postMessage({ kind });         // and by one that waits
  } else if (kind === "r") {
    nonce = hex(payload.subarray(0, 16));
    Atomics.store(interrupt, 0, 0);
    port.postMessage({ kind, code: text.decode(payload.subarray(16)) });
  } else {
    port.postMessage({ kind, payload }, [payload.buffer]);
  }
}
Deno.exit(0);
