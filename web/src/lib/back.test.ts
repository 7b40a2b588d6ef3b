import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

/** As much of a browser as keeps a history: what it has shown, and who hears of its moves. */
class Browser extends EventTarget {
  private readonly entries: string[];
  constructor(
    paths: string[],
    private at: number,
  ) {
    super();
    this.entries = paths.map((path) => `https://site.example${path}`);
  }
  get href() {
    return this.entries[this.at] ?? '';
  }
  get pathname() {
    return new URL(this.href).pathname;
  }
  pushState(_state: unknown, _title: string, href: string) {
    this.entries.splice(++this.at, Infinity, href);
  }
  private go(by: number) {
    this.at += by;
    this.dispatchEvent(new Event('popstate'));
  }
  back() {
    this.go(-1);
  }
  forward() {
    this.go(1);
  }
}

describe('a page with something unsaved', () => {
  const router = vi.fn<(path: string) => void>();
  const ask = vi.fn<(leave: () => void) => void>();
  let browser: Browser;
  let free: () => void;

  beforeEach(async () => {
    vi.resetAllMocks();
    vi.resetModules();
    browser = new Browser(['/before', '/page', '/after'], 1);
    vi.stubGlobal('location', browser);
    vi.stubGlobal('history', browser);
    vi.stubGlobal('addEventListener', browser.addEventListener.bind(browser));
    const { holdPage } = await import('./back');
    browser.addEventListener('popstate', () => {
      router(browser.pathname);
    });
    free = holdPage(ask);
  });
  afterEach(() => vi.unstubAllGlobals());

  for (const [move, to] of [
    ['back', '/before'],
    ['forward', '/after'],
  ] as const) {
    it(`stays at ${move}, asks, and goes there when it may`, () => {
      browser[move]();
      expect(ask).toHaveBeenCalledOnce();
      expect(router).not.toHaveBeenCalled();
      expect(browser.pathname).toBe('/page');

      free();
      ask.mock.calls[0]?.[0]();
      expect(router).toHaveBeenCalledExactlyOnceWith(to);
      expect(browser.pathname).toBe(to);
    });

    it(`asks again at the next ${move} when one stayed`, () => {
      browser[move]();
      browser.back();
      expect(ask).toHaveBeenCalledTimes(2);
      expect(router).not.toHaveBeenCalled();
      expect(browser.pathname).toBe('/page');
    });
  }

  it('moves freely within itself, and is kept at the place it was moved to', () => {
    browser.pushState(null, '', 'https://site.example/page#part');
    browser.back();
    expect(router).toHaveBeenCalledExactlyOnceWith('/page');
    browser.back();
    expect(ask).toHaveBeenCalledOnce();
    expect(browser.href).toBe('https://site.example/page');
  });

  it('is left without a word once nothing holds it', () => {
    free();
    browser.back();
    expect(ask).not.toHaveBeenCalled();
    expect(router).toHaveBeenCalledExactlyOnceWith('/before');
  });
});
