/** What the timeline shows, and its arithmetic. Pure. */

/** In seconds of whatever the timeline counts in: a video's own time, or since a broadcast began. */
export interface Timeline {
  start: number;
  end: number;
  at: number;
  /** What can be played without loading more, around `at`. */
  buffered: number;
}

export interface Chapter {
  at_s: number;
  title: string;
  category: string | null;
}

export interface Part {
  start: number;
  end: number;
  chapter: Chapter | null;
}

/** A chapter that is shorter than this share of the line is drawn as part of the one before it. */
const LEAST_SHARE = 0.004;

/** The parts that the line is drawn in. Without chapters it is one. */
export function partsOf(chapters: readonly Chapter[], { start, end }: Timeline): Part[] {
  const least = (end - start) * LEAST_SHARE;
  const parts: Part[] = [];
  for (const chapter of chapters) {
    const from = Math.max(start, chapter.at_s);
    const last = parts.at(-1);
    if (from >= end - least && parts.length > 0) continue;
    if (last && from - last.start < least) last.chapter = chapter;
    else {
      if (last) last.end = from;
      else if (from > start + least) parts.push({ start, end: from, chapter: null });
      parts.push({ start: parts.length === 0 ? start : from, end, chapter });
    }
  }
  return parts.length > 0 ? parts : [{ start, end, chapter: null }];
}

/** The chapter that a time is in. */
export function chapterAt(chapters: readonly Chapter[], at: number): Chapter | null {
  return chapters.findLast((chapter) => chapter.at_s <= at) ?? null;
}

/** How far along a stretch a time is, 0 to 1. */
export function share(at: number, start: number, end: number): number {
  return end > start ? Math.min(1, Math.max(0, (at - start) / (end - start))) : 0;
}

export function clamp(at: number, { start, end }: Pick<Timeline, 'start' | 'end'>): number {
  return Math.min(end, Math.max(start, at));
}

/** A run of a recording without a gap: its own time and the wall clock, both in seconds. */
export interface Run {
  start: number;
  wall: number;
  duration: number;
}

interface Fragment {
  start: number;
  duration: number;
  cc: number;
  programDateTime: number | null;
}

/** Clocks of segments within this belong to one run, s. */
const DRIFT_S = 0.5;

/** The runs of a playlist with PROGRAM-DATE-TIMEs: each reconnect leaves wall-clock time out. */
export function runsOf(fragments: readonly Fragment[]): Run[] {
  const runs: Run[] = [];
  for (const { start, duration, programDateTime } of fragments) {
    if (programDateTime === null) continue;
    const wall = programDateTime / 1000;
    const last = runs.at(-1);
    const expected = last ? last.wall + (start - last.start) : -Infinity;
    if (last && Math.abs(wall - expected) < DRIFT_S) last.duration = start + duration - last.start;
    else runs.push({ start, wall, duration });
  }
  return runs;
}

/** The recording's time at a wall clock; inside a gap, where it goes on. Null before anything is known. */
export function mediaAt(runs: readonly Run[], wall: number): number | null {
  const run = runs.findLast((each) => each.wall <= wall) ?? runs[0];
  if (!run) return null;
  return run.start + Math.min(run.duration, Math.max(0, wall - run.wall));
}

/** The wall clock at a time of the recording. */
export function wallAt(runs: readonly Run[], at: number): number | null {
  const run = runs.findLast((each) => each.start <= at) ?? runs[0];
  return run ? run.wall + (at - run.start) : null;
}
