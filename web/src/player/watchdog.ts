/** Playing and without progress for this long is stuck, s. */
const STUCK_S = 8;

/** Notices a player that should play and does not, for whatever reason. Times in s. */
export class Watchdog {
  private last = { at: 0, position: -1 };

  restart(now: number, position = -1) {
    this.last = { at: now, position };
  }

  /** Whether it is stuck; told once, then it waits as long again. `idle`: nothing has to move. */
  stuck(now: number, position: number, idle: boolean): boolean {
    const moved = idle || position !== this.last.position;
    const stuck = !moved && now - this.last.at > STUCK_S;
    if (moved || stuck) this.last = { at: now, position };
    return stuck;
  }
}
