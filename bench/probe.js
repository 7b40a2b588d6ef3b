// Reads the clock out of the playing picture: see bench/clockframes.py for the code's form. Runs inside the page under
// test, on every presented frame but at most ten times a second, so that reading does not become the load.
() => {
  const COLUMNS = 24, ROWS = 2, CELL = 8, MIN_GAP_MS = 90;
  const findVideo = (root) => {
    for (const element of root.querySelectorAll("*")) {
      if (element instanceof HTMLVideoElement) return element;
      const inner = element.shadowRoot && findVideo(element.shadowRoot);
      if (inner) return inner;
    }
    return null;
  };
  const canvas = new OffscreenCanvas(COLUMNS * CELL, ROWS * CELL);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const probe = { samples: [], stalls: [], first: null, video: null };
  let last = -Infinity;

  const read = (video, now, metadata) => {
    video.requestVideoFrameCallback((next, data) => read(video, next, data));
    if (now - last < MIN_GAP_MS) return;
    last = now;
    const block = Math.floor((metadata.width * 3) / 4 / COLUMNS);
    context.drawImage(video, 0, 0, block * COLUMNS, block * ROWS, 0, 0, canvas.width, canvas.height);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
    let bits = "";
    for (let row = 0; row < ROWS; row++)
      for (let column = 0; column < COLUMNS; column++) {
        const x = column * CELL + CELL / 2, y = row * CELL + CELL / 2;
        bits += pixels[(y * canvas.width + x) * 4 + 1] > 126 ? "1" : "0";
      }
    const at = performance.timeOrigin + performance.now();
    if (probe.first === null) probe.first = at;
    const player = window.footlight && window.footlight.player;
    probe.samples.push({
      at, bits, width: metadata.width, height: metadata.height, rate: video.playbackRate,
      target: (player && player.target) || null, shown: (player && player.latency) || null,
    });
  };

  // The page may put up its video element late, or another one after an end: look for it a few times a second.
  const attach = () => {
    const video = findVideo(document);
    if (!video || video === probe.video) return;
    probe.video = video;
    for (const name of ["waiting", "stalled", "seeking"])
      video.addEventListener(name, () => probe.stalls.push({ at: Date.now(), name, played: probe.first !== null }));
    video.requestVideoFrameCallback((now, metadata) => read(video, now, metadata));
  };
  attach();
  setInterval(attach, 50);
  window.footlightProbe = {
    drain: () => ({ samples: probe.samples.splice(0), stalls: probe.stalls.splice(0), first: probe.first }),
  };
}
