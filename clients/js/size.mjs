// What a page pays for each entry, with everything it needs, minified and gzipped; ends with 1 where it is too much.
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const budgets = { 'dist/index.js': 6 * 1024, 'dist/log-view.js': 12 * 1024 };
for (const [entry, budget] of Object.entries(budgets)) {
  const { outputFiles } = await build({ entryPoints: [entry], bundle: true, minify: true, format: 'esm', target: 'es2022', write: false });
  const size = gzipSync(outputFiles[0].contents, { level: 9 }).length;
  console.log(`${entry}: ${size} bytes gzipped, at most ${budget}`);
  process.exitCode ||= size > budget ? 1 : 0;
}
