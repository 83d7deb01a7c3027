// Writes the memory of a Python that has started and imported what programs often need: the next one continues from there.
import { pathToFileURL } from "node:url";
import { importGuest, readGuest } from "./guest.mjs";

const [pyodide, guest, target] = Deno.args;
const { loadPyodide } = await import(pathToFileURL(`${pyodide}/pyodide.mjs`));
const py = await loadPyodide({ indexURL: `${pyodide}/`, _makeSnapshot: true });
importGuest(py, readGuest(guest));
py.runPython("import ast, asyncio, collections, csv, datetime, functools, io, itertools, json, math, random, re, statistics, traceback");
Deno.writeFileSync(target, py.makeMemorySnapshot());
