// Writes a snapshot of the memory of a started Python with frequently used modules; later starts load it.
import { pathToFileURL } from "node:url";
import { importGuest, readGuest } from "./guest.mjs";

const [pyodide, guest, target] = Deno.args;
const { loadPyodide } = await import(pathToFileURL(`${pyodide}/pyodide.mjs`));
const py = await loadPyodide({ indexURL: `${pyodide}/`, _makeSnapshot: true });
importGuest(py, readGuest(guest));
py.runPython("import ast, asyncio, collections, csv, datetime, functools, io, itertools, json, math, random, re, statistics, traceback");
Deno.writeFileSync(target, py.makeMemorySnapshot());
