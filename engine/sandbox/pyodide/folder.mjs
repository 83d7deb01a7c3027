// The work folder in memory: files from the host, changes by programs, and limits.
// The limits here only give programs an ordinary error; the host enforces its own.
const WORK = "/box";
const EFBIG = 22, ENOSPC = 51;      // WASI's numbers, which Emscripten uses

export class Folder {
  constructor(FS, limits) {
    this.FS = FS;
    this.limits = limits;
    this.known = new Map();         // by path relative to WORK: the nodes that the host has as well
    this.dirty = new Set();         // nodes written to since then
    this.isHosts = false;           // while a file of the host is written, which may be larger than a program's
    this.restore();
    this.watch(FS.filesystems.MEMFS);
  }

  restore() {
    try {
      this.FS.mkdirTree(WORK);
    } catch { /* a program replaced it with something else: then it has no files */ }
  }

  begin(name) {
    this.path = `${WORK}/${name}`;
    this.name = name;
    this.pieces = [];
  }

  add(piece) {
    this.pieces.push(piece);
  }

  end() {
    this.isHosts = true;
    this.FS.mkdirTree(this.path.slice(0, this.path.lastIndexOf("/")));
    const stream = this.FS.open(this.path, "w");
    for (const piece of this.pieces) this.FS.write(stream, piece, 0, piece.length);
    this.FS.close(stream);
    this.pieces = [];
    this.known.set(this.name, stream.node);
    this.dirty.delete(stream.node);
    this.isHosts = false;
  }

  remove(name) {
    this.known.delete(name);
    try {
      this.FS.unlink(`${WORK}/${name}`);
    } catch { /* gone already */ }
  }

  sendChanges(send, sendInPieces) {
    const now = new Map(this.files());
    const utf8 = new TextEncoder();
    for (const name of this.known.keys()) if (!now.has(name)) send("x", utf8.encode(name));
    for (const [name, node] of now) {
      if (this.known.get(name) === node && !this.dirty.has(node)) continue;
      send("n", utf8.encode(name));
      sendInPieces("d", node.contents.subarray(0, node.usedBytes));
      send("e", new Uint8Array(0));
    }
    this.known = now;
    this.dirty.clear();
  }

  *files() {
    for (const [path, node] of this.nodes([WORK])) {
      if (this.FS.isFile(node.mode) && node.contents?.subarray) yield [path.slice(WORK.length + 1), node];
    }
  }

  // Everything below the folders; links are not followed.
  *nodes(folders) {
    const waiting = [];
    for (const path of folders) {
      const { node } = this.FS.analyzePath(path, true).exists ? this.FS.lookupPath(path, { follow: false }) : {};
      if (node && this.FS.isDir(node.mode)) waiting.push([path, node]);
    }
    while (waiting.length) {
      const [above, folder] = waiting.pop();
      for (const [name, node] of Object.entries(folder.contents ?? {})) {
        yield [`${above}/${name}`, node];
        if (this.FS.isDir(node.mode)) waiting.push([`${above}/${name}`, node]);
      }
    }
  }

  watch(MEMFS) {
    const { createNode, resizeFileStorage } = MEMFS;
    const { write } = MEMFS.stream_ops;
    const grow = (node, size) => {
      if (node.usedBytes < size) this.requireRoom(0, size - node.usedBytes, size);
      this.dirty.add(node);
    };
    MEMFS.createNode = (parent, name, mode, dev) => {
      this.requireRoom(1, 0, 0);
      return createNode(parent, name, mode, dev);
    };
    MEMFS.resizeFileStorage = (node, size) => (grow(node, size), resizeFileStorage(node, size));
    MEMFS.stream_ops.write = MEMFS.ops_table.file.stream.write = (stream, buffer, offset, length, position, canOwn) => {
      grow(stream.node, position + length);
      return write(stream, buffer, offset, length, position, canOwn);
    };
  }

  requireRoom(newNodes, newBytes, fileBytes) {
    if (this.isHosts) return;
    if (fileBytes > this.limits.file_bytes) throw new this.FS.ErrnoError(EFBIG);
    let [count, bytes] = [newNodes, newBytes];
    for (const [, node] of this.nodes([WORK, "/home/box", "/tmp"])) {
      count += 1;
      bytes += node.usedBytes ?? 0;
    }
    if (count > this.limits.num_files || bytes > this.limits.folder_bytes) throw new this.FS.ErrnoError(ENOSPC);
  }
}
