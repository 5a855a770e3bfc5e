/**
 * Bundles each page's script into web/static/built and writes manifest.json beside them.
 *
 * The manifest names every file with its hash; its own hash stands in the intake manifest and in the release, so that
 * anyone can compare what a source is served with what was published. The same sources give the same bytes.
 */

import { build } from "esbuild";
import { createHash } from "node:crypto";
import { access, mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ENTRIES = ["desk", "intake", "kdf", "receipt"];
const here = fileURLToPath(new URL(".", import.meta.url));
const built = process.argv[2] ?? join(here, "..", "static", "built");

const exists = (path) => access(path).then(() => true, () => false);
const digest = (algorithm, encoding, bytes) => createHash(algorithm).update(bytes).digest(encoding);

await mkdir(built, { recursive: true });
const manifest = {};
for (const name of ENTRIES) {
  const source = join(here, "src", `${name}.ts`);
  if (!(await exists(source))) {
    console.log(`  ${name}: no src/${name}.ts, skipped`);
    continue;
  }
  const { outputFiles } = await build({
    entryPoints: [source],
    bundle: true,
    minify: true,
    write: false,
    format: "iife",
    target: "es2022",
    charset: "utf8",
    legalComments: "eof",
    logLevel: "warning",
  });
  const bytes = outputFiles[0].contents;
  const sha256 = digest("sha256", "hex", bytes);
  const file = `${name}-${sha256.slice(0, 12)}.js`;
  await writeFile(join(built, file), bytes);
  manifest[`${name}.js`] = { file, integrity: `sha384-${digest("sha384", "base64", bytes)}`, sha256 };
  console.log(`  ${file}  ${(bytes.length / 1024).toFixed(0)} KiB`);
}

// Last, and in one step: whoever reads the manifest finds the files it names.
await writeFile(join(built, "manifest.json.new"), `${JSON.stringify(manifest, null, 2)}\n`);
await rename(join(built, "manifest.json.new"), join(built, "manifest.json"));
const current = new Set(["manifest.json", ...Object.values(manifest).map(({ file }) => file)]);
for (const name of await readdir(built)) {
  if (!current.has(name)) await rm(join(built, name), { force: true, recursive: true });
}
