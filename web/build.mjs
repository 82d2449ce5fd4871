// node build.mjs [FOLDER]: the page from src/ into dist/, which is committed, because the C build needs no Node.
import { copyFileSync, mkdirSync } from 'node:fs';
import { build } from 'esbuild';

const folder = process.argv[2] ?? 'dist';
mkdirSync(folder, { recursive: true });
await build({
  entryPoints: [{ in: 'src/main.ts', out: 'live' }, { in: 'src/live.css', out: 'live' }],
  bundle: true,
  minify: true,
  format: 'iife',
  target: ['chrome123', 'firefox120', 'safari17.5'],
  charset: 'utf8',
  legalComments: 'none',
  outdir: folder,
  logLevel: 'warning',
});
for (const file of ['index.html', 'live.svg']) {
  copyFileSync(`src/${file}`, `${folder}/${file}`);
}
