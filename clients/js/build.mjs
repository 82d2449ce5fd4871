// node build.mjs: dist/ as it is published (ESM, CommonJS, types). node build.mjs test: build/test/, for node --test.
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { build } from 'esbuild';

const common = { bundle: true, target: 'es2022', legalComments: 'none', logLevel: 'warning' };

async function bundle() {
  rmSync('dist', { recursive: true, force: true });
  const entries = [{ in: 'src/index.ts', out: 'index' }, { in: 'src/log-view/index.ts', out: 'log-view' }];
  for (const [format, extension] of [['esm', '.js'], ['cjs', '.cjs']]) {
    await build({ ...common, entryPoints: entries, format, packages: 'external', outdir: 'dist', outExtension: { '.js': extension } });
  }
  copyFileSync('src/log-view/log-view.css', 'dist/log-view.css');
  execFileSync('node_modules/.bin/tsc', ['-p', 'tsconfig.types.json'], { stdio: 'inherit' });
  // The same types for require(): TypeScript wants them with an extension of their own.
  for (const folder of ['dist', 'dist/log-view']) {
    cpSync(`${folder}/index.d.ts`, `${folder}/index.d.cts`);
  }
}

async function tests() {
  rmSync('build', { recursive: true, force: true });
  const entryPoints = readdirSync('test').filter((f) => f.endsWith('.test.ts')).map((f) => `test/${f}`);
  await build({ ...common, entryPoints, format: 'esm', platform: 'node', outdir: 'build/test' });
  for (const file of readdirSync('build/test')) {
    renameSync(`build/test/${file}`, `build/test/${file.replace(/\.js$/, '.mjs')}`);
  }
}

await (process.argv[2] === 'test' ? tests() : bundle());
