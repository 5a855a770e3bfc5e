/**
 * Bundles each page's scripts into web/static/built and writes manifest.json beside them.
 *
 * What a page needs later, an `import()` in its sources, becomes a part of its own; what several need is shared. Every
 * file is a classic script: a page names the ones it begins with, each with its hash, and a script names with its hash
 * each one it fetches later (src/loading.ts). So nothing runs that the first one's hash does not vouch for.
 * The manifest names every file with its hash; its own hash stands in the intake manifest and in the release, so that
 * anyone can compare what a source is served with what was published. The same sources give the same bytes.
 */

import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

// Pages in one row share what they have in common; a page that is carried away, or a worker, is one file whole.
const DOORS = [["intake", "receipt"], ["desk"], ["forms"]];
const WHOLE = { kdf: "kdf", offline: "intake" };

const here = fileURLToPath(new URL(".", import.meta.url));
const source = (name) => join(here, "src", `${name}.ts`);
const built = process.argv[2] ?? join(here, "..", "static", "built");

/** Of the library that reads PDFs comes along what is used, and none of the measures of fonts it could write with. */
const LIBRARY = /@cantoo[\\/]pdf-lib[\\/]es[\\/]/;
const lean = {
  name: "lean",
  setup({ onLoad, onResolve, resolve }) {
    onResolve({ filter: /./ }, async ({ path, pluginData, ...from }) => {
      if (pluginData === "lean" || !(path.startsWith("@cantoo/pdf-lib") || LIBRARY.test(from.importer))) return undefined;
      const { importer, kind, resolveDir } = from;
      const found = await resolve(path, { importer, kind, resolveDir, pluginData: "lean" });
      return LIBRARY.test(found.path) ? { path: found.path, sideEffects: false } : found;
    });
    onLoad({ filter: /[\\/]standard-fonts[\\/](?:Courier|Helvetica|Symbol|Times|Zapf)[^\\/]*\.compressed\.json$/ }, () => ({ contents: "export default ''" }));
  },
};
/** A page's script, and before it what fetches its parts. Not the bundler's `inject`, under which a part's exports change after it ran. */
const doors = {
  name: "doors",
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^door:/ }, ({ path }) => ({ path: path.slice("door:".length), namespace: "door" }));
    onLoad({ filter: /./, namespace: "door" }, ({ path }) => ({ contents: `import "./loading.ts"; import "./${path}.ts";`, resolveDir: join(here, "src") }));
  },
};
const usual = { plugins: [lean], bundle: true, minify: true, write: false, target: "es2022", charset: "utf8", legalComments: "eof", logLevel: "warning" };
// A classic script is not strict by itself.
const classic = { ...usual, format: "iife", banner: { js: '"use strict";' } };

const digest = (algorithm, encoding, bytes) => createHash(algorithm).update(bytes).digest(encoding);

const manifest = {};
const files = new Map();

function keep(name, bytes, needs = []) {
  const sha256 = digest("sha256", "hex", bytes);
  const file = `${name.replace(/\.js$/, "")}-${sha256.slice(0, 12)}.js`;
  manifest[name] = { file, integrity: `sha384-${digest("sha384", "base64", bytes)}`, sha256, needs };
  files.set(file, bytes);
}

/** One page, or worker, in one file. */
async function bundleWhole(name, entry) {
  const { outputFiles } = await build({ ...classic, entryPoints: [source(entry)] });
  keep(`${name}.js`, outputFiles[0].contents);
}

/** Some pages with the parts they fetch later, divided by the bundler, then each written as a classic script. */
async function bundleDoor(names) {
  const { outputFiles, metafile } = await build({
    ...usual,
    plugins: [doors, lean],
    entryPoints: names.map((name) => ({ in: `door:${name}`, out: name })),
    format: "esm",
    splitting: true,
    metafile: true,
    absWorkingDir: here,
    outdir: "out",
    chunkNames: "[name]-[hash]",
  });
  const texts = new Map(outputFiles.map(({ path, text }) => [basename(path), text]));
  const imports = new Map(Object.entries(metafile.outputs).map(([path, output]) => [basename(path), output.imports]));
  const named = (name, kind) => imports.get(name).filter((one) => one.kind === kind).map((one) => basename(one.path));

  /** Everything that has to run before it, first things first. */
  const needs = (name) => [...new Set(named(name, "import-statement").flatMap((one) => [...needs(one), one]))];
  const done = new Set();
  async function write(name) {
    if (done.has(name)) return;
    done.add(name);
    for (const one of [...named(name, "import-statement"), ...named(name, "dynamic-import")]) await write(one);
    keep(name, await asClassic(name, withLoads(name)), needs(name));
  }

  function withLoads(name) {
    let text = texts.get(name);
    for (const part of named(name, "dynamic-import")) {
      const row = [...needs(part), part].map((one) => [one, manifest[one].file, manifest[one].integrity]);
      text = text.replaceAll(`import("./${part}")`, () => `srt.load(${JSON.stringify(row)})`);
    }
    if (/\bimport\(/.test(text)) throw new Error(`${name} fetches something whose hash nobody names.`);
    return text;
  }

  for (const name of names) await write(`${name}.js`);
}

/**
 * The same code as a script that takes what it imports from, and leaves what it exports in, the one global `srt`.
 *
 * What is imported becomes a constant, since the part it comes from has run. Through getters, as a bundler keeps imports
 * alive, the inner loops of a cipher take fifty times as long.
 */
async function asClassic(name, text) {
  const contents = text
    .replace(/\bimport\{([^{}]*)\}from"\.\/([^"]+)";/g, (_, names, part) => `const{${names.replace(/\bas\b/g, ":")}}=srt[${JSON.stringify(part)}];`)
    .replace(/\bimport"\.\/[^"]+";/g, "");
  if (/\b__esm\b|\bimport\s*["{*]/.test(contents)) throw new Error(`${name} takes something in another way than the build knows.`);
  const { outputFiles } = await build({ ...classic, stdin: { contents, resolveDir: here, sourcefile: name }, globalName: `srt[${JSON.stringify(name)}]` });
  return outputFiles[0].contents;
}

for (const names of DOORS) await bundleDoor(names);
for (const [name, entry] of Object.entries(WHOLE)) await bundleWhole(name, entry);

await mkdir(built, { recursive: true });
const current = new Set(["manifest.json"]);
for (const [file, bytes] of files) {
  // Compressed here, once and as far as it goes: nobody's secret is in these files.
  const copies = {
    [file]: bytes,
    [`${file}.br`]: brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }),
    [`${file}.gz`]: gzipSync(bytes, { level: 9 }),
  };
  for (const [name, content] of Object.entries(copies)) {
    current.add(name);
    await writeFile(join(built, name), content);
  }
  console.log(`  ${file}  ${(bytes.length / 1024).toFixed(0)} KiB, ${(copies[`${file}.br`].length / 1024).toFixed(0)} as sent`);
}

// Last, and in one step: whoever reads the manifest finds the files it names.
await writeFile(join(built, "manifest.json.new"), `${JSON.stringify(manifest, null, 2)}\n`);
await rename(join(built, "manifest.json.new"), join(built, "manifest.json"));
for (const name of await readdir(built)) {
  if (!current.has(name)) await rm(join(built, name), { force: true, recursive: true });
}
