import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/** A running `./footlight up`, for `npm run dev`: its API and its media answer as in production. */
const backend = process.env['FOOTLIGHT_DEV_BACKEND'] ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [react()],
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
