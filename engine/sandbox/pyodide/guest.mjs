// The guest's Python modules, which the jail uses as well.
const MODULES = ["__init__", "environment", "figures", "interrupts", "programs", "tracebacks", "wasm"];

export function readGuest(folder) {
  return MODULES.map((name) => [`${name}.py`, Deno.readTextFileSync(`${folder}/${name}.py`)]);
}

// A snapshot keeps imported modules but not files; the files are not needed again.
export function importGuest(py, sources) {
  py.FS.mkdirTree("/lib/guest");
  for (const [name, source] of sources) py.FS.writeFile(`/lib/guest/${name}`, source);
  py.runPython("import sys; sys.dont_write_bytecode = True; sys.path.insert(0, '/lib'); import guest.wasm; sys.path.remove('/lib')");
}
