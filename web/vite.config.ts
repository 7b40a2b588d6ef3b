import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

/** A running `./footlight up`, for `npm run dev`: its API and its media answer as in production. */
const backend = process.env['FOOTLIGHT_DEV_BACKEND'] ?? 'http://127.0.0.1:8080';

/**
 * Name the application's own chunk in the page: the entry asks for it late and on purpose, but the
 * browser shall have it by then.
 */
function preloadStart(): Plugin {
  return {
    name: 'preload-start',
    apply: 'build',
    transformIndexHtml: {
      order: 'post',
      handler(_, { bundle = {} }) {
        const chunks = Object.values(bundle).filter((file) => file.type === 'chunk');
        const start = chunks.find((chunk) => chunk.name === 'start');
        if (start === undefined) throw new Error('there is no chunk named "start" any more');
        const entry = chunks.find((chunk) => chunk.isEntry);
        const files = [start.fileName, ...start.imports].filter((name) => name !== entry?.fileName);
        return files.map((file) => ({
          tag: 'link',
          attrs: { rel: 'modulepreload', crossorigin: true, href: `/${file}` },
          injectTo: 'head' as const,
        }));
      },
    },
  };
}

export default defineConfig({
  plugins: [react(), preloadStart()],
  build: {
    target: 'es2022',
    // Everything is a file of its own: the page's policy refuses data: scripts and workers, and hashed files are cached for ever.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 600,
  },
  server: {
    proxy: {
      '/api': backend,
      '/live': backend,
    },
  },
});
