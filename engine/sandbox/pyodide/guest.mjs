// The part of the guest that is written in Python: the modules that the jail runs, too.
const MODULES = ["__init__", "figures", "interrupts", "manners", "programs", "report", "wasm"];

export function readGuest(folder) {
  return MODULES.map((name) => [`${name}.py`, Deno.readTextFileSync(`${folder}/${name}.py`)]);
}

// Imported modules stay in a snapshot, files do not: nothing of this is needed again.
export function importGuest(py, sources) {
  py.FS.mkdirTree("/lib/guest");
  for (const [name, source] of sources) py.FS.writeFile(`/lib/guest/${name}`, source);
  py.runPython("import sys; sys.dont_write_bytecode = True; sys.path.insert(0, '/lib'); import guest.wasm; sys.path.remove('/lib')");
}
