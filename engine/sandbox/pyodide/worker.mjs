// Python's thread, so that the main thread can interrupt it. Programs reach everything in here; Deno's permissions are the boundary.
import { pathToFileURL } from "node:url";
import { Folder } from "./folder.mjs";
import { send, sendInPieces } from "./frames.mjs";
import { importGuest, readGuest } from "./guest.mjs";

const text = new TextDecoder();
const never = new Int32Array(new SharedArrayBuffer(4));
const print = (bytes) => (sendInPieces("o", bytes), bytes.length);

// An unhandled promise must not end the interpreter.
self.addEventListener("unhandledrejection", (event) => event.preventDefault());
self.onmessage = async ({ data: { port, interrupt, pyodide, snapshot, guest, limits } }) => {
  self.onmessage = null;
  const tell = port.postMessage.bind(port);     // not reachable for a program, unlike self.postMessage
  try {
    const py = await start(pyodide, snapshot, guest);
    await revokeReading([pyodide, guest, import.meta.dirname, snapshot]);
    const folder = new Folder(py.FS, limits);
    const { begin, stop } = py.runPython("import guest.wasm; guest.wasm");
    py.setInterruptBuffer(interrupt);
    const run = begin((ms) => (Atomics.wait(never, 0, 0, ms), py.checkInterrupt())).run;
    let isRunning = false;
    let jobs = Promise.resolve();
    const work = async (job) => {
      isRunning = job.kind === "r";
      await take(job, folder, run, tell);
      isRunning = false;
    };
    port.onmessage = ({ data: job }) => {
      if (job.kind !== "i") {
        jobs = jobs.then(() => work(job)).catch((error) => tell({ broken: String(error).slice(-2000) }));
      } else if (isRunning) {
        Atomics.store(interrupt, 0, 0);
        stop();
      }
    };
    tell({ ready: true });
  } catch (error) {
    tell({ broken: String(error).slice(-2000) });
  }
};

async function start(pyodide, snapshot, guest) {
  const { loadPyodide } = await import(pathToFileURL(`${pyodide}/pyodide.mjs`));
  const memory = snapshot && readIfThere(snapshot);
  const py = await loadPyodide({ indexURL: `${pyodide}/`, ...(memory ? { _loadSnapshot: memory } : {}) });
  if (!memory) importGuest(py, readGuest(guest));
  for (const stream of ["setStdout", "setStderr"]) py[stream]({ isatty: false, write: print });
  for (const name of ["log", "info", "debug", "warn", "error"]) {
    console[name] = (...parts) => print(new TextEncoder().encode(parts.map(String).join(" ") + "\n"));
  }
  return py;
}

function readIfThere(path) {
  try {
    return Deno.readFileSync(path);
  } catch {
    return null;
  }
}

// Afterwards not even Pyodide's own files can be read.
async function revokeReading(paths) {
  for (const path of paths) if (path) await Deno.permissions.revoke({ name: "read", path });
}

async function take({ kind, code, payload }, folder, run, tell) {
  if (kind === "n") folder.begin(text.decode(payload));
  else if (kind === "d") folder.add(payload);
  else if (kind === "e") folder.end();
  else if (kind === "x") folder.remove(text.decode(payload));
  else if (kind === "r") {
    folder.restore();
    const error = await run.callPromising(code);
    folder.sendChanges(send, sendInPieces);
    tell({ error });
  }
}
