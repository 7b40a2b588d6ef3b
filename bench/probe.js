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
  const probe = { samples: [], stalls: [] };
  const watched = new WeakSet();
  let tellFirst;
  const firstShown = new Promise((resolve) => (tellFirst = resolve));
  let last = -Infinity;

  const read = (video, now, metadata) => {
    video.requestVideoFrameCallback((next, data) => read(video, next, data));
    // Before the picture is read back, which takes the processor longer than showing it.
    const at = performance.timeOrigin + performance.now();
    // A player may decode before it is put into the page, where nobody sees it.
    if (!video.isConnected) return;
    // Only the first call counts.
    tellFirst(at);
    if (now - last < MIN_GAP_MS) return;
    last = now;
    // A rendition is the source scaled: its blocks need not be whole pixels.
    const block = (metadata.width * 3) / 4 / COLUMNS;
    context.drawImage(video, 0, 0, block * COLUMNS, block * ROWS, 0, 0, canvas.width, canvas.height);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
    let bits = "";
    for (let row = 0; row < ROWS; row++)
      for (let column = 0; column < COLUMNS; column++) {
        const x = column * CELL + CELL / 2, y = row * CELL + CELL / 2;
        bits += pixels[(y * canvas.width + x) * 4 + 1] > 126 ? "1" : "0";
      }
    const player = window.footlight && window.footlight.player;
    probe.samples.push({
      at, bits, width: metadata.width, height: metadata.height, rate: video.playbackRate,
      target: (player && player.target) || null, behind: (player && player.edgeLatency) || null,
    });
  };

  // The first picture counts, so the element is watched from when it is made; one that comes with the document, or later
  // takes another's place, is looked for a few times a second.
  const create = Document.prototype.createElement;
  Document.prototype.createElement = function (...names) {
    const element = create.apply(this, names);
    if (element instanceof HTMLVideoElement) watch(element);
    return element;
  };
  const watch = (video) => {
    if (!video || watched.has(video)) return;
    watched.add(video);
    // However often it says so, and also while it jumps over a gap: until it plays again this is one stall.
    let playing = false;
    video.addEventListener("playing", () => (playing = true));
    video.addEventListener("waiting", () => {
      if (playing) probe.stalls.push(Date.now());
      playing = false;
    });
    video.requestVideoFrameCallback((now, metadata) => read(video, now, metadata));
  };
  setInterval(() => watch(findVideo(document)), 50);
  window.footlightProbe = {
    firstShown,
    drain: () => ({ samples: probe.samples.splice(0), stalls: probe.stalls.splice(0) }),
  };
}
