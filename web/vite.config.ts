import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

/** A running `./footlight up`, for `npm run dev`: its API and its media answer as in production. */
const backend = process.env['FOOTLIGHT_DEV_BACKEND'] ?? 'http://127.0.0.1:8080';

/**
 * Name the chunks of the player, the application and the channel page in the page: the entry asks for
 * them late and on purpose, but the browser shall have them by then.
 */
function preloadChunks(): Plugin {
  return {
    name: 'preload-chunks',
    apply: 'build',
    transformIndexHtml: {
      order: 'post',
      handler(_, { bundle = {} }) {
        const chunks = Object.values(bundle).filter((file) => file.type === 'chunk');
        const named = ['early', 'start', 'channel'].map((name) => {
          const found = chunks.find((chunk) => chunk.name === name);
          if (found === undefined) throw new Error(`there is no chunk named "${name}" any more`);
          return found;
        });
        const files = new Set(named.flatMap(({ fileName, imports }) => [fileName, ...imports]));
        for (const chunk of chunks) if (chunk.isEntry) files.delete(chunk.fileName);
        return [...files].map((file) => ({
          tag: 'link',
          attrs: { rel: 'modulepreload', crossorigin: true, href: `/${file}` },
          injectTo: 'head' as const,
        }));
      },
    },
  };
}

export default defineConfig({
  plugins: [react(), preloadChunks()],
  build: {
    target: 'es2022',
    // Everything is a file of its own: the page's policy refuses data: scripts and workers, and hashed files are cached for ever.
    assetsInlineLimit: 0,
    // One small file in the page's head: a chunk's own would be asked for when the chunk is run.
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 600,
  },
  server: {
    proxy: {
      '/api': backend,
      '/live': backend,
      '/vod': backend,
      '/clip-media': backend,
    },
  },
});
