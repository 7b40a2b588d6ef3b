/** The build of hls.js without subtitles, DRM and interstitials has the same types as the whole one. */
declare module 'hls.js/light' {
  export * from 'hls.js';
  export { default } from 'hls.js';
}
